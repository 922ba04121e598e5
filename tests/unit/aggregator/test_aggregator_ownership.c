/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator: which of two owns a partition, and what one does that has lost it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aggregator/assignment.h"
#include "tests/unit/aggregator/plant.h"

enum { STALL_MS = 6000 };

static void two_share_the_work_and_one_takes_over(void **state)
{
    struct plant *plant = *state;
    mock_kafka_hasten(plant->settings);
    plant_start(plant, 0);
    plant_produce(plant, 0, 200);
    plant_wait_stored_once(plant, "200");
    plant_start(plant, 1);
    plant_wait_metric(plant, METRICS_HELD, PLANT_PARTITIONS / 2);
    plant_produce(plant, 200, 600);
    plant_wait_stored_once(plant, "600");
    assert_true(plant->metrics[1].values[METRICS_HITS] > 0);
    plant_stop(plant, 1);
    plant_produce(plant, 600, 800);
    plant_wait_stored_once(plant, "800");
    plant_wait_metric(plant, METRICS_HELD, PLANT_PARTITIONS);
    assert_int_equal(plant->metrics[0].values[METRICS_HITS] + plant->metrics[1].values[METRICS_HITS], 800);
}

static void who_is_fenced_forgets_and_comes_back(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 100);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "100");
    postgres_do(plant->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    plant_produce(plant, 100, 200);
    plant_wait_metric(plant, METRICS_FENCED, 1);
    plant_wait_stored_once(plant, "200");
    assert_int_equal(plant_measure(plant, METRICS_FENCED), 1);
}

/* As after SIGSTOP and SIGCONT: somebody else has one partition now, perhaps the others too. */
static void who_stood_still_steals_nothing(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 100);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "100");
    postgres_do(plant->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    plant_produce(plant, 100, 200);
    int64_t claims = plant_measure(plant, METRICS_CLAIMS);
    uv_sleep(STALL_MS); /* the loop does not turn */
    int64_t awake_ms = mono_now().ms;
    plant_wait_metric(plant, METRICS_FENCED, 1);
    while (plant_measure(plant, METRICS_CLAIMS) == claims && mono_now().ms < awake_ms + PLANT_DEADLINE_MS)
        uv_run(&plant->loop, UV_RUN_ONCE);
    assert_true(mono_now().ms - awake_ms >= ASSIGNMENT_COOLING_MS);
    plant_wait_stored_once(plant, "200");
}

/* A person with psql who forgets to commit. */
static void a_row_that_somebody_has_locked_stops_its_partition_alone(void **state)
{
    struct plant *plant = *state;
    struct pg_conn *person = postgres_connect(plant->conninfo);
    postgres_do(person,
                "INSERT INTO footfall.partitions (topic, partition, next_offset) VALUES ('hits', 1, -2)");
    postgres_do(person, "BEGIN; UPDATE footfall.partitions SET next_offset = 0 WHERE partition = 1");
    plant_produce(plant, 0, 100);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "75");
    assert_true(plant_measure(plant, METRICS_FENCED) > 0);
    postgres_do(person, "ROLLBACK");
    postgres_disconnect(person);
    plant_wait_stored_once(plant, "100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANT_TEST(two_share_the_work_and_one_takes_over),
        PLANT_TEST(who_is_fenced_forgets_and_comes_back),
        PLANT_TEST(who_stood_still_steals_nothing),
        PLANT_TEST(a_row_that_somebody_has_locked_stops_its_partition_alone),
    };
    return cmocka_run_group_tests(tests, plant_make_template, NULL);
}
