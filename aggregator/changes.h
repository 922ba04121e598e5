/* SPDX-License-Identifier: Apache-2.0
 * changes: which sessions of a store Postgres does not know as they are.
 *
 * The numbers of the entries that changed, and of those that went, since the last ones were stored; and, by
 * chapters, where the newest stored change of every other one stands. sessions says what happens to an entry,
 * this file keeps the books. An entry that went keeps its texts until that is stored. Borrows the entries;
 * loop thread only. */
#ifndef AGGREGATOR_CHANGES_H
#define AGGREGATOR_CHANGES_H

#include "aggregator/chapters.h"
#include "aggregator/entries.h"

struct changes_list {
    uint32_t *numbers;
    size_t count;
    size_t cap;
};

struct changes {
    struct entries *entries;
    struct changes_list changed; /* may name entries that are no longer open */
    struct changes_list gone;
    struct chapters chapters;
    uint32_t sweep_at;    /* the next entry to look at; 0: no sweep is under way */
    uint64_t sweep_until; /* what stands in chapters below this one is stored anew */
};

void changes_init(struct changes *changes, struct entries *entries);
void changes_fini(struct changes *changes);

/* An open entry changed or is new. */
void changes_mark(struct changes *changes, uint32_t number);
/* An open entry became part of another one, which is marked too. */
void changes_note_joined(struct changes *changes, uint32_t number);
/* An open entry was closed. */
void changes_note_gone(struct changes *changes, uint32_t number);

/* One stored row more that is replayed: what it replaces is given to changes_note_replaced, what it says is
 * kept in an entry, 0 for a tombstone. Only while nothing changed (MUST). */
void changes_note_replaced(struct changes *changes, uint32_t number);
void changes_note_replayed(struct changes *changes, uint32_t number);

/* As in sessions.h. */
bool changes_next(const struct changes *changes, size_t *cursor, struct session *out);
void changes_note_stored(struct changes *changes, int64_t version);
void changes_renew_old(struct changes *changes);

#endif
