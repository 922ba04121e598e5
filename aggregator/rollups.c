/* SPDX-License-Identifier: Apache-2.0
 * rollups: see the header. */
#include "aggregator/rollups.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "aggregator/paths.h"
#include "aggregator/row.h"
#include "base/uuid.h"

enum {
    HOUR_MS = 60 * 60 * 1000,
    DAY_MS = 24 * HOUR_MS,
    FIELDS = 11,
    COUNT_BYTES = 12, /* the last field: length and value */
    KINDS = 3,
    MAX_SUMS = KINDS * BATCH_MAX_HITS,
    SLOTS = 131072,
    START_BYTES = 64 * 1024,
    /* Of a row without its texts, which also stand in a row of the batch. */
    MAX_BARE_BYTES = 128,
    MAX_BYTES = KINDS * (BATCH_MAX_BYTES + MAX_BARE_BYTES * BATCH_MAX_HITS),
};
_Static_assert(SLOTS >= 2 * MAX_SUMS, "open addressing, at most half full");

struct slot {
    uint32_t hash;
    uint32_t start; /* of the row in rows */
    uint32_t len;   /* of the row without its count; 0: the slot is empty */
};

struct rollups {
    uint64_t seed;
    struct buf rows;
    size_t count;
    uint32_t filled[MAX_SUMS]; /* slots: a batch of few hits does not pay for emptying them all */
    struct slot slots[SLOTS];
};

struct rollups *rollups_new(void)
{
    struct rollups *rollups = must_calloc(1, sizeof *rollups);
    random_bytes(&rollups->seed, sizeof rollups->seed);
    buf_init_growing(&rollups->rows, START_BYTES, MAX_BYTES);
    return rollups;
}

void rollups_free(struct rollups **rollups)
{
    if (*rollups == NULL)
        return;
    buf_fini(&(*rollups)->rows);
    free(*rollups);
    *rollups = NULL;
}

void rollups_clear(struct rollups *rollups)
{
    for (size_t i = 0; i < rollups->count; i++)
        rollups->slots[rollups->filled[i]].len = 0;
    rollups->count = 0;
    buf_clear(&rollups->rows);
}

/* ---- One sum ---- */

static bool holds(const struct rollups *rollups, const struct slot *slot, const struct slot *wanted)
{
    return slot->hash == wanted->hash && slot->len == wanted->len &&
           memcmp(rollups->rows.data + slot->start, rollups->rows.data + wanted->start, slot->len) == 0;
}

static void add_one(struct rollups *rollups, const struct slot *slot)
{
    uint64_t hits;
    char *value = rollups->rows.data + slot->start + slot->len + sizeof(uint32_t);
    memcpy(&hits, value, sizeof hits);
    hits = htobe64(be64toh(hits) + 1);
    memcpy(value, &hits, sizeof hits);
}

/* The row that was begun at `start` is complete but for its count. */
static void count_row(struct rollups *rollups, size_t start)
{
    struct buf *rows = &rollups->rows;
    MUST(!rows->overflowed);
    struct slot wanted = {.start = (uint32_t)start, .len = (uint32_t)(rows->len - start)};
    wanted.hash = (uint32_t)XXH3_64bits_withSeed(rows->data + start, wanted.len, rollups->seed);
    uint32_t at = wanted.hash % SLOTS;
    while (rollups->slots[at].len != 0 && !holds(rollups, &rollups->slots[at], &wanted))
        at = (at + 1) % SLOTS;
    if (rollups->slots[at].len != 0) {
        rows->len = start;
        add_one(rollups, &rollups->slots[at]);
        return;
    }
    MUST(rollups->count < MAX_SUMS);
    rollups->slots[at] = wanted;
    rollups->filled[rollups->count++] = at;
    row_add_int64(rows, 1);
    MUST(!rows->overflowed);
}

/* ---- Three of a hit ---- */

static wall_ms begin_of(wall_ms time, int64_t length_ms)
{
    int64_t past = time.ms % length_ms;
    return (wall_ms){time.ms - past - (past < 0 ? length_ms : 0)};
}

/* A page fetched in advance is no bot's, and may never have been looked at. */
static bool is_bot(uint32_t flags)
{
    return (flags & (HIT_FLAG_BOT_AGENT | HIT_FLAG_NO_AGENT)) != 0;
}

static bool is_counted(uint32_t flags)
{
    return (flags & HIT_FLAGS_BOT) == 0;
}

static size_t begin_row(struct rollups *rollups, slice kind, wall_ms at, slice host)
{
    size_t start = rollups->rows.len;
    row_begin(&rollups->rows, FIELDS);
    row_add_text(&rollups->rows, kind);
    row_add_timestamp(&rollups->rows, at);
    row_add_text(&rollups->rows, host);
    return start;
}

static void end_row(struct rollups *rollups, size_t start, const struct batch_hit *hit)
{
    row_add_text(&rollups->rows, hit_source_text(hit->source));
    row_add_bool(&rollups->rows, is_counted(hit->flags));
    count_row(rollups, start);
}

static void add_traffic(struct rollups *rollups, const struct batch_hit *hit)
{
    size_t start = begin_row(rollups, SLICE("traffic"), begin_of(hit->event_time, HOUR_MS), hit->host);
    row_add_null(&rollups->rows);
    row_add_text_or_null(&rollups->rows, hit->country);
    row_add_text_or_null(&rollups->rows, hit->state);
    row_add_text_or_null(&rollups->rows, hit->city);
    row_add_bool(&rollups->rows, is_bot(hit->flags));
    end_row(rollups, start, hit);
}

static void add_no_traffic(struct rollups *rollups)
{
    for (int i = 0; i < 4; i++) /* from country to bot */
        row_add_null(&rollups->rows);
}

static void add_page(struct rollups *rollups, wall_ms day, const struct batch_hit *hit)
{
    size_t start = begin_row(rollups, SLICE("page"), day, hit->host);
    row_add_text(&rollups->rows, paths_page(hit->url));
    add_no_traffic(rollups);
    end_row(rollups, start, hit);
}

static void lower_from(struct buf *rows, size_t start)
{
    for (size_t i = start; i < rows->len; i++)
        if (rows->data[i] >= 'A' && rows->data[i] <= 'Z')
            rows->data[i] = (char)(rows->data[i] + ('a' - 'A'));
}

static void add_referrer(struct rollups *rollups, wall_ms day, const struct batch_hit *hit)
{
    size_t start = begin_row(rollups, SLICE("referrer"), day, hit->host);
    size_t name = rollups->rows.len + sizeof(uint32_t);
    row_add_text_or_null(&rollups->rows, paths_host(hit->referrer));
    lower_from(&rollups->rows, name);
    add_no_traffic(rollups);
    end_row(rollups, start, hit);
}

void rollups_add(struct rollups *rollups, const struct batch_hit *hit)
{
    wall_ms day = begin_of(hit->event_time, DAY_MS);
    add_traffic(rollups, hit);
    add_page(rollups, day, hit);
    add_referrer(rollups, day, hit);
}

const struct buf *rollups_rows(const struct rollups *rollups)
{
    return &rollups->rows;
}

size_t rollups_count(const struct rollups *rollups)
{
    return rollups->count;
}
