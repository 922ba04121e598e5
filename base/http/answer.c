/* SPDX-License-Identifier: Apache-2.0
 * answer: from whole requests to bytes on their way; part of conn.
 *
 *   answer_requests = (receive_request -> ask -> handler -> http_reply -> write_reply)*
 *   answer_flush    = uv_try_write, the rest by uv_write -> on_written -> conn_advance
 *   http_reply later: write_reply -> conn_advance */
#include <stdlib.h>

#include "base/http/conn_inside.h"
#include "base/http/receive.h"
#include "base/http/reply.h"

enum { BATCH_BYTES = 64 * 1024 }; /* replies gathered before they are sent */

/* --- replies --- */

static void encode_reply(struct conn *conn, const struct http_reply *reply, bool is_head)
{
    struct exchange *exchange = conn->exchange;
    enum reply_connection connection = REPLY_KEEP;
    if (conn->is_last)
        connection = REPLY_CLOSE;
    else if (exchange->is_http10)
        connection = REPLY_KEEP_HTTP10;
    reply_encode(&exchange->out, reply, is_head, connection);
    conn->server->counters.replies_total[reply->status / 100]++;
}

void answer_refusal(struct conn *conn, struct refusal refusal, bool is_head)
{
    struct reply_text text;
    reply_text_init(&text, refusal.status, refusal.reason, HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS);
    conn->is_last = true;
    encode_reply(conn, &text.reply, is_head);
}

static bool has_life_left(const struct conn *conn)
{
    const struct http_limits *limits = &conn->server->limits;
    return !conn->server->is_stopping && conn->request_count < limits->max_requests &&
           server_now(conn->server).ms - conn->opened.ms < limits->max_life_ms;
}

/* GET with a body is answered, but not trusted to be read alike by everybody before us. */
static bool is_odd(const struct exchange *exchange)
{
    return exchange->body_bytes > 0 && exchange->request.method != HTTP_POST;
}

static void write_reply(struct conn *conn, const struct http_reply *reply)
{
    struct exchange *exchange = conn->exchange;
    conn->is_last = reply->close || exchange->peer_closes || is_odd(exchange) || !has_life_left(conn);
    encode_reply(conn, reply, exchange->request.method == HTTP_HEAD);
    exchange_begin_next(exchange, server_now(conn->server));
    conn->closes_at_once = exchange->peer_closes && exchange->begin == exchange->end;
    conn_move(conn, CONN_RECEIVING);
}

static void drop_orphan(struct exchange *exchange)
{
    struct http_server *server = exchange_server(exchange);
    struct peer peer = {exchange->request.peer, exchange->request.peer_is_unix};
    if (server)
        server_count_out(server, &peer);
    exchange_give_back(exchange);
}

void http_reply(struct http_request *request, const struct http_reply *reply)
{
    struct exchange *exchange = (struct exchange *)request; /* its first member */
    struct conn *conn = exchange->conn;
    exchange_end_answer(exchange);
    if (!conn) {
        drop_orphan(exchange);
        return;
    }
    write_reply(conn, reply);
    if (!conn->is_in_handler)
        conn_advance(conn);
}

void http_reply_text(struct http_request *request, int status, slice reason)
{
    struct reply_text text;
    reply_text_init(&text, status, reason, 0);
    http_reply(request, &text.reply);
}

/* --- requests --- */

static void send_to_route(struct conn *conn, struct http_request *request)
{
    struct route_match match = routes_find(conn->server->routes, request);
    if (match.handler) {
        match.handler(conn->server->handler_context, request);
    } else if (match.allowed) {
        struct reply_text text;
        reply_text_init(&text, 405, SLICE("method not supported here"), match.allowed);
        http_reply(request, &text.reply);
    } else {
        http_reply_text(request, 404, SLICE("no such path"));
    }
}

