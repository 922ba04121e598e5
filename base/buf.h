/* SPDX-License-Identifier: Apache-2.0
 * buf: bytes that are appended, with a stated maximum and an overflow that is remembered until asked.
 *
 * Either over the caller's memory (buf_init, never allocates) or growing up to a maximum (buf_init_growing).
 * When an append does not fit, nothing of it is added, `overflowed` is set and every later append is refused:
 * writers append without checking and ask once at the end. Pure, any thread. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <endian.h>
#include <string.h>

#include "base/slice.h"

struct buf {
    char *data;
    size_t len;
    size_t cap; /* bytes that data can hold now */
    size_t max; /* bytes it may ever hold */
    bool growing;
    bool overflowed;
};

/* Over the caller's memory: borrows it as long as the buf is used. */
void buf_init(struct buf *buf, char *memory, size_t cap);
/* Grows by doubling up to max bytes; buf_fini frees it. */
void buf_init_growing(struct buf *buf, size_t start_bytes, size_t max_bytes);
/* Frees what a growing buf holds; harmless on any other. */
void buf_fini(struct buf *buf);
/* Empties it and forgets an overflow; keeps the memory. */
void buf_clear(struct buf *buf);

/* For when there is no room yet, or no more. */
void buf_add_bytes_slowly(struct buf *buf, const void *bytes, size_t len);

/* Here, so that the compiler makes a few stores of a constant length: rows and messages are built of these.
 */
static inline void buf_add_bytes(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    if (buf->overflowed || len > buf->cap - buf->len) {
        buf_add_bytes_slowly(buf, bytes, len);
        return;
    }
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}

static inline void buf_add(struct buf *buf, slice s)
{
    buf_add_bytes(buf, s.data, s.len);
}

static inline void buf_add_char(struct buf *buf, char c)
{
    buf_add_bytes(buf, &c, 1);
}

void buf_add_int64(struct buf *buf, int64_t value); /* decimal */
void buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Big-endian integers, as Postgres' binary format and network protocols have them. */
static inline void buf_add_be16(struct buf *buf, uint16_t value)
{
    value = htobe16(value);
    buf_add_bytes(buf, &value, sizeof value);
}

static inline void buf_add_be32(struct buf *buf, uint32_t value)
{
    value = htobe32(value);
    buf_add_bytes(buf, &value, sizeof value);
}

static inline void buf_add_be64(struct buf *buf, uint64_t value)
{
    value = htobe64(value);
    buf_add_bytes(buf, &value, sizeof value);
}

/* Room for len bytes at the end, to be written by the caller and confirmed with buf_commit; NULL on overflow.
 */
char *buf_reserve(struct buf *buf, size_t len);
void buf_commit(struct buf *buf, size_t len);

slice buf_slice(const struct buf *buf); /* borrowed until the next append */

#endif
