/* SPDX-License-Identifier: Apache-2.0
 * parts: see the header. An array of parts, found by chains. */
#include "aggregator/parts.h"

#include <stdlib.h>
#include <xxhash.h>

#include "aggregator/batch.h"
#include "base/uuid.h"

enum { START_PARTS = 4096, CHAINS = 32768 /* a power of two */ };
_Static_assert((int)CHAINS > (int)BATCH_MAX_HITS, "most chains hold one part");

struct parts {
    int64_t gap_ms;
    uint64_t seed;
    size_t count;
    size_t cap;
    struct part *at;
    uint32_t chains[CHAINS];
};

struct parts *parts_new(int64_t gap_ms)
{
    struct parts *parts = must_calloc(1, sizeof *parts);
    parts->gap_ms = gap_ms;
    random_bytes(&parts->seed, sizeof parts->seed);
    parts->cap = START_PARTS;
    parts->at = must_malloc(parts->cap * sizeof *parts->at);
    return parts;
}

void parts_free(struct parts **parts)
{
    if (*parts == NULL)
        return;
    free((*parts)->at);
    free(*parts);
    *parts = NULL;
}

void parts_clear(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) /* a batch of few hits does not pay for all chains */
        parts->chains[parts->at[i].hash % CHAINS] = 0;
    parts->count = 0;
}

static uint32_t hash_of(const struct parts *parts, int home, const struct session *value)
{
    uint64_t of_host = XXH3_64bits_withSeed(value->host.data, value->host.len, parts->seed);
    return (uint32_t)XXH3_64bits_withSeed(value->ip.bytes, sizeof value->ip.bytes, of_host + (uint64_t)home);
}

static void open_part(struct parts *parts, int home, uint32_t hash, const struct session *value)
{
    if (parts->count == parts->cap) {
        MUST(parts->cap < UINT32_MAX / 2);
        parts->cap *= 2;
        parts->at = must_realloc(parts->at, parts->cap * sizeof *parts->at);
    }
    uint32_t *chain = &parts->chains[hash % CHAINS];
    parts->at[parts->count++] = (struct part){.value = *value, .home = home, .hash = hash, .next = *chain};
    *chain = (uint32_t)parts->count;
}

static bool belongs(const struct parts *parts, const struct part *part, int home, uint32_t hash,
                    const struct session *value)
{
    return part->hash == hash && part->home == home && session_is_same_key(&part->value, value) &&
           session_touches(&part->value, value, parts->gap_ms);
}

void parts_add(struct parts *parts, int home, const struct session *value)
{
    uint32_t hash = hash_of(parts, home, value);
    struct part *whole = NULL;
    for (uint32_t *link = &parts->chains[hash % CHAINS]; *link != 0;) {
        struct part *part = &parts->at[*link - 1];
        if (!belongs(parts, part, home, hash, value)) {
            link = &part->next;
        } else if (whole == NULL) {
            whole = part;
            link = &part->next;
        } else {
            session_merge(&whole->value, &part->value);
            part->is_joined = true;
            *link = part->next;
        }
    }
    if (whole != NULL)
        session_merge(&whole->value, value);
    else
        open_part(parts, home, hash, value);
}

const struct part *parts_next(const struct parts *parts, size_t *cursor)
{
    while (*cursor < parts->count) {
        const struct part *part = &parts->at[(*cursor)++];
        if (!part->is_joined)
            return part;
    }
    return NULL;
}
