/* SPDX-License-Identifier: Apache-2.0
 * strings: see the header. A record a text, found through a table of chains; the bytes lie in blocks of a few
 * sizes that are cut from an arena and, once given back, wait in a list of their size. */
#include "aggregator/strings.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "aggregator/chains.h"
#include "base/arena.h"
#include "base/uuid.h"

/* Sizes of blocks: every 16 bytes up to 128, then four to each doubling, so at most a fifth is unused. */
enum {
    BLOCK_STEP = 16,
    SMALL_BLOCK = 128,
    SMALL_CLASSES = SMALL_BLOCK / BLOCK_STEP,
    CLASSES = SMALL_CLASSES + 4 * 7, /* 128 to 16384: seven doublings */
    CHUNK_BYTES = 64 * 1024,
    START_TEXTS = 64,
};

/* Only a bug comes near: it is the sessions in whose use the texts are that are counted. */
static const size_t max_bytes = (size_t)1 << 40;

struct text {
    char *bytes;
    uint32_t len;
    uint32_t hash;
    uint32_t uses; /* 0: free */
    uint32_t next; /* in the chain, or in the list of free records */
};

struct block { /* that is free */
    struct block *next;
};

struct strings {
    struct text *texts; /* texts[0] is the empty one */
    uint32_t used;      /* records ever taken */
    uint32_t cap;
    uint32_t first_free;
    uint32_t count;
    struct chains chains; /* by hash, one a text on average */
    uint64_t seed;
    size_t used_bytes;
    struct block *free_blocks[CLASSES];
    struct arena *arena;
};

struct strings *strings_new(void)
{
    struct strings *strings = must_calloc(1, sizeof *strings);
    strings->cap = START_TEXTS;
    strings->texts = must_calloc(strings->cap, sizeof *strings->texts);
    strings->used = 1;
    chains_init(&strings->chains);
    strings->arena = arena_new(CHUNK_BYTES, max_bytes);
    random_bytes(&strings->seed, sizeof strings->seed);
    return strings;
}

void strings_free(struct strings **strings)
{
    if (*strings == NULL)
        return;
    arena_free(&(*strings)->arena);
    free((*strings)->texts);
    chains_fini(&(*strings)->chains);
    free(*strings);
    *strings = NULL;
}

/* ---- Blocks ---- */

static size_t class_of(size_t len)
{
    if (len <= SMALL_BLOCK)
        return (len - 1) / BLOCK_STEP;
    size_t doubling = 63 - (size_t)__builtin_clzll(len - 1); /* 7 for 129 … 256 */
    size_t quarter = ((len - 1) >> (doubling - 2)) & 3;
    return SMALL_CLASSES + (doubling - 7) * 4 + quarter;
}

static size_t class_bytes(size_t class)
{
    if (class < SMALL_CLASSES)
        return (class + 1) * BLOCK_STEP;
    size_t doubling = (class - SMALL_CLASSES) / 4;
    size_t quarter = (class - SMALL_CLASSES) % 4;
    return ((size_t)SMALL_BLOCK << doubling) / 4 * (5 + quarter);
}

static char *take_block(struct strings *strings, size_t len)
{
    size_t class = class_of(len);
    struct block *block = strings->free_blocks[class];
    strings->used_bytes += class_bytes(class);
    if (block == NULL)
        return arena_take(strings->arena, class_bytes(class));
    strings->free_blocks[class] = block->next;
    return (char *)block;
}

static void give_block(struct strings *strings, char *bytes, size_t len)
{
    size_t class = class_of(len);
    struct block *block = (struct block *)(void *)bytes; /* blocks are aligned for any type */
    strings->used_bytes -= class_bytes(class);
    block->next = strings->free_blocks[class];
    strings->free_blocks[class] = block;
}

/* ---- Records ---- */

static uint32_t hash_of(const struct strings *strings, slice text)
{
    return (uint32_t)XXH3_64bits_withSeed(text.data, text.len, strings->seed);
}

static uint32_t find_hashed(const struct strings *strings, slice text, uint32_t hash)
{
    uint32_t id = *chains_at(&strings->chains, hash);
    while (id != 0) {
        const struct text *known = &strings->texts[id];
        if (known->hash == hash && slice_equals((slice){known->bytes, known->len}, text))
            break;
        id = known->next;
    }
    return id;
}

static void link_text(struct strings *strings, uint32_t id)
{
    uint32_t *first = chains_at(&strings->chains, strings->texts[id].hash);
    strings->texts[id].next = *first;
    *first = id;
}

static void unlink_text(struct strings *strings, uint32_t id)
{
    uint32_t *at = chains_at(&strings->chains, strings->texts[id].hash);
    while (*at != id)
        at = &strings->texts[*at].next;
    *at = strings->texts[id].next;
}

static void add_chain(struct strings *strings)
{
    uint32_t id = chains_split(&strings->chains);
    for (uint32_t next; id != 0; id = next) {
        next = strings->texts[id].next;
        link_text(strings, id);
    }
}

static uint32_t take_record(struct strings *strings)
{
    uint32_t id = strings->first_free;
    if (id != 0) {
        strings->first_free = strings->texts[id].next;
        return id;
    }
    if (strings->used == strings->cap) {
        MUST(strings->cap <= UINT32_MAX / 2);
        strings->cap *= 2;
        strings->texts = must_realloc(strings->texts, strings->cap * sizeof *strings->texts);
    }
    return strings->used++;
}

static string_id add_new(struct strings *strings, slice text, uint32_t hash)
{
    if (strings->count == strings->chains.count)
        add_chain(strings);
    uint32_t id = take_record(strings);
    char *bytes = take_block(strings, text.len);
    memcpy(bytes, text.data, text.len);
    strings->texts[id] = (struct text){.bytes = bytes, .len = (uint32_t)text.len, .hash = hash, .uses = 1};
    link_text(strings, id);
    strings->count++;
    return id;
}

string_id strings_add(struct strings *strings, slice text)
{
    MUST(text.len <= STRINGS_MAX_LEN);
    if (text.len == 0)
        return 0;
    uint32_t hash = hash_of(strings, text);
    uint32_t id = find_hashed(strings, text, hash);
    if (id == 0)
        return add_new(strings, text, hash);
    MUST(strings->texts[id].uses < UINT32_MAX);
    strings->texts[id].uses++;
    return id;
}

string_id strings_find(const struct strings *strings, slice text)
{
    if (text.len == 0 || text.len > STRINGS_MAX_LEN)
        return 0;
    return find_hashed(strings, text, hash_of(strings, text));
}

void strings_remove(struct strings *strings, string_id id)
{
    if (id == 0)
        return;
    struct text *text = &strings->texts[id];
    MUST(id < strings->used && text->uses > 0);
    if (--text->uses > 0)
        return;
    unlink_text(strings, id);
    give_block(strings, text->bytes, text->len);
    text->next = strings->first_free;
    strings->first_free = id;
    strings->count--;
}

slice strings_text(const struct strings *strings, string_id id)
{
    MUST(id == 0 || (id < strings->used && strings->texts[id].uses > 0));
    return (slice){strings->texts[id].bytes, strings->texts[id].len};
}

size_t strings_count(const struct strings *strings)
{
    return strings->count;
}

size_t strings_used_bytes(const struct strings *strings)
{
    return strings->used_bytes;
}
