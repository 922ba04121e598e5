/* SPDX-License-Identifier: Apache-2.0
 * server: see http.h and server.h. */
#include "base/http/server.h"

#include <signal.h>
#include <stdlib.h>

#include "base/http/conn.h"
#include "base/http/listener.h"

struct http_limits http_limits_default(void)
{
    return (struct http_limits){
        .max_connections = 10000,
        .max_connections_per_address = 256,
        .max_head_bytes = 8 * 1024,
        .max_url_bytes = 4 * 1024,
        .max_body_bytes = 16 * 1024,
        .head_deadline_ms = 5000,
        .request_deadline_ms = 10000,
        .answer_deadline_ms = 30000,
        .stall_ms = 5000,
        .idle_ms = 15000,
        .max_requests = 1000,
        .max_life_ms = 300000,
        .max_memory_bytes = INT64_C(1) << 30,
    };
}

/* --- start --- */

/* A connection may hold an exchange and leave an orphan. */
static int64_t sum_memory_bytes(const struct http_limits *limits)
{
    int64_t each = conn_max_bytes() + 2 * exchange_max_bytes(limits);
    return limits->max_connections * each + SERVER_MAX_PENDING_BYTES;
}

static enum status check_limits(const struct http_limits *limits, const char *setting, struct why *why)
{
    MUST(limits->max_connections > 0 && limits->max_head_bytes > 0 && limits->max_url_bytes > 0);
    MUST(limits->max_body_bytes >= 0 && limits->max_body_bytes <= HTTP_MAX_BODY_BYTES);
    int64_t sum = sum_memory_bytes(limits);
    if (sum <= limits->max_memory_bytes)
        return STATUS_OK;
    return why_say(
        why, STATUS_RANGE,
        "%s: %lld connections may take %lld MiB, more than the %lld MiB allowed; lower the number of "
        "connections or the size of a body",
        setting, (long long)limits->max_connections, (long long)(sum >> 20),
        (long long)(limits->max_memory_bytes >> 20));
}

struct http_server *server_new(struct uv_loop_s *loop, const struct http_server_options *options)
{
    struct http_server *server = must_calloc(1, sizeof(*server));
    server->loop = loop;
    server->limits = options->limits;
    server->exempt = options->exempt;
    server->exempt_count = options->exempt_count;
    server->handler_context = options->context;
    server->routes = routes_new(options->prefix, options->routes, options->route_count);
    server->exchanges = exchanges_new(server, &server->limits);
    server->peers = peers_new((size_t)options->limits.max_connections);
    server->log = log_new("http");
    wheel_init(&server->wheel, server_now(server));
    MUST(uv_timer_init(loop, &server->tick) == 0);
    server->tick.data = server;
    server->open_handles = 1;
    signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error of write(2), not of the process */
    return server;
}

struct http_server *http_server_start(struct uv_loop_s *loop, const struct http_server_options *options,
                                      const char *setting_name, struct why *why)
{
    struct endpoint_options wanted = {
        .setting = setting_name,
        .listen = options->listen,
        .reuse_port = options->reuse_port,
        .unix_mode = options->unix_mode,
    };
    struct endpoint endpoint;
    if (check_limits(&options->limits, setting_name, why) || endpoint_open(&wanted, &endpoint, why))
        return NULL;
    struct http_server *server = server_new(loop, options);
    MUST(listener_open_take(server, &endpoint, &server->listener) == STATUS_OK);
    server->open_handles++;
    log_info(&server->log, "listening", "%s = %s, port %d", setting_name, options->listen, endpoint.port);
    return server;
}

mono_ms server_now(const struct http_server *server)
{
    return (mono_ms){(int64_t)uv_now(server->loop)};
}

int http_server_port(const struct http_server *server)
{
    return server->listener ? listener_port(server->listener) : 0;
}

const struct http_counters *http_server_counters(const struct http_server *server)
{
    return &server->counters;
}

/* --- caps --- */

