/* SPDX-License-Identifier: Apache-2.0
 * store_bench: what the tests of claiming and writing share: a fresh migrated database a test, a store on a
 * loop of its own, an empty batch, and calls that wait for the store's callback. */
#ifndef TESTS_UNIT_AGGREGATOR_STORE_BENCH_H
#define TESTS_UNIT_AGGREGATOR_STORE_BENCH_H

#include <libpq-fe.h>
#include <uv.h>

#include "aggregator/store.h"
#include "tests/lib/postgres.h"

enum { BENCH_PARTITIONS = 12, BENCH_GAP_MS = 300000 };
#define BENCH_TOPIC   "hits"
#define BENCH_CLUSTER "cluster-of-tests"

struct store_bench {
    uv_loop_t loop;
    char *conninfo;
    PGconn *admin;
    struct store *store;
    struct merge *merge;
    struct batch *batch;
    int64_t quiet_ms[BENCH_PARTITIONS];

    /* Of the last callback. */
    bool is_answered;
    struct store_result result;
    struct claim *claim;
};

/* Once a program, for cmocka_run_group_tests: the migrated database that each test gets a copy of. */
int store_bench_make_template(void **state);
int store_bench_set_up(void **state);
int store_bench_tear_down(void **state);

void store_bench_start(struct store_bench *bench, const char *conninfo);
/* Another store, with these options besides those that all have. */
void store_bench_replace_store(struct store_bench *bench, struct store_options options);
void store_bench_stop(struct store_bench *bench);

/* The claim is the caller's; NULL unless the result is DONE. */
struct claim *store_bench_claim(struct store_bench *bench, int partition);
enum store_outcome store_bench_write(struct store_bench *bench, struct claim **claims, size_t claim_count);
enum store_outcome store_bench_keep_halt(struct store_bench *bench, const struct claim *claim,
                                         const char *reason);
/* Adds a hit of one visitor, at home in this partition: event time, offset and seq follow from number. */
void store_bench_add_hit(struct store_bench *bench, int partition, int64_t number);
/* The admin's question has this answer. */
void store_bench_ask(struct store_bench *bench, const char *sql, const char *wanted);
/* Ends all connections of stores. */
void store_bench_end_backends(struct store_bench *bench);

#endif
