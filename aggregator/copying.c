/* SPDX-License-Identifier: Apache-2.0
 * copying: see the header. */
#include "aggregator/copying.h"

#include <libpq-fe.h>

#include "base/failpoint.h"

/* What libpq puts before each message. A message of COPYING_MESSAGE_BYTES with its framing fills libpq's
 * blocks of 8 KiB exactly and so leaves with one send. */
enum { FRAMING_BYTES = 5 };

static bool put(struct copying *copying, const char *data, size_t len)
{
    copying->unflushed_bytes += len + FRAMING_BYTES;
    return PQputCopyData(copying->conn, data, (int)len) == 1;
}

static bool put_next(struct copying *copying)
{
    slice rest = slice_from(copying->pieces[copying->piece], copying->piece_sent_bytes);
    size_t room = COPYING_MESSAGE_BYTES - FRAMING_BYTES - copying->unflushed_bytes;
    size_t len = rest.len < room ? rest.len : room;
    copying->piece_sent_bytes += len;
    if (len == rest.len) {
        copying->piece++;
        copying->piece_sent_bytes = 0;
    }
    return put(copying, rest.data, len);
}

static bool is_flush_due(const struct copying *copying)
{
    return copying->piece == copying->piece_count ||
           copying->unflushed_bytes + FRAMING_BYTES >= COPYING_MESSAGE_BYTES;
}

static int end(struct copying *copying)
{
    static const char trailer[2] = {'\xff', '\xff'}; /* a tuple of -1 fields */
    copying->is_ended = true;
    if (!put(copying, trailer, sizeof trailer) || PQputCopyEnd(copying->conn, NULL) != 1)
        return -1;
    return PQflush(copying->conn);
}

static int send_pieces(struct copying *copying)
{
    while (copying->piece < copying->piece_count) {
        if (!put_next(copying))
            return -1;
        if (!is_flush_due(copying))
            continue;
        copying->unflushed_bytes = 0;
        int unsent = PQflush(copying->conn);
        if (unsent != 0)
            return unsent;
        FAILPOINT("inside_copy");
    }
    return end(copying);
}

int copying_begin(struct copying *copying, struct pg_conn *conn, const slice *pieces, size_t piece_count)
{
    /* Signature, whose last byte is 0, flags, length of the extension: it leaves with the first piece. */
    static const char header[19] = "PGCOPY\n\xff\r\n";
    *copying = (struct copying){.conn = conn, .pieces = pieces, .piece_count = piece_count};
    return put(copying, header, sizeof header) ? send_pieces(copying) : -1;
}

int copying_send(struct copying *copying)
{
    int unsent = PQflush(copying->conn);
    return unsent == 0 && !copying->is_ended ? send_pieces(copying) : unsent;
}
