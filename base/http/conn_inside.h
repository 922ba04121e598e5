/* SPDX-License-Identifier: Apache-2.0
 * conn_inside: struct conn as its two files see it: conn.c, which reads and waits, and answer.c, which turns
 * what was read into replies and sends them. Nobody else includes this. */
#ifndef BASE_HTTP_CONN_INSIDE_H
#define BASE_HTTP_CONN_INSIDE_H

#include "base/http/conn.h"
#include "base/http/refusal.h"

enum conn_state { CONN_IDLE, CONN_RECEIVING, CONN_ASKING, CONN_LINGERING, CONN_CLOSING };

/* Replies that the kernel did not take: rare, so they have memory of their own. */
struct pending {
    uv_write_t write;
    struct conn *conn;
    struct buf bytes;
    size_t len;
    size_t left_bytes; /* when the deadline was set */
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct http_server *server;
    struct exchange *exchange; /* NULL: nothing is here */
    struct pending *pending;
    struct conn *previous, *next;
    struct wheel_entry deadline;
    mono_ms opened;
    struct peer peer;
    int64_t request_count;
    size_t lingered_bytes;
    enum conn_state state;
    bool is_in_handler;    /* the handler of its request is on the stack */
    bool is_last;          /* no further request is taken */
    bool closes_at_once;   /* the peer said that it is its last: nobody to linger for */
    bool is_paused;        /* the exchange is full */
    bool has_ended;        /* the peer sends no more */
    bool finishes_request; /* was partly here when the server began to stop */
};
_Static_assert(sizeof(struct conn) <= 600, "an idle connection is small");

void conn_move(struct conn *conn, enum conn_state to);
void conn_set_deadline(struct conn *conn, mono_ms from, int64_t after_ms);
/* The handler still has the request: the exchange waits for its answer, which nobody will read. */
void conn_leave_exchange(struct conn *conn);
/* Goes on after an answer or a write that came later: takes requests, sends, then waits for the next thing.
 */
void conn_advance(struct conn *conn);

/* answer.c */

/* Answers the requests that are whole, as far as their handlers do at once; replies gather in exchange->out.
 * True: stopped because enough are gathered; to be called again once they are sent. */
bool answer_requests(struct conn *conn);
/* Our own last word. */
void answer_refusal(struct conn *conn, struct refusal refusal, bool is_head);
/* Sends what is gathered; conn->pending is what the kernel did not take. Closes when the peer is gone. */
void answer_flush(struct conn *conn);
/* The peer has not taken all of its replies in time: waits on if it took some, else closes. */
void answer_check_stall(struct conn *conn);

#endif
