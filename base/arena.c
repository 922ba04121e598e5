/* SPDX-License-Identifier: Apache-2.0
 * arena: see the header. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

struct arena {
    size_t chunk_bytes;
    size_t max_bytes;
    size_t used_bytes;    /* taken since the last clear */
    struct chunk *first;  /* all chunks, in the order of their use */
    struct chunk *at;     /* the one that is being filled */
    size_t at_used_bytes; /* of it */
};

struct arena *arena_new(size_t chunk_bytes, size_t max_bytes)
{
    struct arena *arena = must_calloc(1, sizeof *arena);
    arena->chunk_bytes = chunk_bytes;
    arena->max_bytes = max_bytes;
    return arena;
}

void arena_free(struct arena **arena)
{
    if (*arena == NULL)
        return;
    for (struct chunk *chunk = (*arena)->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*arena);
    *arena = NULL;
}

/* A kept chunk that is too small for a large piece is passed over until the next clear. */
static void next_chunk(struct arena *arena, size_t size)
{
    struct chunk **link = arena->at != NULL ? &arena->at->next : &arena->first;
    while (*link != NULL && (*link)->size < size)
        link = &(*link)->next;
    if (*link == NULL) {
        size_t room = size > arena->chunk_bytes ? size : arena->chunk_bytes;
        *link = must_malloc(sizeof **link + room);
        **link = (struct chunk){.size = room};
    }
    arena->at = *link;
    arena->at_used_bytes = 0;
}

void *arena_take(struct arena *arena, size_t size)
{
    MUST(size <= arena->max_bytes);
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    arena->used_bytes += size;
    MUST(arena->used_bytes <= arena->max_bytes + alignof(max_align_t));
    if (arena->at == NULL || size > arena->at->size - arena->at_used_bytes)
        next_chunk(arena, size);
    void *memory = arena->at->data + arena->at_used_bytes;
    arena->at_used_bytes += size;
    return memory;
}

slice arena_copy(struct arena *arena, slice s)
{
    if (s.len == 0)
        return (slice){NULL, 0};
    char *copy = arena_take(arena, s.len);
    memcpy(copy, s.data, s.len);
    return (slice){copy, s.len};
}

void arena_clear(struct arena *arena)
{
    arena->used_bytes = 0;
    arena->at = NULL;
    arena->at_used_bytes = 0;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}
