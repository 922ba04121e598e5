/* SPDX-License-Identifier: Apache-2.0
 * database_bench: a connection of aggregator/database to the server of tests/lib/with_postgres, on a loop of
 * its own, and what the last reply said. */
#ifndef TESTS_UNIT_AGGREGATOR_DATABASE_BENCH_H
#define TESTS_UNIT_AGGREGATOR_DATABASE_BENCH_H

#include <libpq-fe.h>
#include <uv.h>

#include "aggregator/database.h"
#include "tests/lib/postgres.h"

struct database_bench {
    uv_loop_t loop;
    struct database *database;
    PGconn *admin;
    /* Of the last reply. */
    int replies;
    enum database_outcome outcome;
    char sqlstate[6];
    bool names_constraint;
    char message[256];
    char value[64]; /* first value */
    char command[32];
};

/* A case of cmocka's whose *state is a bench with an open connection. */
#define DATABASE_BENCH_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, database_bench_set_up, database_bench_tear_down)
int database_bench_set_up(void **state);
int database_bench_tear_down(void **state);

/* Without a connection and without an admin. */
void database_bench_start(struct database_bench *bench, const char *conninfo);
void database_bench_stop(struct database_bench *bench);

/* The callback that notes the reply, and the wait for it after a call of one's own. */
void database_bench_on_reply(void *context, const struct database_reply *reply);
void database_bench_wait(struct database_bench *bench);
/* Each waits for its reply. */
enum database_outcome database_bench_open(struct database_bench *bench);
enum database_outcome database_bench_run(struct database_bench *bench, const char *sql);
enum database_outcome database_bench_copy(struct database_bench *bench, const char *sql, const slice *pieces,
                                          size_t count);
/* Ends our backend from outside and waits until it is gone. */
void database_bench_end_backend(struct database_bench *bench);

#endif
