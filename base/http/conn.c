/* SPDX-License-Identifier: Apache-2.0
 * conn: see the header.
 *
 *   on_read -> take_bytes -> conn_advance = answer_requests -> answer_flush -> rest
 *   conn_expire -> the last word, or close */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/http/conn_inside.h"

enum {
    MAX_SPARE_CONNS = 256,
    LINGER_MS = 2000,              /* for the peer to see our end of the connection */
    LINGER_MAX_BYTES = 256 * 1024, /* thrown away meanwhile */
};

void conn_move(struct conn *conn, enum conn_state to)
{
#define BIT(state) (1u << (state))
    static const unsigned successors[] = {
        [CONN_IDLE] = BIT(CONN_RECEIVING) | BIT(CONN_CLOSING),
        [CONN_RECEIVING] = BIT(CONN_IDLE) | BIT(CONN_ASKING) | BIT(CONN_LINGERING) | BIT(CONN_CLOSING),
        [CONN_ASKING] = BIT(CONN_RECEIVING) | BIT(CONN_CLOSING),
        [CONN_LINGERING] = BIT(CONN_CLOSING),
        [CONN_CLOSING] = 0,
    };
    MUST(successors[conn->state] & BIT(to));
#undef BIT
    conn->state = to;
}

void conn_set_deadline(struct conn *conn, mono_ms from, int64_t after_ms)
{
    wheel_set(&conn->server->wheel, &conn->deadline, (mono_ms){from.ms + after_ms});
}

static int get_fd(const struct conn *conn)
{
    uv_os_fd_t fd = -1;
    MUST(uv_fileno(&conn->uv.handle, &fd) == 0);
    return fd;
}

/* --- the end of a connection --- */

static void release_exchange(struct conn *conn)
{
    if (conn->exchange)
        exchange_give_back(conn->exchange);
    conn->exchange = NULL;
}

void conn_leave_exchange(struct conn *conn)
{
    exchange_orphan(conn->exchange);
    server_count_in(conn->server, &conn->peer);
    conn->exchange = NULL;
}

static void unlink_conn(struct conn *conn)
{
    if (conn->next)
        conn->next->previous = conn->previous;
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        conn->server->open = conn->next;
}

static void keep_spare(struct conn *conn)
{
    struct http_server *server = conn->server;
    if (server->spare_count == MAX_SPARE_CONNS) {
        free(conn);
        return;
    }
    conn->next = server->spare;
    server->spare = conn;
    server->spare_count++;
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    struct http_server *server = conn->server;
    MUST(!conn->pending && !conn->exchange);
    unlink_conn(conn);
    server->counters.connections_open--;
    server_count_out(server, &conn->peer);
    keep_spare(conn);
    server_conn_gone(server);
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSING)
        return;
    conn_move(conn, CONN_CLOSING);
    wheel_remove(&conn->server->wheel, &conn->deadline);
    if (conn->exchange && conn->exchange->is_unanswered)
        conn_leave_exchange(conn);
    release_exchange(conn);
    uv_close(&conn->uv.handle, on_closed);
}

/* --- between requests --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes);

static bool is_full(const struct conn *conn)
{
    return conn->exchange && conn->exchange->end == exchanges_data_bytes(conn->server->exchanges);
}

static void resume_reading(struct conn *conn)
{
    if (!conn->is_paused || conn->has_ended || is_full(conn))
        return;
    conn->is_paused = false;
    MUST(uv_read_start(&conn->uv.stream, on_alloc, on_read) == 0);
}

static void pause_when_full(struct conn *conn)
{
    if (conn->is_paused || !is_full(conn))
        return;
    conn->is_paused = true;
    uv_read_stop(&conn->uv.stream);
}

/* The last reply is with the kernel. */
static void finish(struct conn *conn)
{
    if (conn->has_ended || conn->closes_at_once) {
        conn_close(conn);
        return;
    }
    shutdown(get_fd(conn), SHUT_WR);
    release_exchange(conn);
    conn_move(conn, CONN_LINGERING);
    conn_set_deadline(conn, server_now(conn->server), LINGER_MS);
    resume_reading(conn);
}

static void become_idle(struct conn *conn)
{
    release_exchange(conn);
    conn_move(conn, CONN_IDLE);
    conn_set_deadline(conn, server_now(conn->server), conn->server->limits.idle_ms);
    resume_reading(conn);
}

static void wait_for_bytes(struct conn *conn)
{
    const struct http_limits *limits = &conn->server->limits;
    bool has_head = conn->exchange->head_bytes > 0;
    exchange_compact(conn->exchange);
    conn_set_deadline(conn, conn->exchange->began,
                      has_head ? limits->request_deadline_ms : limits->head_deadline_ms);
    resume_reading(conn);
}

/* Everything that could be done is done and sent: what is the connection waiting for? */
static void rest(struct conn *conn)
{
    if (conn->state == CONN_ASKING)
        conn_set_deadline(conn, server_now(conn->server), conn->server->limits.answer_deadline_ms);
    else if (conn->is_last)
        finish(conn);
    else if (conn->has_ended)
        conn_close(conn);
    else if (conn->exchange->begin == conn->exchange->end)
        become_idle(conn);
    else
        wait_for_bytes(conn);
}

void conn_advance(struct conn *conn)
{
    bool has_more = true;
    while (has_more) {
        has_more = answer_requests(conn);
        answer_flush(conn);
        if (conn->state == CONN_CLOSING || conn->pending)
            return; /* on_written goes on */
    }
    rest(conn);
}

