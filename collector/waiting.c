/* SPDX-License-Identifier: Apache-2.0
 * waiting: see the header. */
#include "collector/waiting.h"

#include <stdlib.h>

struct waiter {
    struct http_request *request;
    journal_position position;
    mono_ms since;
};

struct waiting {
    size_t max;
    size_t first;
    size_t count;
    struct waiter ring[];
};

struct waiting *waiting_new(size_t max)
{
    MUST(max > 0);
    struct waiting *waiting = must_calloc(1, sizeof(*waiting) + max * sizeof(struct waiter));
    waiting->max = max;
    return waiting;
}

void waiting_free(struct waiting **waiting)
{
    free(*waiting);
    *waiting = NULL;
}

bool waiting_has_room(const struct waiting *waiting)
{
    return waiting->count < waiting->max;
}

static struct waiter *waiter_at(struct waiting *waiting, size_t index)
{
    return &waiting->ring[(waiting->first + index) % waiting->max];
}

void waiting_add(struct waiting *waiting, struct http_request *request, journal_position position,
                 mono_ms now)
{
    MUST(waiting_has_room(waiting));
    if (waiting->count > 0 && waiter_at(waiting, waiting->count - 1)->position > position)
        position = waiter_at(waiting, waiting->count - 1)->position;
    *waiter_at(waiting, waiting->count++) = (struct waiter){request, position, now};
}

static struct http_request *take_first(struct waiting *waiting)
{
    struct http_request *request = waiting->ring[waiting->first].request;
    waiting->first = (waiting->first + 1) % waiting->max;
    waiting->count--;
    return request;
}

struct http_request *waiting_take_safe(struct waiting *waiting, journal_position safe)
{
    bool is_safe = waiting->count > 0 && waiting->ring[waiting->first].position < safe;
    return is_safe ? take_first(waiting) : NULL;
}

struct http_request *waiting_take_older(struct waiting *waiting, mono_ms since)
{
    bool is_older = waiting->count > 0 && waiting->ring[waiting->first].since.ms < since.ms;
    return is_older ? take_first(waiting) : NULL;
}

size_t waiting_count(const struct waiting *waiting)
{
    return waiting->count;
}
