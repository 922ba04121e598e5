/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/folding against a real server: when it folds, and what it does when it cannot. Time is
 * what the test says. */
#include "aggregator/folding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/aggregator/store_bench.h"

enum { EVERY_MS = 30000, DUE_COUNT = 100000, LONG_MS = 70000 };

struct bench {
    uv_loop_t loop;
    char *conninfo;
    PGconn *admin;
    struct metrics metrics;
    struct folding *folding;
    mono_ms now;
};

static int set_up(void **state)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    bench->conninfo = strdup(postgres_make("folding_test", "store_template"));
    bench->admin = postgres_connect(bench->conninfo);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    struct folding_options options = {bench->conninfo, &bench->metrics};
    bench->folding = folding_new(&bench->loop, &options);
    bench->now = (mono_ms){1000};
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->folding != NULL)
        folding_close(&bench->folding, NULL, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    postgres_disconnect(bench->admin);
    postgres_drop("folding_test");
    free(bench->conninfo);
    free(bench);
    return 0;
}

static void append(struct bench *bench, int count)
{
    postgres_do(bench->admin,
                "INSERT INTO footfall.rollup_sums (kind, at, host, name, source, counted, hits)"
                " SELECT 'page', '2025-02-02', 'shop.example', '/' || n, 'beacon', true, 1"
                "   FROM generate_series(1, %d) AS n",
                count);
}

/* One tick, and all that follows from it. */
static void tick(struct bench *bench)
{
    folding_tick(bench->folding, bench->now);
    while (folding_is_busy(bench->folding))
        uv_run(&bench->loop, UV_RUN_ONCE);
}

static void tick_after(struct bench *bench, int64_t ms)
{
    bench->now.ms += ms;
    tick(bench);
}

static void assert_folded(const struct bench *bench, int64_t count)
{
    assert_int_equal(bench->metrics.values[METRICS_SUMS_FOLDED], count);
}

static void it_folds_at_the_start_what_others_left(void **state)
{
    struct bench *bench = *state;
    append(bench, 7);
    tick(bench);
    assert_folded(bench, 7);
    assert_string_equal(postgres_ask(bench->admin, "SELECT sum(hits) FROM footfall.folded_pages"), "7");
    assert_string_equal(postgres_ask(bench->admin, "SELECT count(*) FROM footfall.rollup_sums"), "0");
}

static void it_folds_what_has_waited_and_nothing_else(void **state)
{
    struct bench *bench = *state;
    tick(bench);
    append(bench, 5);
    tick_after(bench, 2 * EVERY_MS); /* nobody told it */
    assert_folded(bench, 0);
    folding_note_appended(bench->folding, 5);
    tick(bench);
    assert_folded(bench, 5);
    append(bench, 5);
    folding_note_appended(bench->folding, 5);
    tick_after(bench, EVERY_MS - 1);
    assert_folded(bench, 5);
    tick_after(bench, 1);
    assert_folded(bench, 10);
}

static void what_is_appended_meanwhile_is_folded_next(void **state)
{
    struct bench *bench = *state;
    folding_tick(bench->folding, bench->now);
    folding_note_appended(bench->folding, 3); /* it may have been too late for this fold */
    tick(bench);
    assert_folded(bench, 0);
    append(bench, 3);
    tick_after(bench, EVERY_MS);
    assert_folded(bench, 3);
}

static void many_are_folded_at_once_and_in_portions(void **state)
{
    struct bench *bench = *state;
    tick(bench);
    append(bench, DUE_COUNT + 10);
    folding_note_appended(bench->folding, DUE_COUNT - 1);
    tick(bench);
    assert_folded(bench, 0);
    folding_note_appended(bench->folding, 11);
    tick(bench);
    assert_folded(bench, DUE_COUNT);
    tick(bench);
    assert_folded(bench, DUE_COUNT + 10);
}

