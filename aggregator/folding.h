/* SPDX-License-Identifier: Apache-2.0
 * folding: moves the sums that batches have appended into the tables of the rollups, beside the batches.
 *
 * aggregator -> folding_note_appended after each commit, folding_tick ten times a second -> a connection of
 * its own -> footfall.fold_rollups in a transaction of its own. The views are right whether it runs or not;
 * it keeps them quick. It is due when enough sums wait or some have waited for long, and once at the start,
 * for what others have left. Several aggregators take turns: whoever finds another at it waits. It takes no
 * lock that a batch wants. What fails is logged, counted and tried again later, in smaller portions, so that
 * a slow server gets on, too; dying in it undoes it. Owns the connection; loop thread only. */
#ifndef AGGREGATOR_FOLDING_H
#define AGGREGATOR_FOLDING_H

#include "aggregator/metrics.h"
#include "base/clock.h"

struct uv_loop_s;
struct folding;

struct folding_options { /* borrowed */
    const char *conninfo;
    struct metrics *metrics;
};

struct folding *folding_new(struct uv_loop_s *loop, const struct folding_options *options);
/* A fold under way is abandoned; Postgres then finishes or undoes it. */
void folding_close(struct folding **folding, void (*on_closed)(void *context), void *context);
bool folding_is_busy(const struct folding *folding);
void folding_note_appended(struct folding *folding, size_t sum_count);
/* Starts a fold when one is due. */
void folding_tick(struct folding *folding, mono_ms now);

#endif
