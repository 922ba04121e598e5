/* SPDX-License-Identifier: Apache-2.0
 * due: entries in lists by a second, the earliest second first.
 *
 * A session store has two: by the second in which a session ends, and by the second in which one that ended
 * will have been untouched for long enough. Putting one touches it and the last one of its second, taking one
 * nothing else, so a million that are due at once cost no stall; an entry that moves to a later second stays
 * where it is, and whoever finds it too early puts it anew. Within a second the first that was put is the
 * first that is taken: about the order of their stored changes, of which the oldest are to become useless
 * first. The price of a second that has entries (some hundreds of them in health) is a place in a heap. Links
 * stand in the entries; no text is read. Loop thread only. */
#ifndef AGGREGATOR_DUE_H
#define AGGREGATOR_DUE_H

#include "aggregator/entries.h"

struct due_list {
    int64_t second;
    uint32_t first; /* entry; 0: the list is empty */
    uint32_t last;
    uint32_t next; /* list of the chain, or of the free ones */
};

struct due {
    struct entries *entries; /* borrowed */
    struct due_list *lists;  /* numbered from 1 */
    uint32_t used;
    uint32_t cap;
    uint32_t first_free;
    uint32_t *heap; /* lists, the earliest at 0 */
    size_t heap_count;
    struct chains chains; /* lists by second, one a list on average */
};

void due_init(struct due *due, struct entries *entries);
void due_fini(struct due *due);
/* An entry that is in no list. */
void due_put(struct due *due, uint32_t number, int64_t second);
/* An entry of the earliest second, and this second; 0: there is none. It is the same until the next put. */
uint32_t due_first(struct due *due, int64_t *second);
/* Takes out what due_first gave. */
void due_take_first(struct due *due);

#endif