static void it_leaves_alone_what_another_is_at(void **state)
{
    struct bench *bench = *state;
    append(bench, 3);
    PGconn *other = postgres_connect(bench->conninfo);
    postgres_do(other, "BEGIN; SELECT pg_advisory_xact_lock(1181708148, 4)");
    tick(bench);
    assert_folded(bench, 0);
    assert_int_equal(bench->metrics.values[METRICS_FOLD_FAILURES], 0);
    postgres_do(other, "ROLLBACK");
    folding_note_appended(bench->folding, 2 * DUE_COUNT);
    tick(bench); /* the other one takes ours, too: no hurry */
    assert_folded(bench, 0);
    tick_after(bench, EVERY_MS);
    assert_folded(bench, 3);
    postgres_disconnect(other);
}

static void what_fails_is_tried_again_later(void **state)
{
    struct bench *bench = *state;
    append(bench, 3);
    postgres_do(bench->admin, "ALTER TABLE footfall.folded_pages RENAME TO gone");
    tick(bench);
    assert_int_equal(bench->metrics.values[METRICS_FOLD_FAILURES], 1);
    folding_note_appended(bench->folding, 2 * DUE_COUNT);
    tick(bench); /* not at once */
    assert_int_equal(bench->metrics.values[METRICS_FOLD_FAILURES], 1);
    postgres_do(bench->admin, "ALTER TABLE footfall.gone RENAME TO folded_pages");
    tick_after(bench, LONG_MS);
    assert_folded(bench, 3);
}

/* As when the server is too slow to do that many within its statement_timeout. */
static void what_is_too_much_at_once_is_folded_in_smaller_portions(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin,
                "CREATE FUNCTION tire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF (SELECT count(*) FROM taken) > 30000 THEN"
                "   RAISE EXCEPTION 'canceled' USING ERRCODE = '57014'; END IF; RETURN NULL; END $$;"
                "CREATE TRIGGER tire AFTER DELETE ON footfall.rollup_sums REFERENCING OLD TABLE AS taken"
                " FOR EACH STATEMENT EXECUTE FUNCTION tire()");
    append(bench, 60000);
    for (int i = 0; i < 20 && bench->metrics.values[METRICS_SUMS_FOLDED] < 60000; i++)
        tick_after(bench, LONG_MS);
    assert_folded(bench, 60000);
    assert_true(bench->metrics.values[METRICS_FOLD_FAILURES] >= 2);
    postgres_do(bench->admin, "DROP TRIGGER tire ON footfall.rollup_sums");
    append(bench, DUE_COUNT);
    folding_note_appended(bench->folding, DUE_COUNT);
    for (int i = 0; i < 4 && bench->metrics.values[METRICS_SUMS_FOLDED] < 60000 + DUE_COUNT; i++)
        tick_after(bench, LONG_MS);
    assert_folded(bench, 60000 + DUE_COUNT); /* and in larger ones again */
}

static void it_connects_anew(void **state)
{
    struct bench *bench = *state;
    tick(bench);
    postgres_do(bench->admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                              " WHERE application_name = 'footfall-aggregator'");
    append(bench, 3);
    folding_note_appended(bench->folding, 3);
    for (int i = 0; i < 5 && bench->metrics.values[METRICS_SUMS_FOLDED] == 0; i++)
        tick_after(bench, LONG_MS);
    assert_folded(bench, 3);
}

static void closed_in_the_middle_it_ends(void **state)
{
    struct bench *bench = *state;
    append(bench, 3);
    folding_tick(bench->folding, bench->now);
    assert_true(folding_is_busy(bench->folding));
    folding_close(&bench->folding, NULL, NULL);
    assert_null(bench->folding);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_folds_at_the_start_what_others_left),
        TEST(it_folds_what_has_waited_and_nothing_else),
        TEST(what_is_appended_meanwhile_is_folded_next),
        TEST(many_are_folded_at_once_and_in_portions),
        TEST(it_leaves_alone_what_another_is_at),
        TEST(what_fails_is_tried_again_later),
        TEST(what_is_too_much_at_once_is_folded_in_smaller_portions),
        TEST(it_connects_anew),
        TEST(closed_in_the_middle_it_ends),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
