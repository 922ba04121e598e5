/* SPDX-License-Identifier: Apache-2.0
 * keeper: runs the journal on the loop: what must happen when, and what must not happen on the loop at all.
 *
 * intake, publisher -> keeper_wake -> once in this turn of the loop, after all that came in was handled:
 *   on_turn = a step of recovery -> journal_flush (one write) -> a sync -> upkeep -> on_progress
 *   in libuv's pool: fdatasync of what was written; making and removing of segments
 * With syncs_at_once a sync begins as soon as something is written and the last sync is over, so that all
 * hits of that time share the next one; without it every SYNC_INTERVAL_MS, or when much is unsynced. Recovery
 * runs in keeper_open for RECOVER_FIRST_MS, so that a small journal is known before the first request, and
 * then a step a turn, while hits are taken. Once a second it looks after segments that are too old and tries
 * again what failed. Owns the disk and the journal; intake and publisher use the journal directly. Loop
 * thread only. What can fail at start: the folder (*why); later nothing: the journal's own state says why it
 * takes no hits. */
#ifndef COLLECTOR_KEEPER_H
#define COLLECTOR_KEEPER_H

#include "collector/journal.h"

struct uv_loop_s;
struct keeper;

struct keeper_options {
    struct uv_loop_s *loop;
    const char *directory;
    const char *topic;
    int partitions;
    uint64_t max_bytes;
    uint64_t min_free_bytes;
    bool syncs_at_once;         /* ack = disk */
    bool publishes_unsynced;    /* all others */
    journal_found_fn *on_found; /* called in keeper_open already */
    /* More is written, durable or recovered, or another second has passed. */
    void (*on_progress)(void *context);
    void *context;
};

struct keeper_counters {
    int64_t sync_us_total;
    int64_t sync_us_longest;       /* since the start */
    int64_t append_bytes_a_second; /* of about the last minute */
};

/* Makes the folder when it is not there. */
struct keeper *keeper_open(const struct keeper_options *options, struct why *why);
/* NULL when it is closed. */
struct journal *keeper_journal(const struct keeper *keeper);
/* Something was appended, acknowledged or is left to be read. Costs next to nothing when repeated. */
void keeper_wake(struct keeper *keeper);
struct keeper_counters keeper_counters(const struct keeper *keeper);
/* Ends the streams, and calls on_drained when Kafka has confirmed all there is, at the latest after
 * deadline_ms (to the second). Nothing is appended any more. */
typedef void keeper_drained_fn(void *context);
void keeper_drain(struct keeper *keeper, int64_t deadline_ms, keeper_drained_fn *on_drained, void *context);
/* Makes durable what can be, closes the journal and calls on_closed. No on_progress any more. */
typedef void keeper_closed_fn(void *context);
void keeper_close(struct keeper *keeper, keeper_closed_fn *on_closed, void *context);
/* After on_closed only; leaves NULL, accepts NULL. */
void keeper_free(struct keeper **keeper);

#endif
