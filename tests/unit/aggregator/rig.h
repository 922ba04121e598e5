/* SPDX-License-Identifier: Apache-2.0
 * rig: a mock cluster, a fresh migrated database and up to two aggregators on one loop, for the tests of
 * aggregator/aggregator.
 *
 * Waits end by what happens; the deadline without it fails the test. The configuration may be changed before
 * an aggregator is started. */
#ifndef TESTS_UNIT_AGGREGATOR_RIG_H
#define TESTS_UNIT_AGGREGATOR_RIG_H

#include <uv.h>

#include "aggregator/aggregator.h"
#include "tests/lib/mock_kafka.h"
#include "tests/lib/postgres.h"

enum { RIG_PARTITIONS = 4, RIG_DEADLINE_MS = 60000 };

#define RIG_DATABASE "aggregator_test"

struct rig {
    uv_loop_t loop;
    uv_timer_t step;
    struct mock_kafka *kafka; /* topic hits */
    char *conninfo;
    struct pg_conn *admin;
    struct settings *settings;
    struct configuration configuration;
    struct places *places;
    struct metrics metrics[2];
    struct aggregator *aggregators[2];
};

/* Once a program, for cmocka_run_group_tests: the migrated database that each test gets a copy of. */
int rig_make_template(void **state);
/* A case of cmocka's whose *state is a rig. */
#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* which: 0 or 1. */
void rig_start(struct rig *rig, int which);
void rig_stop(struct rig *rig, int which);

/* Hit number n: one of 50 visitors, a minute after the last of the same visitor; static memory. */
const char *rig_value(int number, const char *path);
/* Hits number from … to - 1 are on Kafka, one after the other in the next partition. */
void rig_produce(struct rig *rig, int from, int to);

/* Turns the loop until the query answers so. */
void rig_wait(struct rig *rig, const char *query, const char *wanted);
/* As many rows, no two of one message, and all of them counted in sessions. */
void rig_wait_stored_once(struct rig *rig, const char *count);
/* A metric of aggregator 0. */
int64_t rig_measure(struct rig *rig, enum metrics_id id);
void rig_wait_metric(struct rig *rig, enum metrics_id id, int64_t wanted);

#endif
