/* SPDX-License-Identifier: Apache-2.0
 * merge: the pure middle of a batch: which hits are new, which sessions they make, what is to be written.
 *
 *   merge_start:  dedup against the received sets; the audit of streams; hits are added up (rollups)
 *                 and merged per key; gives the stored rows to look up
 *   merge_take_…: a stored row that was taken back (or a stray that was taken in) joins
 *   merge_finish: joins open sessions, closes those that are due, encodes all rows
 *
 * A hit whose home takes part in the batch goes straight to that claim, wherever it was read: the claim is
 * fenced by the same transaction, so the way through footfall.strays would add nothing but two writes. Any
 * other hit away from home becomes a stray. The store drives it inside the transaction. It changes the
 * claims' memory: when the transaction does not commit, those claims are thrown away. No I/O, no SQL, loop
 * thread; one merge object is reused for all batches. */
#ifndef AGGREGATOR_MERGE_H
#define AGGREGATOR_MERGE_H

#include "aggregator/batch.h"
#include "aggregator/claim.h"

struct merge;

struct merge_rules {
    const char *topic; /* first column of changes and strays; borrowed */
    int64_t gap_ms;
    int64_t lateness_ms;
    /* Sessions closed in one batch, so that a burst does not stall the loop: 5,000. A store that is over its
     * limit closes as many as it was given on top, so that it does not grow. */
    size_t max_closed;
};

struct merge_lookup { /* stored rows with end_session >= from and start_session <= to are to be taken back */
    int partition;
    ip_address ip;
    slice host;
    wall_ms from; /* first hit of the part */
    wall_ms to;   /* last hit + gap */
};

struct merge *merge_new(const struct merge_rules *rules);
void merge_free(struct merge **merge);

/* claims: those that take part, ascending by partition; borrowed until merge_finish. Every stream named in
 * the batch is loaded. FULL when a received set has too many ranges (*partition says whose). */
enum status merge_start(struct merge *merge, struct batch *batch, struct claim *const *claims,
                        size_t claim_count, int *partition) MUST_CHECK;
/* A stray that the home owner takes in: before the look-ups are asked for. */
void merge_take_stray(struct merge *merge, int home, const struct session *stray); /* slices are copied */
/* Walks the look-ups; *cursor starts at 0. Empty in health. */
bool merge_next_lookup(const struct merge *merge, size_t *cursor, struct merge_lookup *out);
/* A stored row (deleted in this transaction) of a key whose home is `partition`. Slices are copied. */
void merge_take_stored(struct merge *merge, int partition, const struct session *stored);

struct merge_time {
    wall_ms wall;
    mono_ms mono;
    const int64_t
        *quiet_ms; /* by partition: how long at the end of the log without a message; -1: not at its end */
};
/* Also moves the claims' stored_until to what it is once this batch is committed. */
void merge_finish(struct merge *merge, const struct merge_time *time);

/* What is to be written, valid until the next merge_start. COPY BINARY tuples without header and trailer, all
 * columns in the order of sql/migrations/0001_tables.sql. */
struct merge_output {
    struct buf closed;      /* session_events_aggregated_ip */
    struct buf changes;     /* footfall.open_session_pages; versions are the claims' committed version + 1 */
    struct buf strays;      /* footfall.strays */
    const struct buf *sums; /* footfall.rollup_sums */
    size_t closed_count, change_count, stray_count, sum_count, new_hit_count, duplicate_count;
};
const struct merge_output *merge_output(const struct merge *merge);
/* True when stored changes of this claim are of no more use: the store deletes those of versions below
 * *before. */
bool merge_forgets(const struct merge *merge, int partition, int64_t *before);

#endif
