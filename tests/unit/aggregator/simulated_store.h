/* SPDX-License-Identifier: Apache-2.0
 * simulated_store: Postgres as the aggregator uses it, in memory: the tables that decide whether each hit
 * counts once, and one transaction at a time.
 *
 * The row lock of the fence makes transactions of one partition follow each other, so they are atomic here.
 * What a transaction writes is visible once it is committed, and gone when it is not. Rows are read from the
 * very tuples that merge encodes. One thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIMULATED_STORE_H
#define TESTS_UNIT_AGGREGATOR_SIMULATED_STORE_H

#include "aggregator/merge.h"

enum {
    SIM_PARTITIONS = 3,
    SIM_MAX_ROWS = 8192,
    SIM_MAX_SETS = 64,
    SIM_MAX_HITS = 2048,
    SIM_SET_BYTES = 8192
};

struct sim_row {
    int partition;   /* or home */
    int64_t version; /* of a change */
    struct session value;
    bool is_deleted; /* by the transaction under way */
};

struct sim_table {
    size_t committed; /* rows; those after them are of the transaction under way */
    size_t count;
    struct sim_row rows[SIM_MAX_ROWS];
};

struct sim_partition {
    int64_t next_offset;
    int64_t version;
    uuid owner;
    wall_ms stored_until;
};

struct sim_set {
    int partition;
    struct hit_stream stream;
    char text[SIM_SET_BYTES];
    char new_text[SIM_SET_BYTES]; /* of the transaction under way; empty: none */
};

struct sim_store {
    struct sim_partition partitions[SIM_PARTITIONS];
    struct sim_partition new_partitions[SIM_PARTITIONS];
    struct sim_table sessions, changes, strays;
    size_t set_count;
    struct sim_set sets[SIM_MAX_SETS];
    size_t hits_committed;
    size_t hit_count;
    struct batch_position hits[SIM_MAX_HITS]; /* where each stored hit stood */
};

void sim_init(struct sim_store *store);
/* The claim's transaction, whole. */
struct claim *sim_claim(struct sim_store *store, int partition, uuid owner, size_t max_open, mono_ms now);

/* The steps of a batch's transaction; sim_commit or sim_abort ends it. */
bool sim_holds(const struct sim_store *store, const struct claim *claim); /* the fence check */
void sim_load_streams(struct sim_store *store, struct claim *const *claims, const struct batch *batch);
void sim_save_streams(struct sim_store *store, struct claim *claim);
void sim_take_strays(struct sim_store *store, const struct claim *claim, struct merge *merge);
void sim_take_stored(struct sim_store *store, struct merge *merge);
void sim_write_output(struct sim_store *store, const struct merge_output *output);
void sim_write_hits(struct sim_store *store, const struct batch *batch);
void sim_forget_changes(struct sim_store *store, int partition, int64_t before);
void sim_move(struct sim_store *store, const struct claim *claim, int64_t next_offset);
void sim_commit(struct sim_store *store);
void sim_abort(struct sim_store *store);

#endif
