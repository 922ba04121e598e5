/* SPDX-License-Identifier: Apache-2.0
 * conn: one connection, from its first byte to its last.
 *
 *            bytes            whole request          answered
 *   IDLE ------------> RECEIVING ----------> ASKING ----------> RECEIVING …
 *    ^                  |      \                                     |
 *    |  all answered    |       \ refused, late, or the last reply   |
 *    +------------------+        +--> LINGERING ---> CLOSING <-------+ (from every state)
 *
 * Reading goes on in every state until the exchange is full, so a hang-up is noticed; requests are taken one
 * after the other. Replies gather in exchange->out and leave together: uv_try_write, and what the kernel does
 * not take goes by uv_write while no further request is taken. LINGERING: the last reply is sent, our side is
 * shut, what still comes is thrown away, so that a reset does not overtake the reply. Each state has its
 * deadline in the server's wheel. Memory: the struct below and an exchange while there is work. Loop thread
 * only. */
#ifndef BASE_HTTP_CONN_H
#define BASE_HTTP_CONN_H

#include "base/http/server.h"

struct conn;

/* Takes fd, non-blocking, and an admitted peer; reads at once. */
void conn_open(struct http_server *server, int fd, const struct peer *peer);
/* The wheel says that the deadline of a state has passed. */
void conn_expire(struct wheel_entry *deadline);
/* The server stops: closes when idle; a request that is partly here is still answered, and is the last. */
void conn_stop(struct conn *conn);
/* At once; may be called twice. */
void conn_close(struct conn *conn);
/* The next in server->open. */
struct conn *conn_next(const struct conn *conn);
/* Frees server->spare. */
void conn_free_spare(struct http_server *server);

/* What one takes besides its exchange. */
int64_t conn_max_bytes(void);

#endif
