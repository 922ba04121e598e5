/* SPDX-License-Identifier: Apache-2.0
 * chapters: what is known of the rows in footfall.open_session_changes of one partition, in chapters of
 * consecutive versions: how many rows, and how many of them are the newest of an open session.
 *
 * A chapter without any such row is of no use any more, but rows are forgotten in their order only: a
 * tombstone must not go before the rows that it hides. So the log is a queue and its front is what can go.
 * Replayed rows are one chapter of their own, as their versions are not known; those that follow are younger.
 * Pure, loop thread. */
#ifndef AGGREGATOR_CHAPTERS_H
#define AGGREGATOR_CHAPTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows that are worth a statement that deletes them; and when to stop, so that it does not stall a batch. */
enum { CHAPTERS_MIN_FORGOTTEN = 5000, CHAPTERS_MAX_FORGOTTEN = 20000 };

struct chapter {
    int64_t first_version;
    int64_t rows;
    int64_t live;
};

struct chapters {
    int64_t min_forgotten; /* CHAPTERS_MIN_FORGOTTEN; tests make it smaller, and chapters with it */
    int64_t chapter_rows;  /* a chapter of so many takes no more */
    struct chapter *ring;
    size_t cap; /* a power of two */
    size_t count;
    uint64_t front; /* number of the first one: counts up for ever */
    int64_t rows;   /* of all chapters */
};

void chapters_init(struct chapters *chapters); /* empty */
void chapters_fini(struct chapters *chapters);
/* Both give the number of the chapter in which the rows stand. Versions ascend (MUST); replayed rows come
 * before any version (MUST). */
uint64_t chapters_add_replayed(struct chapters *chapters);
uint64_t chapters_add(struct chapters *chapters, int64_t version, size_t rows);
/* Makes a number whole of which only the low `bits` were kept. */
uint64_t chapters_number(const struct chapters *chapters, uint64_t low, unsigned bits);
/* The newest row of a session stands in it, or no longer does. */
void chapters_hold(struct chapters *chapters, uint64_t number);
void chapters_release(struct chapters *chapters, uint64_t number);
/* The chapters below this number have about half of the rows; at least one is below. */
uint64_t chapters_middle(const struct chapters *chapters);
/* Drops chapters from the front that are of no use, if they have enough rows: those of versions below
 * *before. */
bool chapters_forget(struct chapters *chapters, int64_t *before);

#endif
