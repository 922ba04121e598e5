/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/preparation: what is waited for and what is refused before the aggregator may run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <uv.h>

#include "aggregator/preparation.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/lib/postgres.h"

enum { DEADLINE_MS = 60000 };

struct bench {
    uv_loop_t loop;
    uv_timer_t step;
    char *conninfo;
    struct pg_conn *elsewhere;
    struct preparation *preparation;
    int ready_count, refused_count;
    char text[600]; /* the group, or why not */
};

static void on_ready(void *context, const char *group)
{
    struct bench *bench = context;
    bench->ready_count++;
    snprintf(bench->text, sizeof bench->text, "%s", group);
}

static void on_refused(void *context, const char *reason)
{
    struct bench *bench = context;
    bench->refused_count++;
    snprintf(bench->text, sizeof bench->text, "%s", reason);
}

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    log_set_level(LOG_ERROR);
    uv_loop_init(&bench->loop);
    uv_timer_init(&bench->loop, &bench->step);
    uv_timer_start(&bench->step, on_step, 10, 10); /* so that each turn ends */
    bench->conninfo = strdup(postgres_make("preparation_test", NULL));
    bench->elsewhere = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    preparation_stop(&bench->preparation);
    uv_close((uv_handle_t *)&bench->step, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    postgres_disconnect(bench->elsewhere);
    postgres_drop("preparation_test");
    free(bench->conninfo);
    free(bench);
    return 0;
}

static void start(struct bench *bench, const char *conninfo, const char *group)
{
    static const struct preparation_events events = {on_ready, on_refused};
    struct preparation_options options = {.conninfo = conninfo, .owner_conninfo = "", .group = group};
    bench->preparation = preparation_start(&bench->loop, &options, &events, bench);
}

/* Turns the loop until an event came or what is missing says so. */
static void wait_for(struct bench *bench, const char *missing)
{
    for (int64_t end = mono_now().ms + DEADLINE_MS; mono_now().ms < end;) {
        uv_run(&bench->loop, UV_RUN_ONCE);
        if (bench->ready_count + bench->refused_count > 0)
            return;
        if (missing != NULL && strstr(preparation_missing(bench->preparation), missing) != NULL)
            return;
    }
    fail_msg("nothing came; missing: %s", preparation_missing(bench->preparation));
}

static void migrations_are_applied_and_the_group_is_read(void **state)
{
    struct bench *bench = *state;
    start(bench, bench->conninfo, "");
    wait_for(bench, NULL);
    assert_int_equal(bench->ready_count, 1);
    assert_int_equal(strncmp(bench->text, "footfall-", 9), 0);
    assert_int_equal(strlen(bench->text), 9 + 36);
    struct pg_conn *conn = postgres_connect(bench->conninfo);
    assert_string_equal(postgres_ask(conn, "SELECT count(*) FROM processed_events"), "0");
    postgres_disconnect(conn);
}

static void a_group_of_ones_own_is_kept(void **state)
{
    struct bench *bench = *state;
    start(bench, bench->conninfo, "mine");
    wait_for(bench, NULL);
    assert_string_equal(bench->text, "mine");
}

static void a_server_that_is_away_is_waited_for(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->elsewhere, "ALTER DATABASE preparation_test ALLOW_CONNECTIONS false");
    start(bench, bench->conninfo, "");
    wait_for(bench, "not currently accepting connections");
    assert_int_equal(bench->ready_count + bench->refused_count, 0);
    postgres_do(bench->elsewhere, "ALTER DATABASE preparation_test ALLOW_CONNECTIONS true");
    wait_for(bench, NULL);
    assert_int_equal(bench->ready_count, 1);
}

static void a_role_that_may_not_migrate_waits_for_one_that_may(void **state)
{
    struct bench *bench = *state;
    static char conninfo[400]; /* borrowed beyond this function */
    snprintf(conninfo, sizeof conninfo, "%s user=preparation_plain", bench->conninfo);
    postgres_do(bench->elsewhere, "CREATE ROLE preparation_plain LOGIN");
    start(bench, conninfo, "");
    wait_for(bench, "waiting for Postgres: ");
    assert_int_equal(bench->ready_count + bench->refused_count, 0);
    preparation_stop(&bench->preparation);
    postgres_do(bench->elsewhere, "DROP ROLE preparation_plain");
}

static void foreign_tables_are_refused(void **state)
{
    struct bench *bench = *state;
    struct pg_conn *conn = postgres_connect(bench->conninfo);
    postgres_do(conn, "CREATE TABLE processed_events (ip varchar)");
    postgres_disconnect(conn);
    start(bench, bench->conninfo, "");
    wait_for(bench, NULL);
    assert_int_equal(bench->refused_count, 1);
    assert_non_null(strstr(bench->text, "ALTER TABLE"));
}

static void nothing_comes_after_a_stop(void **state)
{
    struct bench *bench = *state;
    start(bench, bench->conninfo, "");
    preparation_stop(&bench->preparation);
    for (int64_t end = mono_now().ms + 200; mono_now().ms < end;)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->ready_count + bench->refused_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(migrations_are_applied_and_the_group_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_of_ones_own_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_away_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_role_that_may_not_migrate_waits_for_one_that_may, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(foreign_tables_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_comes_after_a_stop, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
