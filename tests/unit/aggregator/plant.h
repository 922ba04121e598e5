/* SPDX-License-Identifier: Apache-2.0
 * plant: a mock cluster, a fresh migrated database and up to two aggregators on one loop, for the tests of
 * aggregator/aggregator.
 *
 * Waits end by what happens; the deadline without it fails the test. The configuration may be changed before
 * an aggregator is started. */
#ifndef TESTS_UNIT_AGGREGATOR_PLANT_H
#define TESTS_UNIT_AGGREGATOR_PLANT_H

#include <uv.h>

#include "aggregator/aggregator.h"
#include "tests/lib/mock_kafka.h"
#include "tests/lib/postgres.h"

enum { PLANT_PARTITIONS = 4, PLANT_DEADLINE_MS = 60000 };

#define PLANT_DATABASE "aggregator_test"

struct plant {
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
int plant_make_template(void **state);
/* A case of cmocka's whose *state is a plant. */
#define PLANT_TEST(name) cmocka_unit_test_setup_teardown(name, plant_set_up, plant_tear_down)
int plant_set_up(void **state);
int plant_tear_down(void **state);

/* which: 0 or 1. */
void plant_start(struct plant *plant, int which);
void plant_stop(struct plant *plant, int which);

/* Hit number n: one of 50 visitors, a minute after the last of the same visitor; static memory. */
const char *plant_value(int number, const char *path);
/* Hits number from … to - 1 are on Kafka, one after the other in the next partition. */
void plant_produce(struct plant *plant, int from, int to);

/* Turns the loop until the query answers so. */
void plant_wait(struct plant *plant, const char *query, const char *wanted);
/* As many rows, no two of one message, and all of them counted in sessions. */
void plant_wait_stored_once(struct plant *plant, const char *count);
/* A metric of aggregator 0. */
int64_t plant_measure(struct plant *plant, enum metrics_id id);
void plant_wait_metric(struct plant *plant, enum metrics_id id, int64_t wanted);

#endif