static bool is_capped(const struct http_server *server, const struct peer *peer)
{
    if (peer->is_unix)
        return false;
    for (size_t i = 0; i < server->exempt_count; i++)
        if (ip_range_has(&server->exempt[i], peer->address))
            return false;
    return true;
}

static bool refuse_peer(struct http_server *server, const char *event, const char *mend)
{
    server->counters.connections_refused_total++;
    log_warning(&server->log, event, "%s", mend);
    return false;
}

bool server_admits(struct http_server *server, const struct peer *peer)
{
    const struct http_limits *limits = &server->limits;
    int64_t taken = server->counters.connections_open + (int64_t)exchanges_orphan_count(server->exchanges);
    if (taken >= limits->max_connections)
        return refuse_peer(server, "connections_full", "all connections are taken; raise max_connections");
    if (is_capped(server, peer) &&
        peers_count(server->peers, peer->address) >= limits->max_connections_per_address)
        return refuse_peer(
            server, "address_full",
            "one address holds all the connections it may have; a proxy must be listed as trusted");
    return true;
}

void server_count_in(struct http_server *server, const struct peer *peer)
{
    if (is_capped(server, peer))
        peers_add(server->peers, peer->address);
}

void server_count_out(struct http_server *server, const struct peer *peer)
{
    if (is_capped(server, peer))
        peers_remove(server->peers, peer->address);
}

/* --- time --- */

static void close_all(struct http_server *server)
{
    for (struct conn *conn = server->open; conn; conn = conn_next(conn))
        conn_close(conn);
}

/* Timers come before sockets in a turn of the loop. A deadline counts as missed only when it had passed at
 * the last tick already: since then everything that had arrived was read, so a loop that was held up does not
 * blame its peers. */
static void on_tick(uv_timer_t *tick)
{
    struct http_server *server = tick->data;
    mono_ms now = server_now(server);
    wheel_advance(&server->wheel, server->last_tick, conn_expire);
    server->last_tick = now;
    if (server->is_stopping && now.ms >= server->stop_at.ms)
        close_all(server);
    if (server->listener && listener_is_paused(server->listener))
        listener_resume(server->listener);
    if (!server->open)
        uv_timer_stop(tick);
}

void server_start_tick(struct http_server *server)
{
    if (uv_is_active((uv_handle_t *)&server->tick))
        return;
    server->last_tick = server_now(server);
    MUST(uv_timer_start(&server->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS) == 0);
}

/* --- stop --- */

static void handle_gone(struct http_server *server)
{
    if (--server->open_handles > 0)
        return;
    server->is_stopped = true;
    server->on_stopped(server->stopped_context);
}

static void on_tick_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

/* The tick is the last thing that a stopping server needs. */
static void close_tick_when_empty(struct http_server *server)
{
    if (server->is_stopping && !server->open && !uv_is_closing((uv_handle_t *)&server->tick))
        uv_close((uv_handle_t *)&server->tick, on_tick_closed);
}

void server_conn_gone(struct http_server *server)
{
    close_tick_when_empty(server);
}

void http_server_stop(struct http_server *server, int64_t deadline_ms, http_stopped_fn *on_stopped,
                      void *context)
{
    MUST(!server->is_stopping);
    server->is_stopping = true;
    server->stop_at = (mono_ms){server_now(server).ms + deadline_ms};
    server->on_stopped = on_stopped;
    server->stopped_context = context;
    if (server->listener)
        listener_close(server->listener, handle_gone);
    server->listener = NULL;
    for (struct conn *conn = server->open; conn; conn = conn_next(conn))
        conn_stop(conn);
    close_tick_when_empty(server);
}

void http_server_free(struct http_server **server)
{
    if (!*server)
        return;
    MUST((*server)->is_stopped);
    conn_free_spare(*server);
    exchanges_free(&(*server)->exchanges);
    peers_free(&(*server)->peers);
    routes_free(&(*server)->routes);
    free(*server);
    *server = NULL;
}