/* The request is whole: somebody answers it, now or later. */
static void ask(struct conn *conn)
{
    struct http_request *request = &conn->exchange->request;
    conn->request_count++;
    conn->server->counters.requests_total++;
    request->peer = conn->peer.address;
    request->peer_is_unix = conn->peer.is_unix;
    conn_move(conn, CONN_ASKING);
    exchange_begin_answer(conn->exchange);
    conn->is_in_handler = true;
    if (conn->server->is_stopping && !conn->finishes_request)
        http_reply_text(request, 503, SLICE("stopping"));
    else
        send_to_route(conn, request);
    conn->is_in_handler = false;
    conn->finishes_request = false;
}

static void refuse(struct conn *conn, struct refusal refusal)
{
    slice start = {conn->exchange->data + conn->exchange->begin, conn->exchange->end - conn->exchange->begin};
    conn->server->counters.rejected_total++;
    answer_refusal(conn, refusal, slice_starts_with(start, SLICE("HEAD ")));
}

bool answer_requests(struct conn *conn)
{
    struct refusal refusal;
    if (conn->exchange->begin == conn->exchange->end)
        return false; /* the usual end: nothing behind the request that was answered */
    wall_ms now = wall_now();
    while (conn->state == CONN_RECEIVING && !conn->is_last) {
        if (conn->exchange->out.len >= BATCH_BYTES)
            return true;
        switch (receive_request(conn->exchange, &conn->server->limits, now, &refusal)) {
        case RECEIVE_MORE:
            return false;
        case RECEIVE_REFUSED:
            refuse(conn, refusal);
            return false;
        case RECEIVE_REQUEST:
            ask(conn);
        }
    }
    return false;
}

/* --- writing --- */

static void on_written(uv_write_t *write, int status)
{
    struct pending *pending = write->data;
    struct conn *conn = pending->conn;
    conn->pending = NULL;
    conn->server->pending_bytes -= pending->len;
    buf_fini(&pending->bytes);
    free(pending);
    if (status < 0)
        conn_close(conn);
    else if (conn->state != CONN_CLOSING)
        conn_advance(conn);
}

static void watch_stall(struct conn *conn)
{
    conn->pending->left_bytes = uv_stream_get_write_queue_size(&conn->uv.stream);
    conn_set_deadline(conn, server_now(conn->server), conn->server->limits.stall_ms);
}

static void close_stalled(struct conn *conn)
{
    conn->server->counters.stalled_total++;
    conn_close(conn);
}

/* The bytes from written on, by uv_write; no further request is taken until they are gone. */
static void write_rest(struct conn *conn, size_t written)
{
    struct http_server *server = conn->server;
    size_t len = conn->exchange->out.len;
    if (server->pending_bytes + len > SERVER_MAX_PENDING_BYTES) {
        close_stalled(conn);
        return;
    }
    struct pending *pending = must_calloc(1, sizeof(*pending));
    pending->conn = conn;
    pending->bytes = exchange_take_out(conn->exchange);
    pending->len = len;
    pending->write.data = pending;
    conn->pending = pending;
    server->pending_bytes += len;
    uv_buf_t rest = uv_buf_init(pending->bytes.data + written, (unsigned)(len - written));
    MUST(uv_write(&pending->write, &conn->uv.stream, &rest, 1, on_written) == 0);
    watch_stall(conn);
}

void answer_flush(struct conn *conn)
{
    struct buf *out = &conn->exchange->out;
    if (out->len == 0 || conn->pending)
        return;
    uv_buf_t bytes = uv_buf_init(out->data, (unsigned)out->len);
    int written = uv_try_write(&conn->uv.stream, &bytes, 1);
    if (written == (int)out->len)
        buf_clear(out);
    else if (written >= 0 || written == UV_EAGAIN)
        write_rest(conn, written > 0 ? (size_t)written : 0);
    else
        conn_close(conn);
}

void answer_check_stall(struct conn *conn)
{
    const struct http_server *server = conn->server;
    bool is_reading = uv_stream_get_write_queue_size(&conn->uv.stream) < conn->pending->left_bytes;
    bool is_ancient = server_now(server).ms - conn->opened.ms > 2 * server->limits.max_life_ms;
    if (is_reading && !is_ancient)
        watch_stall(conn);
    else
        close_stalled(conn);
}
