/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator: which of two owns a partition, and what one does that has lost it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aggregator/assignment.h"
#include "tests/unit/aggregator/rig.h"

enum { STALL_MS = 6000 };

static void two_share_the_work_and_one_takes_over(void **state)
{
    struct rig *rig = *state;
    mock_kafka_hasten(rig->settings);
    rig_start(rig, 0);
    rig_produce(rig, 0, 200);
    rig_wait_stored_once(rig, "200");
    rig_start(rig, 1);
    rig_wait_metric(rig, METRICS_HELD, RIG_PARTITIONS / 2);
    rig_produce(rig, 200, 600);
    rig_wait_stored_once(rig, "600");
    assert_true(rig->metrics[1].values[METRICS_HITS] > 0);
    rig_stop(rig, 1);
    rig_produce(rig, 600, 800);
    rig_wait_stored_once(rig, "800");
    rig_wait_metric(rig, METRICS_HELD, RIG_PARTITIONS);
    assert_int_equal(rig->metrics[0].values[METRICS_HITS] + rig->metrics[1].values[METRICS_HITS], 800);
}

static void who_is_fenced_forgets_and_comes_back(void **state)
{
    struct rig *rig = *state;
    rig_produce(rig, 0, 100);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "100");
    postgres_do(rig->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    rig_produce(rig, 100, 200);
    rig_wait_metric(rig, METRICS_FENCED, 1);
    rig_wait_stored_once(rig, "200");
    assert_int_equal(rig_measure(rig, METRICS_FENCED), 1);
}

/* As after SIGSTOP and SIGCONT: somebody else has one partition now, perhaps the others too. */
static void who_stood_still_steals_nothing(void **state)
{
    struct rig *rig = *state;
    rig_produce(rig, 0, 100);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "100");
    postgres_do(rig->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    rig_produce(rig, 100, 200);
    int64_t claims = rig_measure(rig, METRICS_CLAIMS);
    uv_sleep(STALL_MS); /* the loop does not turn */
    int64_t awake_ms = mono_now().ms;
    rig_wait_metric(rig, METRICS_FENCED, 1);
    while (rig_measure(rig, METRICS_CLAIMS) == claims && mono_now().ms < awake_ms + RIG_DEADLINE_MS)
        uv_run(&rig->loop, UV_RUN_ONCE);
    assert_true(mono_now().ms - awake_ms >= ASSIGNMENT_COOLING_MS);
    rig_wait_stored_once(rig, "200");
}

/* A person with psql who forgets to commit. */
static void a_row_that_somebody_has_locked_stops_its_partition_alone(void **state)
{
    struct rig *rig = *state;
    struct pg_conn *person = postgres_connect(rig->conninfo);
    postgres_do(person,
                "INSERT INTO footfall.partitions (topic, partition, next_offset) VALUES ('hits', 1, -2)");
    postgres_do(person, "BEGIN; UPDATE footfall.partitions SET next_offset = 0 WHERE partition = 1");
    rig_produce(rig, 0, 100);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "75");
    assert_true(rig_measure(rig, METRICS_FENCED) > 0);
    postgres_do(person, "ROLLBACK");
    postgres_disconnect(person);
    rig_wait_stored_once(rig, "100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(two_share_the_work_and_one_takes_over),
        RIG_TEST(who_is_fenced_forgets_and_comes_back),
        RIG_TEST(who_stood_still_steals_nothing),
        RIG_TEST(a_row_that_somebody_has_locked_stops_its_partition_alone),
    };
    return cmocka_run_group_tests(tests, rig_make_template, NULL);
}
