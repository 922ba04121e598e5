/* SPDX-License-Identifier: Apache-2.0
 * server: what the connections of one http server share; inside base/http only.
 *
 * server.c makes it, lets connections in and out and drains it; listener brings sockets, conn does the work.
 * Everything belongs to the loop's thread. All memory is bounded: connections by the caps, their exchanges
 * one each and one for an orphan, replies that peers do not read by MAX_PENDING_BYTES together. */
#ifndef BASE_HTTP_SERVER_H
#define BASE_HTTP_SERVER_H

#include <uv.h>

#include "base/http/exchange.h"
#include "base/http/http.h"
#include "base/http/peers.h"
#include "base/http/routes.h"
#include "base/http/wheel.h"
#include "base/log.h"

enum { SERVER_MAX_PENDING_BYTES = 64 * 1024 * 1024 };

struct conn;
struct listener;

struct peer {
    ip_address address; /* meaningless when is_unix */
    bool is_unix;
};

struct http_server {
    struct uv_loop_s *loop;
    struct http_limits limits;
    const ip_range *exempt;
    size_t exempt_count;
    void *handler_context;
    struct routes *routes;
    struct exchanges *exchanges;
    struct peers *peers;
    struct http_counters counters;
    struct log log;
    struct listener *listener;
    struct conn *open;  /* all connections, closing ones included */
    struct conn *spare; /* memory for the next ones */
    size_t spare_count;
    size_t pending_bytes; /* of replies that the kernel did not take yet */
    struct wheel wheel;
    uv_timer_t tick; /* runs while there is a deadline */
    mono_ms last_tick;
    bool is_stopping;
    bool is_stopped; /* nothing of it is left in the loop */
    int open_handles;
    mono_ms stop_at;
    http_stopped_fn *on_stopped;
    void *stopped_context;
};

/* A server without a listener: connections come by conn_open alone. For http_server_start and tests. */
struct http_server *server_new(struct uv_loop_s *loop, const struct http_server_options *options);
mono_ms server_now(const struct http_server *server);

/* False: at a cap; counted and logged. */
bool server_admits(struct http_server *server, const struct peer *peer);
/* An orphan is counted like the connection it comes from. */
void server_count_in(struct http_server *server, const struct peer *peer);
void server_count_out(struct http_server *server, const struct peer *peer);
/* A connection has left the loop. */
void server_conn_gone(struct http_server *server);
/* Deadlines are looked at from now on. */
void server_start_tick(struct http_server *server);

#endif
