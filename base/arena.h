/* SPDX-License-Identifier: Apache-2.0
 * arena: memory of one batch or request, taken in order and given back all at once.
 *
 * Chunks are kept for reuse after arena_clear, so that a steady load allocates nothing. Owner: whoever holds
 * the batch. One thread. The maximum is a bug guard: callers cap what they put in, exceeding it stops the
 * process. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena;

struct arena *arena_new(size_t chunk_bytes, size_t max_bytes);
void arena_free(struct arena **arena); /* accepts NULL, leaves NULL */
/* Aligned for any type, uninitialised, valid until arena_clear. */
void *arena_take(struct arena *arena, size_t size);
slice arena_copy(struct arena *arena, slice s);
void arena_clear(struct arena *arena);
size_t arena_used_bytes(const struct arena *arena);

#endif
