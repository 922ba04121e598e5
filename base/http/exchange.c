/* SPDX-License-Identifier: Apache-2.0
 * exchange: see the header. */
#include "base/http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/http/reply.h"

enum {
    MAX_SPARE = 64,                  /* what a busy loop has in use at once; a burst beyond is given back */
    OUT_START_BYTES = 1024,          /* a few replies without body */
    OUT_MAX_SPARE_BYTES = 64 * 1024, /* a larger one, left by a large reply, is not kept */
    OUT_MAX_BYTES = 2 * REPLY_MAX_BYTES, /* a full batch and one more reply */
};

struct exchanges {
    struct http_server *server;
    size_t data_bytes;
    size_t spare_count;
    size_t orphan_count;
    struct exchange *spare;      /* last in, first out: the warm one */
    struct exchange *unanswered; /* so that they can be told when the server goes */
};

static void push(struct exchange **list, struct exchange *exchange)
{
    exchange->previous = NULL;
    exchange->next = *list;
    if (*list)
        (*list)->previous = exchange;
    *list = exchange;
}

static void unlink_from(struct exchange **list, struct exchange *exchange)
{
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        *list = exchange->next;
}

static void exchange_free(struct exchange *exchange)
{
    buf_fini(&exchange->out);
    free(exchange);
}

static size_t count_data_bytes(const struct http_limits *limits)
{
    return (size_t)(limits->max_head_bytes + limits->max_body_bytes);
}

int64_t exchange_max_bytes(const struct http_limits *limits)
{
    return (int64_t)(sizeof(struct exchange) + count_data_bytes(limits) + OUT_START_BYTES);
}

struct exchanges *exchanges_new(struct http_server *server, const struct http_limits *limits)
{
    struct exchanges *exchanges = must_calloc(1, sizeof(*exchanges));
    exchanges->server = server;
    exchanges->data_bytes = count_data_bytes(limits);
    return exchanges;
}

void exchanges_free(struct exchanges **exchanges)
{
    if (!*exchanges)
        return;
    for (struct exchange *exchange; (exchange = (*exchanges)->spare);) {
        unlink_from(&(*exchanges)->spare, exchange);
        exchange_free(exchange);
    }
    for (struct exchange *exchange = (*exchanges)->unanswered; exchange; exchange = exchange->next) {
        MUST(exchange->conn == NULL);
        exchange->pool = NULL;
    }
    free(*exchanges);
    *exchanges = NULL;
}

size_t exchanges_data_bytes(const struct exchanges *exchanges)
{
    return exchanges->data_bytes;
}

size_t exchanges_orphan_count(const struct exchanges *exchanges)
{
    return exchanges->orphan_count;
}

struct http_server *exchange_server(const struct exchange *exchange)
{
    return exchange->pool ? exchange->pool->server : NULL;
}

static struct exchange *exchange_new(struct exchanges *exchanges)
{
    struct exchange *exchange = must_malloc(sizeof(*exchange) + exchanges->data_bytes);
    memset(exchange, 0, sizeof(*exchange));
    exchange->pool = exchanges;
    buf_init_growing(&exchange->out, OUT_START_BYTES, OUT_MAX_BYTES);
    return exchange;
}

struct exchange *exchange_take(struct exchanges *exchanges, struct conn *conn)
{
    struct exchange *exchange = exchanges->spare;
    if (exchange) {
        unlink_from(&exchanges->spare, exchange);
        exchanges->spare_count--;
    } else {
        exchange = exchange_new(exchanges);
    }
    exchange->conn = conn;
    exchange->is_http10 = exchange->peer_closes = false;
    exchange->begin = exchange->end = 0;
    exchange->head_bytes = exchange->body_bytes = 0;
    exchange->scan = (struct scan){0};
    return exchange;
}

void exchange_give_back(struct exchange *exchange)
{
    struct exchanges *exchanges = exchange->pool;
    MUST(!exchange->is_unanswered);
    exchange->conn = NULL;
    buf_clear(&exchange->out);
    if (!exchanges || exchanges->spare_count == MAX_SPARE || exchange->out.cap > OUT_MAX_SPARE_BYTES) {
        exchange_free(exchange);
        return;
    }
    push(&exchanges->spare, exchange);
    exchanges->spare_count++;
}

void exchange_begin_answer(struct exchange *exchange)
{
    MUST(!exchange->is_unanswered);
    exchange->is_unanswered = true;
    push(&exchange->pool->unanswered, exchange);
}

/* Nobody walks the list of a server that has gone, so its members need not leave it. */
void exchange_end_answer(struct exchange *exchange)
{
    MUST(exchange->is_unanswered); /* a handler answers exactly once */
    exchange->is_unanswered = false;
    if (!exchange->pool)
        return;
    unlink_from(&exchange->pool->unanswered, exchange);
    if (!exchange->conn)
        exchange->pool->orphan_count--;
}

void exchange_orphan(struct exchange *exchange)
{
    MUST(exchange->is_unanswered && exchange->conn);
    exchange->conn = NULL;
    exchange->pool->orphan_count++;
}

struct buf exchange_take_out(struct exchange *exchange)
{
    struct buf out = exchange->out;
    buf_init_growing(&exchange->out, OUT_START_BYTES, OUT_MAX_BYTES);
    return out;
}

void exchange_begin_next(struct exchange *exchange, mono_ms now)
{
    exchange->begin += exchange->head_bytes + exchange->body_bytes;
    MUST(exchange->begin <= exchange->end);
    exchange->head_bytes = exchange->body_bytes = 0;
    exchange->scan = (struct scan){0};
    exchange->began = now;
}

void exchange_compact(struct exchange *exchange)
{
    MUST(!exchange->is_unanswered);
    if (exchange->begin == 0)
        return;
    memmove(exchange->data, exchange->data + exchange->begin, exchange->end - exchange->begin);
    exchange->end -= exchange->begin;
    exchange->begin = 0;
    exchange->head_bytes = exchange->body_bytes = 0;
    exchange->scan = (struct scan){0};
}
