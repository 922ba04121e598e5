/* SPDX-License-Identifier: Apache-2.0
 * rollups: what one batch adds to the views traffic_by_hour, pages_by_day and referrers_by_day.
 *
 * merge adds each new hit and gives the rows to the store, which appends them to footfall.rollup_sums in the
 * batch's transaction; folding moves them on. A sum is its own row in COPY BINARY form: a hit's three rows
 * are encoded behind the others, and one that is already there is taken off again and counted instead. So
 * nothing is left to encode at the end, and memory is bounded by what a batch can hold: three rows a hit,
 * no sum is ever left out. The hash is seeded, so that a visitor cannot choose collisions. Pure; one thread;
 * memory is kept for the next batch.
 * What counts as a bot, and what is counted at all, is said here and in sql/migrations/0010_rollups.sql. */
#ifndef AGGREGATOR_ROLLUPS_H
#define AGGREGATOR_ROLLUPS_H

#include "aggregator/batch.h"

struct rollups;

struct rollups *rollups_new(void);
void rollups_free(struct rollups **rollups); /* accepts NULL, leaves NULL */
void rollups_clear(struct rollups *rollups);
/* At most BATCH_MAX_HITS. */
void rollups_add(struct rollups *rollups, const struct batch_hit *hit);
/* Rows of footfall.rollup_sums: kind, at, host, name, country, state, city, bot, source, counted, hits.
 * Borrowed until the next call. */
const struct buf *rollups_rows(const struct rollups *rollups);
size_t rollups_count(const struct rollups *rollups);

#endif
