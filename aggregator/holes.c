/* SPDX-License-Identifier: Apache-2.0
 * holes: see the header. An array; in health it is empty. */
#include "aggregator/holes.h"

#include <stdlib.h>

void holes_fini(struct holes *holes)
{
    free(holes->at);
    *holes = (struct holes){.count = 0};
}

static struct hole *find(const struct holes *holes, const struct hit_stream *stream)
{
    for (size_t i = 0; i < holes->count; i++) {
        const struct hit_stream *one = &holes->at[i].stream;
        if (one->partition == stream->partition && uuid_equals(one->boot, stream->boot))
            return &holes->at[i];
    }
    return NULL;
}

static void drop(struct holes *holes, struct hole *hole)
{
    *hole = holes->at[--holes->count];
}

static void add(struct holes *holes, const struct hole *hole)
{
    if (holes->count == HOLES_MAX)
        return;
    if (holes->count == holes->cap) {
        holes->cap = holes->cap == 0 ? 4 : 2 * holes->cap;
        holes->at = must_realloc(holes->at, holes->cap * sizeof *holes->at);
    }
    struct hole *added = &holes->at[holes->count++];
    *added = *hole;
    added->is_told = false;
}

void holes_set(struct holes *holes, const struct hole *hole)
{
    struct hole *known = find(holes, &hole->stream);
    if (known == NULL && hole->missing.count > 0) {
        add(holes, hole);
    } else if (known != NULL && hole->missing.count == 0 && !known->is_told) {
        drop(holes, known);
    } else if (known != NULL) {
        bool is_told = known->is_told;
        *known = *hole;
        known->is_told = is_told;
    }
}

static bool is_due(const struct hole *hole, const struct holes_time *time)
{
    return hole->is_overdue || time->quiet_ms >= HOLES_PATIENCE_MS ||
           time->log.ms >= hole->ended.ms + HOLES_PATIENCE_MS;
}

bool holes_next_news(struct holes *holes, const struct holes_time *time, struct hole *news)
{
    for (size_t i = 0; i < holes->count; i++) {
        struct hole *hole = &holes->at[i];
        bool is_filled = hole->missing.count == 0;
        if (!is_filled && (hole->is_told || !is_due(hole, time)))
            continue;
        hole->is_told = true;
        *news = *hole;
        if (is_filled)
            drop(holes, hole);
        return true;
    }
    return false;
}

void holes_measure(const struct holes *holes, struct holes_measure *sum)
{
    for (size_t i = 0; i < holes->count; i++) {
        const struct hole *hole = &holes->at[i];
        if (!hole->is_told || hole->missing.count == 0)
            continue;
        sum->stream_count++;
        if (__builtin_add_overflow(sum->missing_count, hole->missing.count, &sum->missing_count))
            sum->missing_count = INT64_MAX;
    }
}
