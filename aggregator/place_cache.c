/* SPDX-License-Identifier: Apache-2.0
 * place_cache: see the header. Entries stand in an array that the hand goes round; a hash leads to them by
 * chains. */
#include "aggregator/place_cache.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/uuid.h"

enum { NO_ENTRY = UINT32_MAX };

struct entry {
    ip_address ip;
    wall_ms until;
    struct place *place; /* with its texts behind it; NULL unless known */
    uint32_t next;       /* in the chain */
    bool is_asked;
    bool is_used; /* since the hand last passed */
};

struct place_cache {
    uint64_t seed;
    uint32_t max_entries;
    uint32_t count;
    uint32_t hand;
    uint32_t asked_count;
    uint32_t head_count; /* a power of two */
    uint32_t *heads;
    struct entry *entries;
};

struct place_cache *place_cache_new(size_t max_entries)
{
    MUST(max_entries > 0 && max_entries < UINT32_MAX / 2);
    struct place_cache *cache = must_calloc(1, sizeof *cache);
    random_bytes(&cache->seed, sizeof cache->seed);
    cache->max_entries = (uint32_t)max_entries;
    for (cache->head_count = 1; cache->head_count < max_entries;)
        cache->head_count *= 2;
    cache->heads = must_malloc(cache->head_count * sizeof *cache->heads);
    memset(cache->heads, 0xff, cache->head_count * sizeof *cache->heads); /* NO_ENTRY each */
    cache->entries = must_calloc(max_entries, sizeof *cache->entries);
    return cache;
}

void place_cache_free(struct place_cache **cache)
{
    if (*cache == NULL)
        return;
    for (uint32_t i = 0; i < (*cache)->count; i++)
        free((*cache)->entries[i].place);
    free((*cache)->entries);
    free((*cache)->heads);
    free(*cache);
    *cache = NULL;
}

static uint32_t *head_of(struct place_cache *cache, ip_address ip)
{
    uint64_t hash = XXH3_64bits_withSeed(ip.bytes, sizeof ip.bytes, cache->seed);
    return &cache->heads[hash & (cache->head_count - 1)];
}

static struct entry *find_entry(struct place_cache *cache, ip_address ip)
{
    uint32_t at = *head_of(cache, ip);
    while (at != NO_ENTRY && !ip_equals(cache->entries[at].ip, ip))
        at = cache->entries[at].next;
    return at == NO_ENTRY ? NULL : &cache->entries[at];
}

enum place_standing place_cache_find(struct place_cache *cache, ip_address ip, wall_ms now,
                                     const struct place **place)
{
    struct entry *entry = find_entry(cache, ip);
    if (entry == NULL)
        return PLACE_NEW;
    if (entry->is_asked)
        return PLACE_ASKED;
    if (now.ms >= entry->until.ms)
        return PLACE_NEW;
    entry->is_used = true;
    *place = entry->place;
    return entry->place != NULL ? PLACE_KNOWN : PLACE_NOTHING;
}

/* ---- Room ---- */

static void unlink_entry(struct place_cache *cache, uint32_t at)
{
    uint32_t *link = head_of(cache, cache->entries[at].ip);
    while (*link != at)
        link = &cache->entries[*link].next;
    *link = cache->entries[at].next;
}

/* Two rounds of the hand suffice: the first one takes the marks. */
static uint32_t free_one(struct place_cache *cache)
{
    MUST(cache->asked_count < cache->max_entries);
    for (;;) {
        uint32_t at = cache->hand;
        struct entry *entry = &cache->entries[at];
        cache->hand = (at + 1) % cache->max_entries;
        if (entry->is_asked)
            continue;
        if (!entry->is_used) {
            unlink_entry(cache, at);
            free(entry->place);
            return at;
        }
        entry->is_used = false;
    }
}

static struct entry *add_entry(struct place_cache *cache, ip_address ip)
{
    uint32_t at = cache->count < cache->max_entries ? cache->count++ : free_one(cache);
    uint32_t *head = head_of(cache, ip);
    cache->entries[at] = (struct entry){.ip = ip, .next = *head};
    *head = at;
    return &cache->entries[at];
}

static struct entry *find_or_add(struct place_cache *cache, ip_address ip)
{
    struct entry *entry = find_entry(cache, ip);
    return entry != NULL ? entry : add_entry(cache, ip);
}

static void empty_entry(struct place_cache *cache, struct entry *entry)
{
    cache->asked_count -= entry->is_asked;
    entry->is_asked = false;
    free(entry->place);
    entry->place = NULL;
}

void place_cache_ask(struct place_cache *cache, ip_address ip)
{
    struct entry *entry = find_or_add(cache, ip);
    MUST(!entry->is_asked);
    empty_entry(cache, entry);
    entry->is_asked = true;
    cache->asked_count++;
}

static struct place *keep(const struct place *place)
{
    struct place *kept = must_malloc(sizeof *kept + place_text_bytes(place));
    *kept = place_copy(place, (char *)(kept + 1));
    return kept;
}

void place_cache_put(struct place_cache *cache, ip_address ip, const struct place *place, wall_ms until)
{
    struct place *kept = place != NULL ? keep(place) : NULL; /* it may be the entry's own */
    struct entry *entry = find_or_add(cache, ip);
    empty_entry(cache, entry);
    entry->place = kept;
    entry->until = until;
}

size_t place_cache_count(const struct place_cache *cache)
{
    return cache->count;
}
