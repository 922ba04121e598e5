/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/forget against a real Postgres. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/forget.h"
#include "tests/unit/aggregator/store_bench.h"

#define LEFT "SELECT coalesce(string_agg(stream, ' ' ORDER BY stream), '') FROM footfall.streams"

/* A stream of 100 numbers that ended so many days ago. */
static void plant_ended(struct store_bench *bench, const char *stream, int days, const char *received,
                        const char *skipped)
{
    postgres_do(bench->admin, "INSERT INTO footfall.received VALUES ('hits', 3, '%s', '%s')", stream,
                received);
    postgres_do(bench->admin,
                "INSERT INTO footfall.audit (topic, partition, stream, last, ended_at, skipped, missing)"
                " VALUES ('hits', 3, '%s', 100, now() AT TIME ZONE 'UTC' - interval '%d days', '%s', 0)",
                stream, days, skipped);
}

static void plant(struct store_bench *bench)
{
    plant_ended(bench, "old", 31, "{[1,101)}", "{}");
    plant_ended(bench, "old-skipped", 31, "{[1,50),[60,101)}", "{[50,60)}");
    plant_ended(bench, "old-holed", 31, "{[1,50),[60,101)}", "{[50,59)}");
    plant_ended(bench, "young", 29, "{[1,101)}", "{}");
    postgres_do(bench->admin, "INSERT INTO footfall.received VALUES ('hits', 3, 'open', '{[1,101)}'),"
                              " ('else', 3, 'open', '{[1,101)}')");
}

static void old_ones_that_are_whole_are_forgotten(void **state)
{
    struct store_bench *bench = *state;
    struct why why;
    int64_t count;
    plant(bench);
    assert_int_equal(forget_run_old(bench->conninfo, BENCH_TOPIC, &count, &why), STATUS_OK);
    assert_int_equal(count, 2);
    store_bench_ask(bench, LEFT, "old-holed open open young");
    assert_int_equal(forget_run_old(bench->conninfo, BENCH_TOPIC, &count, &why), STATUS_OK);
    assert_int_equal(count, 0);
}

static void one_is_forgotten_by_its_name(void **state)
{
    struct store_bench *bench = *state;
    struct why why;
    plant(bench);
    assert_int_equal(forget_run_one(bench->conninfo, BENCH_TOPIC, "young", &why), STATUS_OK);
    store_bench_ask(bench, LEFT, "old old-holed old-skipped open open");
    store_bench_ask(bench, "SELECT count(*) FROM footfall.audit WHERE stream = 'young'", "0");
}

static void what_may_still_be_needed_is_refused(void **state)
{
    struct store_bench *bench = *state;
    struct why why;
    plant(bench);
    assert_int_equal(forget_run_one(bench->conninfo, BENCH_TOPIC, "open", &why), STATUS_CONFLICT);
    assert_non_null(strstr(why.text, "has not ended"));
    assert_int_equal(forget_run_one(bench->conninfo, BENCH_TOPIC, "old-holed", &why), STATUS_CONFLICT);
    assert_non_null(strstr(why.text, "1 numbers"));
    assert_int_equal(forget_run_one(bench->conninfo, BENCH_TOPIC, "none", &why), STATUS_CONFLICT);
    assert_non_null(strstr(why.text, "no stream none"));
    store_bench_ask(bench, LEFT, "old old-holed old-skipped open open young");
    assert_int_equal(forget_run_one("host=/nonexistent", BENCH_TOPIC, "old", &why), STATUS_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(old_ones_that_are_whole_are_forgotten),
        TEST(one_is_forgotten_by_its_name),
        TEST(what_may_still_be_needed_is_refused),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
