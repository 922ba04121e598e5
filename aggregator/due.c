/* SPDX-License-Identifier: Apache-2.0
 * due: see the header. */
#include "aggregator/due.h"

#include <stdlib.h>

enum { START_LISTS = 64 };

void due_init(struct due *due, struct entries *entries)
{
    *due = (struct due){.entries = entries, .used = 1, .cap = START_LISTS};
    due->lists = must_calloc(due->cap, sizeof *due->lists);
    due->heap = must_calloc(due->cap, sizeof *due->heap);
    chains_init(&due->chains);
}

void due_fini(struct due *due)
{
    free(due->lists);
    free(due->heap);
    chains_fini(&due->chains);
}

/* ---- Heap ---- */

static bool is_before(const struct due *due, size_t a, size_t b)
{
    return due->lists[due->heap[a]].second < due->lists[due->heap[b]].second;
}

static void swap(struct due *due, size_t a, size_t b)
{
    uint32_t list = due->heap[a];
    due->heap[a] = due->heap[b];
    due->heap[b] = list;
}

static void heap_add(struct due *due, uint32_t list)
{
    size_t at = due->heap_count++;
    due->heap[at] = list;
    while (at > 0 && is_before(due, at, (at - 1) / 2)) {
        swap(due, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void heap_remove_first(struct due *due)
{
    due->heap[0] = due->heap[--due->heap_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < due->heap_count && is_before(due, child, least))
                least = child;
        if (least == at)
            return;
        swap(due, at, least);
        at = least;
    }
}

/* ---- Lists ---- */

static uint32_t *chain_of(struct due *due, int64_t second)
{
    uint64_t mixed = (uint64_t)second * UINT64_C(0x9E3779B97F4A7C15);
    return chains_at(&due->chains, mixed >> 32);
}

static void link_list(struct due *due, uint32_t number)
{
    uint32_t *first = chain_of(due, due->lists[number].second);
    due->lists[number].next = *first;
    *first = number;
}

static void add_chain(struct due *due)
{
    uint32_t number = chains_split(&due->chains);
    for (uint32_t next; number != 0; number = next) {
        next = due->lists[number].next;
        link_list(due, number);
    }
}

static uint32_t take_number(struct due *due)
{
    uint32_t number = due->first_free;
    if (number != 0) {
        due->first_free = due->lists[number].next;
        return number;
    }
    if (due->used == due->cap) {
        MUST(due->cap <= UINT32_MAX / 2);
        due->cap *= 2;
        due->lists = must_realloc(due->lists, due->cap * sizeof *due->lists);
        due->heap = must_realloc(due->heap, due->cap * sizeof *due->heap);
    }
    return due->used++;
}

static uint32_t add_list(struct due *due, int64_t second)
{
    if (due->heap_count == due->chains.count)
        add_chain(due);
    uint32_t number = take_number(due);
    due->lists[number] = (struct due_list){.second = second};
    link_list(due, number);
    heap_add(due, number);
    return number;
}

static uint32_t list_of(struct due *due, int64_t second)
{
    uint32_t number = *chain_of(due, second);
    while (number != 0 && due->lists[number].second != second)
        number = due->lists[number].next;
    return number != 0 ? number : add_list(due, second);
}

static void remove_first_list(struct due *due)
{
    uint32_t number = due->heap[0];
    uint32_t *at = chain_of(due, due->lists[number].second);
    while (*at != number)
        at = &due->lists[*at].next;
    *at = due->lists[number].next;
    due->lists[number].next = due->first_free;
    due->first_free = number;
    heap_remove_first(due);
}

/* ---- Entries ---- */

void due_put(struct due *due, uint32_t number, int64_t second)
{
    uint32_t list_number = list_of(due, second); /* may move the lists */
    struct due_list *list = &due->lists[list_number];
    due->entries->at[number].next_due = 0;
    if (list->first == 0)
        list->first = number;
    else
        due->entries->at[list->last].next_due = number;
    list->last = number;
}

uint32_t due_first(struct due *due, int64_t *second)
{
    while (due->heap_count > 0 && due->lists[due->heap[0]].first == 0)
        remove_first_list(due);
    if (due->heap_count == 0)
        return 0;
    const struct due_list *list = &due->lists[due->heap[0]];
    *second = list->second;
    return list->first;
}

void due_take_first(struct due *due)
{
    struct due_list *list = &due->lists[due->heap[0]];
    list->first = due->entries->at[list->first].next_due;
}
