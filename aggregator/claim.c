/* SPDX-License-Identifier: Apache-2.0
 * claim: see the header. Streams stand in an array, found by open addressing, at most half full. */
#include "aggregator/claim.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { START_STREAMS = 16 };

struct claim_streams {
    struct claim_stream *at;
    size_t count;
    size_t cap;
    uint32_t *slots; /* position + 1; 0: empty. Twice cap, which is a power of two. */
    uint64_t seed;   /* stream names come from outside */
};

/* ---- Streams ---- */

static void reserve(struct claim_streams *streams, size_t cap)
{
    streams->cap = cap;
    streams->at = must_realloc(streams->at, cap * sizeof *streams->at);
    free(streams->slots);
    streams->slots = must_calloc(2 * cap, sizeof *streams->slots);
}

static struct claim_streams *streams_new(void)
{
    struct claim_streams *streams = must_calloc(1, sizeof *streams);
    reserve(streams, START_STREAMS);
    random_bytes(&streams->seed, sizeof streams->seed);
    return streams;
}

static void streams_clear(struct claim_streams *streams)
{
    for (size_t i = 0; i < streams->count; i++) {
        received_fini(&streams->at[i].set);
        audit_fini(&streams->at[i].audit);
    }
    streams->count = 0;
    memset(streams->slots, 0, 2 * streams->cap * sizeof *streams->slots);
}

static void streams_free(struct claim_streams *streams)
{
    streams_clear(streams);
    free(streams->at);
    free(streams->slots);
    free(streams);
}

static bool is_same_stream(const struct hit_stream *a, const struct hit_stream *b)
{
    return a->partition == b->partition && uuid_equals(a->boot, b->boot);
}

/* Where the stream is or would be. */
static uint32_t *slot_of(const struct claim_streams *streams, const struct hit_stream *stream)
{
    uint64_t hash = XXH3_64bits_withSeed(&stream->boot, sizeof stream->boot,
                                         streams->seed ^ (uint64_t)(unsigned)stream->partition);
    size_t mask = 2 * streams->cap - 1;
    size_t at = hash & mask;
    while (streams->slots[at] != 0 && !is_same_stream(&streams->at[streams->slots[at] - 1].stream, stream))
        at = (at + 1) & mask;
    return &streams->slots[at];
}

static void grow(struct claim_streams *streams)
{
    reserve(streams, 2 * streams->cap);
    for (size_t i = 0; i < streams->count; i++)
        *slot_of(streams, &streams->at[i].stream) = (uint32_t)i + 1;
}

struct claim_stream *claim_stream_find(const struct claim *claim, const struct hit_stream *stream)
{
    uint32_t slot = *slot_of(claim->streams, stream);
    return slot == 0 ? NULL : &claim->streams->at[slot - 1];
}

struct claim_stream *claim_stream_add(struct claim *claim, const struct hit_stream *stream,
                                      struct received set)
{
    struct claim_streams *streams = claim->streams;
    if (streams->count == streams->cap)
        grow(streams);
    uint32_t *slot = slot_of(streams, stream);
    MUST(*slot == 0);
    struct claim_stream *added = &streams->at[streams->count++];
    *added = (struct claim_stream){.stream = *stream, .set = set};
    *slot = (uint32_t)streams->count;
    return added;
}

void claim_streams_trim(struct claim *claim)
{
    if (claim->streams->count <= CLAIM_MAX_STREAMS)
        return;
    for (size_t i = 0; i < claim->streams->count; i++)
        MUST(!claim->streams->at[i].changed && !claim->streams->at[i].is_audit_changed);
    streams_clear(claim->streams);
}

struct claim_stream *claim_stream_next(const struct claim *claim, size_t *cursor)
{
    return *cursor < claim->streams->count ? &claim->streams->at[(*cursor)++] : NULL;
}

/* ---- The claim ---- */

struct claim *claim_new(int partition, int64_t gap_ms, size_t max_open)
{
    struct claim *claim = must_calloc(1, sizeof *claim);
    claim->partition = partition;
    claim->stored_until.ms = INT64_MIN;
    claim->greatest_event.ms = INT64_MIN;
    claim->log_time.ms = INT64_MIN;
    claim->sessions = sessions_new(gap_ms, max_open);
    claim->streams = streams_new();
    return claim;
}

void claim_free(struct claim **claim)
{
    if (*claim == NULL)
        return;
    sessions_free(&(*claim)->sessions);
    streams_free((*claim)->streams);
    holes_fini(&(*claim)->holes);
    free(*claim);
    *claim = NULL;
}

wall_ms claim_watermark(const struct claim *claim, wall_ms now, int64_t quiet_ms, int64_t lateness_ms)
{
    wall_ms watermark = claim->greatest_event.ms < now.ms ? claim->greatest_event : now;
    if (quiet_ms >= lateness_ms && watermark.ms < now.ms - lateness_ms)
        watermark.ms = now.ms - lateness_ms;
    return watermark;
}
