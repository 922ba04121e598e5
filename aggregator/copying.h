/* SPDX-License-Identifier: Apache-2.0
 * copying: the data of one COPY … FROM STDIN (FORMAT binary) on its way into a non-blocking libpq connection.
 *
 * database calls copying_begin when the server asks for data, and copying_send whenever the socket takes
 * more. At most COPYING_MESSAGE_BYTES wait in libpq's memory: what the server does not take stays in the
 * caller's pieces. Both return as PQflush does: 0 all is sent, the end included; 1 the socket is full; -1 no
 * connection. */
#ifndef AGGREGATOR_COPYING_H
#define AGGREGATOR_COPYING_H

#include "base/slice.h"

struct pg_conn;

enum { COPYING_MESSAGE_BYTES = 64 * 1024 };

struct copying {
    struct pg_conn *conn;
    const slice *pieces; /* borrowed until all is sent */
    size_t piece_count;
    size_t piece;            /* the next one to send */
    size_t piece_sent_bytes; /* of it */
    size_t unflushed_bytes;
    bool is_ended;
};

int copying_begin(struct copying *copying, struct pg_conn *conn, const slice *pieces, size_t piece_count);
int copying_send(struct copying *copying);

#endif
