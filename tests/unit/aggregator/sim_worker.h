/* SPDX-License-Identifier: Apache-2.0
 * sim_worker: one aggregator of a simulated world: the store, the assignment, the batches and the merge of the
 * program, in the hands of a short stand-in for aggregator.c, committing.c and recovering.c.
 *
 * What those three decide is what this one decides: what is asked of the store next, what a claim that comes
 * back is good for, what is forgotten after a failure. No loop, no Kafka: a worker does something when it has
 * a turn (worker_turn), so it can stand still for as long as the world likes, and go on as a zombie. One
 * thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_WORKER_H
#define TESTS_UNIT_AGGREGATOR_SIM_WORKER_H

#include "aggregator/assignment.h"
#include "aggregator/merge.h"
#include "aggregator/store.h"
#include "tests/unit/aggregator/sim_database.h"
#include "tests/unit/aggregator/sim_topic.h"

enum { WORKER_GAP_MS = 300000, WORKER_LATENESS_MS = 15000 };

struct worker_counts { /* what happened, so that a test can see that it tested something */
    size_t claims, stale_claims, commits, stale_commits, fenced, retries, hits, duplicates, strays, closed,
        halts, forgotten;
};

struct worker_store {
    struct store *store;
    struct database *database;
};

struct worker {
    int number;
    struct sim_net *net;
    const struct topic *topic;
    struct worker_counts *counts;
    bool keeps_strays;                               /* a mutant: what was read here is at home here */
    void (*on_committed)(const struct claim *claim); /* the claim knows that it is */

    struct worker_store stores[2][2]; /* by is_tight and is_lazy */
    struct store *store;              /* that of this world, and its connection */
    struct database *database;
    struct assignment assignment;
    struct batch *filling, *writing;
    struct merge *merge;
    struct claim *claims[SIM_PARTITIONS];
    size_t claim_count;
    int64_t quiet_ms[SIM_PARTITIONS];
    int generation, claiming, halting;
    mono_ms resume_at;
    struct backoff backoff;
};

/* Once: stores and batches serve all its worlds. */
void worker_init(struct worker *worker, int number);
void worker_fini(struct worker *worker);
/* A world begins, without a connection and without a claim, and ends at rest. net, topic and counts are
 * borrowed. is_tight: its store closes sessions early; is_lazy: it does not wait for the server's disk. */
void worker_start(struct worker *worker, bool is_tight, bool is_lazy);
void worker_stop(struct worker *worker);

/* The group has given it these, after it took away all. */
void worker_assign(struct worker *worker, const int *partitions, size_t count);
/* Reads a little, or lets what its store is doing go on, or has it do something. */
void worker_turn(struct worker *worker, enum sim_fault fault);
/* Begins with empty hands, as after a crash. */
void worker_forget(struct worker *worker);
/* NULL: it does not hold the partition. */
const struct claim *worker_find_claim(const struct worker *worker, int partition);

#endif
