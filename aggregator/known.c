/* SPDX-License-Identifier: Apache-2.0
 * known: see the header. Open addressing, at most half full. */
#include "aggregator/known.h"

#include <stdlib.h>

#include "base/status.h"

#define EMPTY INT64_MIN /* never remembered itself, which is allowed */

struct known {
    size_t count;
    size_t max_count;
    size_t mask;
    int64_t *slots;
};

static void empty_slots(struct known *known)
{
    for (size_t i = 0; i <= known->mask; i++)
        known->slots[i] = EMPTY;
}

struct known *known_new(size_t max_count)
{
    struct known *known = must_calloc(1, sizeof *known);
    size_t slot_count = 16;
    while (slot_count < 2 * max_count)
        slot_count *= 2;
    known->max_count = max_count;
    known->mask = slot_count - 1;
    known->slots = must_malloc(slot_count * sizeof *known->slots);
    empty_slots(known);
    return known;
}

void known_free(struct known **known)
{
    if (*known == NULL)
        return;
    free((*known)->slots);
    free(*known);
    *known = NULL;
}

/* Where the number is or would be. */
static size_t slot_of(const struct known *known, int64_t number)
{
    uint64_t mixed = (uint64_t)number * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(mixed >> 32) & known->mask;
    while (known->slots[at] != EMPTY && known->slots[at] != number)
        at = (at + 1) & known->mask;
    return at;
}

bool known_has(const struct known *known, int64_t number)
{
    return number != EMPTY && known->slots[slot_of(known, number)] == number;
}

void known_add(struct known *known, int64_t number)
{
    if (number == EMPTY || known_has(known, number))
        return;
    if (known->count == known->max_count)
        known_clear(known);
    known->slots[slot_of(known, number)] = number;
    known->count++;
}

void known_clear(struct known *known)
{
    if (known->count > 0)
        empty_slots(known);
    known->count = 0;
}
