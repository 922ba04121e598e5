/* SPDX-License-Identifier: Apache-2.0
 * journal_rig: a small journal over a simulated disk, driven by hand: what the collector's loop does, step by
 * step.
 *
 * Hits carry a text that follows from their stream and number, so that what comes back can be checked without
 * having been kept. One thread; a failed check ends the process (MUST). */
#ifndef TESTS_LIB_JOURNAL_RIG_H
#define TESTS_LIB_JOURNAL_RIG_H

#include "collector/journal.h"
#include "tests/lib/sim_disk.h"

enum { RIG_PARTITIONS = 3, RIG_SEGMENT_BYTES = 112 * 1024, RIG_MAX_VALUE = 8 * 1024 };

struct rig {
    struct journal *journal;
    struct sim_disk *sim; /* borrowed */
    uuid boot;
    mono_ms now; /* moves on by a second with each upkeep */
    bool is_syncing;
    struct journal_sync sync;
};

struct journal_options rig_options(struct sim_disk *sim, uint8_t boot);
/* MUST open. */
void rig_open(struct rig *rig, const struct journal_options *options, struct sim_disk *sim);
void rig_close(struct rig *rig);
uuid rig_boot(uint8_t boot);
/* A value of this length for the hit; its first bytes are text that names it. */
void rig_value(uuid boot, int partition, int64_t seq, size_t len, char *out);
bool rig_is_value(uuid boot, int partition, int64_t seq, slice value);
enum status rig_append(struct rig *rig, int partition, size_t len, journal_position *position) MUST_CHECK;
enum status rig_flush(struct rig *rig);
/* Flushes, syncs and does what upkeep there is, once. The first thing that went wrong. */
enum status rig_commit(struct rig *rig);
void rig_begin_sync(struct rig *rig);
enum status rig_end_sync(struct rig *rig); /* harmless when none was begun */
void rig_upkeep(struct rig *rig);
/* To its end; MUST get there within a million steps. */
void rig_recover(struct rig *rig);
/* Publishing is started and the mark durable. */
void rig_start_publishing(struct rig *rig);
/* The next entry, or false when there is none now. */
bool rig_read(struct rig *rig, struct journal_entry *entry);

#endif
