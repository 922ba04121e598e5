/* SPDX-License-Identifier: Apache-2.0
 * exchange: what a connection needs only while it has work: the bytes read, the request they make, the
 * replies.
 *
 * Lives in a pool: a read takes one, and when everything read is answered it goes back, so a loop that keeps
 * up uses the same one again and again, nothing is copied, and an idle connection holds none. A connection
 * keeps its exchange while a request is partly here, unanswered, or followed by more.
 *
 *   data: [ done | request being received or answered | bytes behind it | free ]
 *                ^ begin                              ^ begin + total   ^ end
 *
 * An exchange whose connection has gone while the handler still owes the answer is an orphan: it keeps the
 * place of its connection in the caps (so that nobody can heap up requests by hanging up) and goes back with
 * the answer. The pool keeps MAX_SPARE of them and frees the rest. Loop thread only. */
#ifndef BASE_HTTP_EXCHANGE_H
#define BASE_HTTP_EXCHANGE_H

#include "base/buf.h"
#include "base/http/http.h"
#include "base/http/scan.h"

struct conn;
struct http_server;
struct exchanges;

struct exchange {
    struct http_request request;
    struct exchanges *pool;           /* NULL: the server has gone */
    struct conn *conn;                /* NULL: an orphan, or spare */
    struct exchange *previous, *next; /* among the spare or the unanswered */
    bool is_unanswered;               /* a handler owes the reply */
    bool is_http10;
    bool peer_closes;  /* the peer's wish: no request after this one */
    mono_ms began;     /* first byte of the request */
    struct scan scan;  /* of its header block */
    size_t head_bytes; /* 0: not complete yet */
    size_t body_bytes;
    size_t begin, end;
    struct buf out; /* replies not yet handed to the kernel */
    char data[];    /* exchanges_data_bytes */
};

/* Exchanges of one server. */
struct exchanges *exchanges_new(struct http_server *server, const struct http_limits *limits);
/* Those that are unanswered become nobody's: their answer frees them. */
void exchanges_free(struct exchanges **exchanges); /* accepts NULL */
size_t exchanges_data_bytes(const struct exchanges *exchanges);
size_t exchanges_orphan_count(const struct exchanges *exchanges);
/* What one takes at most, its replies not counted. */
int64_t exchange_max_bytes(const struct http_limits *limits);

struct exchange *exchange_take(struct exchanges *exchanges, struct conn *conn);
/* Not while unanswered. */
void exchange_give_back(struct exchange *exchange);
/* NULL when it has gone. */
struct http_server *exchange_server(const struct exchange *exchange);

/* The handler owes the answer from now on … */
void exchange_begin_answer(struct exchange *exchange);
/* … until here. */
void exchange_end_answer(struct exchange *exchange);
/* The connection goes first. */
void exchange_orphan(struct exchange *exchange);

/* The replies gathered so far; the caller frees them with buf_fini. The exchange starts an empty batch. */
struct buf exchange_take_out(struct exchange *exchange);

/* Past the request: what follows it is the next one, begun now. */
void exchange_begin_next(struct exchange *exchange, mono_ms now);
/* Moves what is here to the front; a request that is partly here is read anew from its first byte, since its
 * slices would point to where it was. Not while unanswered. */
void exchange_compact(struct exchange *exchange);

#endif
