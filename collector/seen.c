/* SPDX-License-Identifier: Apache-2.0
 * seen: a ring of entries in order of arrival, and a hash index (open addressing) of places in it. */
#include "collector/seen.h"

#include <stdlib.h>
#include <xxhash.h>

enum { NOWHERE = 0 }; /* the index holds place + 1, so that fresh zero pages will do */

struct entry {
    uuid id;
    uint64_t position; /* 0: nothing is here */
    mono_ms since;
};

struct seen {
    struct entry *ring;
    size_t ring_size;
    size_t next; /* the place of the next id: the oldest one's, once the ring is full */
    uint32_t *index;
    size_t index_mask; /* size - 1; at most half of it is in use */
    size_t count;
    int64_t keep_ms;
    uint64_t seed;
};

struct seen *seen_new(size_t max_ids, int64_t keep_ms)
{
    MUST(max_ids > 0 && max_ids < UINT32_MAX / 4);
    struct seen *seen = must_calloc(1, sizeof(*seen));
    size_t index_size = 2;
    while (index_size < 2 * max_ids)
        index_size *= 2;
    seen->ring = must_calloc(max_ids, sizeof(*seen->ring));
    seen->ring_size = max_ids;
    seen->index = must_calloc(index_size, sizeof(*seen->index));
    seen->index_mask = index_size - 1;
    seen->keep_ms = keep_ms;
    random_bytes(&seen->seed, sizeof(seen->seed));
    return seen;
}

void seen_free(struct seen **seen)
{
    if (!*seen)
        return;
    free((*seen)->ring);
    free((*seen)->index);
    free(*seen);
    *seen = NULL;
}

static size_t slot_of(const struct seen *seen, uuid id)
{
    return XXH3_64bits_withSeed(id.bytes, sizeof(id.bytes), seen->seed) & seen->index_mask;
}

static struct entry *entry_of(const struct seen *seen, size_t slot)
{
    return &seen->ring[seen->index[slot] - 1];
}

/* The slot that holds the id, or the empty one where it would go. */
static size_t find_slot(const struct seen *seen, uuid id)
{
    size_t slot = slot_of(seen, id);
    while (seen->index[slot] != NOWHERE && !uuid_equals(entry_of(seen, slot)->id, id))
        slot = (slot + 1) & seen->index_mask;
    return slot;
}

/* Closes the gap: whatever was pushed past this slot by a collision moves up. */
static void empty_slot(struct seen *seen, size_t slot)
{
    size_t mask = seen->index_mask, gap = slot;
    for (size_t at = (gap + 1) & mask; seen->index[at] != NOWHERE; at = (at + 1) & mask) {
        size_t home = slot_of(seen, entry_of(seen, at)->id);
        if (((at - home) & mask) < ((at - gap) & mask))
            continue; /* it stands between the gap and its home */
        seen->index[gap] = seen->index[at];
        gap = at;
    }
    seen->index[gap] = NOWHERE;
}

static void remove_entry(struct seen *seen, struct entry *entry)
{
    size_t slot = find_slot(seen, entry->id);
    MUST(seen->index[slot] != NOWHERE && entry_of(seen, slot) == entry);
    empty_slot(seen, slot);
    entry->position = 0;
    seen->count--;
}

static void enter(struct seen *seen, uuid id, mono_ms now, uint64_t position)
{
    struct entry *entry = &seen->ring[seen->next];
    if (entry->position != 0)
        remove_entry(seen, entry);
    *entry = (struct entry){.id = id, .position = position, .since = now};
    seen->index[find_slot(seen, id)] = (uint32_t)seen->next + 1;
    seen->next = (seen->next + 1) % seen->ring_size;
    seen->count++;
}

static struct entry *find_entry(const struct seen *seen, uuid id)
{
    size_t slot = find_slot(seen, id);
    return seen->index[slot] == NOWHERE ? NULL : entry_of(seen, slot);
}

bool seen_add(struct seen *seen, uuid id, mono_ms now, uint64_t *position)
{
    struct entry *entry = find_entry(seen, id);
    MUST(*position != 0);
    if (entry && now.ms - entry->since.ms < seen->keep_ms) {
        *position = entry->position;
        return false;
    }
    if (entry)
        remove_entry(seen, entry);
    enter(seen, id, now, *position);
    return true;
}

size_t seen_count(const struct seen *seen)
{
    return seen->count;
}
