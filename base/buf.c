/* SPDX-License-Identifier: Apache-2.0
 * buf: see the header. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, char *memory, size_t cap)
{
    *buf = (struct buf){.data = memory, .cap = cap, .max = cap};
}

void buf_init_growing(struct buf *buf, size_t start_bytes, size_t max_bytes)
{
    MUST(start_bytes <= max_bytes);
    *buf =
        (struct buf){.data = must_malloc(start_bytes), .cap = start_bytes, .max = max_bytes, .growing = true};
}

void buf_fini(struct buf *buf)
{
    if (buf->growing)
        free(buf->data);
    *buf = (struct buf){.data = NULL};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

static void grow(struct buf *buf, size_t needed)
{
    size_t cap = buf->cap > 0 ? buf->cap : 64;
    while (cap < needed)
        cap *= 2;
    buf->cap = cap < buf->max ? cap : buf->max;
    buf->data = must_realloc(buf->data, buf->cap);
}

char *buf_reserve(struct buf *buf, size_t len)
{
    if (buf->overflowed || len > buf->max - buf->len) {
        buf->overflowed = true;
        return NULL;
    }
    if (len > buf->cap - buf->len)
        grow(buf, buf->len + len);
    return buf->data + buf->len;
}

void buf_commit(struct buf *buf, size_t len)
{
    MUST(len <= buf->cap - buf->len);
    buf->len += len;
}

void buf_add_bytes_slowly(struct buf *buf, const void *bytes, size_t len)
{
    char *room = buf_reserve(buf, len);
    if (room == NULL)
        return;
    memcpy(room, bytes, len);
    buf->len += len;
}

void buf_add_int64(struct buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    buf_add_bytes(buf, digits + at, sizeof digits - at);
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MUST(len >= 0);
    char *room = buf_reserve(buf, (size_t)len + 1); /* vsnprintf ends with a NUL, which is not kept */
    if (room != NULL) {
        vsnprintf(room, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

slice buf_slice(const struct buf *buf)
{
    return (slice){buf->data, buf->len};
}
