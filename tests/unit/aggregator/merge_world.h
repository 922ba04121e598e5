/* SPDX-License-Identifier: Apache-2.0
 * merge_world: everything around merge, in memory: the logs of a topic, the tables of a database, claims that
 * are lost and made anew; and the oracle that says what must come of it.
 *
 * world_make -> world_step … -> world_drain -> world_check_sessions. A step reads some messages of some
 * partitions into a batch, drives merge as the store does, and commits its rows into the tables or forgets
 * everything. Whatever is decided at random comes from one seed, which is named when a check fails. The
 * oracle shares no code with what is tested: it sorts the hits of each visitor and walks them. */
#ifndef TESTS_UNIT_AGGREGATOR_MERGE_WORLD_H
#define TESTS_UNIT_AGGREGATOR_MERGE_WORLD_H

#include "aggregator/merge.h"
#include "tests/lib/choice.h"

enum {
    WORLD_PARTITIONS = 3,
    WORLD_MAX_HITS = 96,
    WORLD_MAX_ROWS = 4096,
    WORLD_MAX_SETS = 32,
    WORLD_SET_TEXT = 2048,
    WORLD_GAP_MS = 300000,
    WORLD_LATENESS_MS = 15000,
};

struct world_message {
    size_t number; /* of its hit */
    bool has_stream;
    struct hit_stream stream;
    int64_t seq;
};

struct world_log {
    size_t count;
    struct world_message messages[2 * WORLD_MAX_HITS];
};

struct world_row { /* of changes, ordered by partition's (version, ordinal), and of strays */
    int partition;
    int64_t version;
    int64_t ordinal;
    struct session value;
};

struct world_set {
    int partition;
    struct hit_stream stream;
    size_t len;
    char text[WORLD_SET_TEXT];
};

struct world_tables {
    struct {
        int64_t next_offset;
        int64_t version;
        wall_ms stored_until;
    } partitions[WORLD_PARTITIONS];
    bool has_hit[WORLD_MAX_HITS]; /* processed_events */
    size_t session_count;
    struct session sessions[WORLD_MAX_ROWS];
    size_t change_count;
    struct world_row changes[WORLD_MAX_ROWS];
    size_t stray_count;
    struct world_row strays[WORLD_MAX_ROWS];
    size_t set_count;
    struct world_set sets[WORLD_MAX_SETS];
};

struct world_counts { /* what happened, so that a test can see that it tested something */
    size_t duplicates, strays_made, strays_taken, taken_back, closed, restarts, rollbacks, lookups;
};

struct world {
    uint64_t seed;
    struct choice choice;
    size_t hit_count;
    struct session hits[WORLD_MAX_HITS]; /* each as a session of one event */
    struct world_log logs[WORLD_PARTITIONS];
    wall_ms wall;
    mono_ms mono;
    size_t max_open;
    struct batch *batch;
    struct merge *merge;
    struct claim *claims[WORLD_PARTITIONS]; /* NULL: to be claimed */
    struct world_tables tables;
    struct world_tables before; /* this batch */
    struct world_counts counts;
};

void world_make(struct world *world, uint64_t seed);
void world_unmake(struct world *world);
void world_step(struct world *world);
/* Reads all logs to their end and takes all strays in. is_closing: and closes all sessions. */
void world_drain(struct world *world, bool is_closing);
/* Every hit is stored once; stored and open sessions together are those of the oracle. */
void world_check_sessions(struct world *world);

#endif