/* --- reading --- */

static void discard(struct conn *conn, size_t count)
{
    release_exchange(conn);
    conn->lingered_bytes += count;
    if (conn->lingered_bytes > LINGER_MAX_BYTES)
        conn_close(conn);
}

static void take_bytes(struct conn *conn, size_t count)
{
    if (conn->state == CONN_LINGERING) {
        discard(conn, count);
        return;
    }
    conn->exchange->end += count;
    if (conn->state == CONN_IDLE) {
        conn_move(conn, CONN_RECEIVING);
        conn->exchange->began = server_now(conn->server);
    }
    if (conn->state == CONN_RECEIVING && !conn->pending)
        conn_advance(conn);
    pause_when_full(conn);
}

/* EOF. What was asked is still answered: the peer may only have shut its side. */
static void take_end(struct conn *conn)
{
    conn->has_ended = true;
    if (conn->state != CONN_ASKING && !conn->pending)
        conn_close(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    (void)suggested;
    struct conn *conn = handle->data;
    if (!conn->exchange)
        conn->exchange = exchange_take(conn->server->exchanges, conn);
    size_t end = conn->exchange->end;
    bytes->base = conn->exchange->data + end;
    bytes->len = exchanges_data_bytes(conn->server->exchanges) - end;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    (void)bytes;
    struct conn *conn = stream->data;
    if (count > 0) {
        take_bytes(conn, (size_t)count);
        return;
    }
    if (conn->state == CONN_IDLE || conn->state == CONN_LINGERING)
        release_exchange(conn);
    if (count == UV_EOF)
        take_end(conn);
    else if (count < 0)
        conn_close(conn);
}

/* --- deadlines --- */

/* The handler keeps the request and its exchange; the peer gets an answer of ours. */
static void give_up(struct conn *conn)
{
    bool is_head = conn->exchange->request.method == HTTP_HEAD;
    conn->server->counters.unanswered_total++;
    conn_leave_exchange(conn);
    conn->exchange = exchange_take(conn->server->exchanges, conn);
    conn_move(conn, CONN_RECEIVING);
    answer_refusal(conn, REFUSE(503, "no answer in time"), is_head);
    conn_advance(conn);
}

static void refuse_late(struct conn *conn)
{
    conn->server->counters.deadlines_total++;
    answer_refusal(conn, REFUSE(408, "the request took too long"), false);
    conn_advance(conn);
}

void conn_expire(struct wheel_entry *deadline)
{
    struct conn *conn = (struct conn *)((char *)deadline - offsetof(struct conn, deadline));
    if (conn->pending)
        answer_check_stall(conn);
    else if (conn->state == CONN_RECEIVING)
        refuse_late(conn);
    else if (conn->state == CONN_ASKING)
        give_up(conn);
    else
        conn_close(conn);
}

/* --- life --- */

static struct conn *take_spare(struct http_server *server)
{
    struct conn *conn = server->spare;
    if (!conn)
        return must_calloc(1, sizeof(*conn));
    server->spare = conn->next;
    server->spare_count--;
    memset(conn, 0, sizeof(*conn));
    return conn;
}

static void open_stream(struct conn *conn, int fd)
{
    struct uv_loop_s *loop = conn->server->loop;
    if (conn->peer.is_unix)
        MUST(uv_pipe_init(loop, &conn->uv.pipe, 0) == 0 && uv_pipe_open(&conn->uv.pipe, fd) == 0);
    else
        MUST(uv_tcp_init(loop, &conn->uv.tcp) == 0 && uv_tcp_open(&conn->uv.tcp, fd) == 0);
    conn->uv.handle.data = conn;
}

/* The request of a new connection is often here already: one turn of the loop and two calls are saved. */
static void read_at_once(struct conn *conn, int fd)
{
    uv_buf_t room;
    on_alloc(&conn->uv.handle, 0, &room);
    ssize_t count = recv(fd, room.base, room.len, MSG_DONTWAIT);
    if (count > 0)
        on_read(&conn->uv.stream, count, &room);
    else if (count == 0)
        on_read(&conn->uv.stream, UV_EOF, &room);
    else
        on_read(&conn->uv.stream, 0, &room); /* nothing yet; an error comes again by the loop */
}

void conn_open(struct http_server *server, int fd, const struct peer *peer)
{
    struct conn *conn = take_spare(server);
    conn->server = server;
    conn->peer = *peer;
    conn->opened = server_now(server);
    conn->is_paused = true;
    conn->next = server->open;
    if (server->open)
        server->open->previous = conn;
    server->open = conn;
    server->counters.connections_open++;
    server->counters.connections_total++;
    server_count_in(server, peer);
    server_start_tick(server);
    open_stream(conn, fd);
    conn_set_deadline(conn, conn->opened, server->limits.idle_ms);
    read_at_once(conn, fd);
    if (conn->state != CONN_CLOSING)
        resume_reading(conn);
}

void conn_stop(struct conn *conn)
{
    char byte;
    conn->finishes_request = conn->state == CONN_RECEIVING;
    if (conn->state == CONN_IDLE && recv(get_fd(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        conn_close(conn); /* else a request is on its way: it gets its 503 */
}

struct conn *conn_next(const struct conn *conn)
{
    return conn->next;
}

void conn_free_spare(struct http_server *server)
{
    for (struct conn *conn; (conn = server->spare);) {
        server->spare = conn->next;
        free(conn);
    }
}

int64_t conn_max_bytes(void)
{
    return (int64_t)sizeof(struct conn);
}
