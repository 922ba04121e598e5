/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/retention against a real server: what goes, what stays, and who is in the way. Days are
 * counted back from today, in UTC. */
#include "aggregator/retention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/aggregator/store_bench.h"

enum { KEPT_DAYS = 30, EVERY_MS = 600000, LONG_MS = 400000 };
#define DAY_MS INT64_C(86400000)

static int64_t our_clock_ahead_ms; /* of Postgres' */

wall_ms __wrap_wall_now(void);
wall_ms __real_wall_now(void);

wall_ms __wrap_wall_now(void)
{
    return (wall_ms){__real_wall_now().ms + our_clock_ahead_ms};
}

struct bench {
    uv_loop_t loop;
    char *conninfo;
    PGconn *admin;
    struct metrics metrics;
    struct retention *retention;
    mono_ms now;
};

static int set_up(void **state)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    bench->conninfo = strdup(postgres_make("retention_test", "store_template"));
    bench->admin = postgres_connect(bench->conninfo);
    /* A test is of one day. */
    postgres_do(bench->admin, "SET timezone = 'UTC';"
                              "SELECT pg_sleep(30) WHERE localtime > '23:59:30';"
                              "CREATE FUNCTION ago(days integer) RETURNS timestamp LANGUAGE sql AS"
                              " 'SELECT (current_date - days)::timestamp'");
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    struct retention_options options = {bench->conninfo, &bench->metrics, KEPT_DAYS};
    bench->retention = retention_new(&bench->loop, &options);
    bench->now = mono_now();
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->retention != NULL)
        retention_close(&bench->retention, NULL, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    postgres_disconnect(bench->admin);
    postgres_drop("retention_test");
    free(bench->conninfo);
    free(bench);
    our_clock_ahead_ms = 0;
    return 0;
}

/* One tick, and all that follows from it. */
static void tick_after(struct bench *bench, int64_t ms)
{
    bench->now.ms += ms;
    retention_tick(bench->retention, bench->now);
    while (retention_is_busy(bench->retention))
        uv_run(&bench->loop, UV_RUN_ONCE);
    retention_measure(bench->retention, bench->now);
}

static int64_t measured(const struct bench *bench, enum metrics_id id)
{
    return bench->metrics.values[id];
}

static void assert_ask(const struct bench *bench, const char *sql, const char *wanted)
{
    assert_string_equal(postgres_ask(bench->admin, "%s", sql), wanted);
}

/* Two hits a day, the first and the last moment of it. */
static void add_days(const struct bench *bench, int oldest, int newest)
{
    postgres_do(bench->admin,
                "SELECT footfall.make_day(ago(n)::date) FROM generate_series(%d, %d) AS n;"
                "INSERT INTO processed_events (event_timestamp, host, url, source, flags)"
                " SELECT ago(n) + at, 'shop.example', '/', 'beacon', 0"
                "   FROM generate_series(%d, %d) AS n,"
                "        unnest(ARRAY['0 s', '23:59:59.999']::interval[]) AS at",
                newest, oldest, newest, oldest);
}

static void add_sessions(const struct bench *bench, int count, const char *last_end)
{
    postgres_do(bench->admin,
                "INSERT INTO session_events_aggregated_ip (start_session, end_session, ip, host, web_events,"
                " last_hit, bot_events) SELECT at - interval '1 h', at, '203.0.113.7', n::text, 1,"
                " at - interval '5 min', 0 FROM (SELECT n, %s - n * interval '1 ms' AS at"
                "                                  FROM generate_series(0, %d - 1) AS n) AS each",
                last_end, count);
}

static void what_is_too_old_goes_and_the_rest_stays(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 33, 29);
    add_sessions(bench, 1, "ago(30) - interval '1 ms'");
    add_sessions(bench, 1, "ago(30)");
    postgres_do(bench->admin, "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, rejected_at,"
                              " reason) VALUES ('hits', 0, 1, ago(30) - interval '1 ms', 'not_json'),"
                              " ('hits', 0, 2, ago(30), 'not_json')");
    tick_after(bench, 0);
    assert_ask(bench,
               "SELECT count(*) || ' ' || (min(event_timestamp) = ago(30))::text FROM processed_events",
               "4 true");
    assert_ask(bench,
               "SELECT count(*) || ' ' || (min(end_session) = ago(30))::text"
               "  FROM session_events_aggregated_ip",
               "1 true");
    assert_ask(bench, "SELECT string_agg(kafka_offset::text, ' ') FROM rejected_hits", "2");
    assert_ask(bench, "SELECT count(*) || ' ' || bool_and(day < ago(30))::text FROM footfall.dropped_days",
               "3 true");
    assert_int_equal(measured(bench, METRICS_DAYS_DROPPED), 3);
    assert_int_equal(measured(bench, METRICS_SESSIONS_DROPPED), 1);
    assert_int_equal(measured(bench, METRICS_REJECTS_DROPPED), 1);
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 0);
    assert_int_equal(measured(bench, METRICS_DAYS_DUE), 0);
}

/* What either clock still keeps stays. */
static void the_earlier_clock_decides(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 33, 29);
    add_sessions(bench, 1, "ago(31)");
    our_clock_ahead_ms = -2 * DAY_MS;
    tick_after(bench, 0);
    assert_ask(bench,
               "SELECT count(*) || ' ' || (min(event_timestamp) = ago(32))::text FROM processed_events",
               "8 true");
    assert_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "1");
    our_clock_ahead_ms = 400 * DAY_MS;
    tick_after(bench, EVERY_MS);
    assert_ask(bench,
               "SELECT count(*) || ' ' || (min(event_timestamp) = ago(30))::text FROM processed_events",
               "4 true");
    assert_int_equal(measured(bench, METRICS_DAYS_DUE), 0);
}

static void a_day_that_is_made_again_goes_at_the_next_pass(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 31, 31);
    tick_after(bench, 0);
    add_days(bench, 31, 31);
    tick_after(bench, EVERY_MS - 1);
    assert_int_equal(measured(bench, METRICS_DAYS_DROPPED), 1);
    assert_int_equal(measured(bench, METRICS_RETENTION_AGE), EVERY_MS - 1);
    tick_after(bench, 1);
    assert_int_equal(measured(bench, METRICS_DAYS_DROPPED), 2);
    assert_int_equal(measured(bench, METRICS_RETENTION_AGE), 0);
    assert_ask(bench, "SELECT count(*) FROM footfall.dropped_days", "1");
}

/* Somebody's report of many minutes: the table cannot be had, and nobody waits for it. */
static void a_reader_is_given_way(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 32, 29);
    add_sessions(bench, 5, "ago(40)");
    PGconn *reader = postgres_connect(bench->conninfo);
    postgres_do(reader, "BEGIN; SELECT count(*) FROM processed_events");
    tick_after(bench, 0);
    assert_ask(bench, "SELECT count(*) FROM processed_events", "8");
    assert_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "0");
    assert_int_equal(measured(bench, METRICS_DAYS_DUE), 2);
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 1);
    tick_after(bench, 1000); /* not at once: each attempt may hold hits up */
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 1);
    postgres_do(reader, "COMMIT");
    tick_after(bench, LONG_MS);
    assert_ask(bench, "SELECT count(*) FROM processed_events", "4");
    assert_int_equal(measured(bench, METRICS_DAYS_DUE), 0);
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 1);
    postgres_disconnect(reader);
}

/* What holds one day for good does not keep the others. */
static void a_day_that_cannot_go_is_passed_over(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 34, 31);
    postgres_do(bench->admin, "DO $$ BEGIN EXECUTE (SELECT 'CREATE VIEW mine AS SELECT * FROM ' || partition"
                              "  FROM footfall.days WHERE day = ago(34)); END $$");
    for (int i = 0; i < 3; i++)
        tick_after(bench, LONG_MS);
    assert_int_equal(measured(bench, METRICS_DAYS_DROPPED), 3);
    assert_int_equal(measured(bench, METRICS_DAYS_DUE), 1);
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 3);
    postgres_do(bench->admin, "DROP VIEW mine");
    tick_after(bench, LONG_MS);
    assert_int_equal(measured(bench, METRICS_DAYS_DROPPED), 4);
}

/* A partition that somebody attached himself. */
static void what_is_no_day_of_ours_stays(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin, "CREATE TABLE processed_events_history PARTITION OF processed_events"
                              " FOR VALUES FROM ('2001-01-01') TO ('2002-01-01');"
                              "INSERT INTO processed_events (event_timestamp) VALUES ('2001-05-05')");
    tick_after(bench, 0);
    assert_ask(bench, "SELECT count(*) FROM processed_events", "1");
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 0);
}

/* The index that old sessions are found by is made when it is small, and asked for when it is not. */
static void an_index_is_made_unless_batches_would_wait_for_long(void **state)
{
    struct bench *bench = *state;
    static const char has_index[] = "SELECT to_regclass('session_events_aggregated_ip_end') IS NOT NULL";
    add_sessions(bench, 3, "ago(40)");
    postgres_do(bench->admin,
                "UPDATE pg_class SET reltuples = 4e6 WHERE relname = 'session_events_aggregated_ip'");
    tick_after(bench, 0);
    assert_ask(bench, has_index, "f");
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 1);
    postgres_do(bench->admin,
                "UPDATE pg_class SET reltuples = 3 WHERE relname = 'session_events_aggregated_ip'");
    tick_after(bench, LONG_MS);
    assert_ask(bench, has_index, "t");
    assert_int_equal(measured(bench, METRICS_SESSIONS_DROPPED), 3);
}

/* The batch that takes it back has it; nobody waits. */
static void a_session_that_is_taken_back_is_left(void **state)
{
    struct bench *bench = *state;
    tick_after(bench, 0);                 /* makes the index */
    add_sessions(bench, 2500, "ago(40)"); /* more than at once */
    PGconn *batch = postgres_connect(bench->conninfo);
    postgres_do(batch, "BEGIN; DELETE FROM session_events_aggregated_ip WHERE host = '1200'");
    tick_after(bench, EVERY_MS);
    assert_ask(bench, "SELECT string_agg(host, ' ') FROM session_events_aggregated_ip", "1200");
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 0);
    postgres_do(batch, "ROLLBACK");
    tick_after(bench, EVERY_MS);
    assert_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "0");
    assert_int_equal(measured(bench, METRICS_SESSIONS_DROPPED), 2500);
    postgres_disconnect(batch);
}

static void it_leaves_alone_what_another_is_at(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 31, 31);
    add_sessions(bench, 3, "ago(40)");
    PGconn *other = postgres_connect(bench->conninfo);
    postgres_do(other, "BEGIN; SELECT pg_advisory_xact_lock(1181708148, 6)");
    tick_after(bench, 0);
    assert_ask(bench, "SELECT count(*) FROM processed_events", "2");
    assert_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "3");
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 0);
    postgres_do(other, "ROLLBACK");
    tick_after(bench, EVERY_MS);
    assert_ask(bench, "SELECT count(*) FROM processed_events", "0");
    postgres_disconnect(other);
}

static void what_fails_is_tried_again_later(void **state)
{
    struct bench *bench = *state;
    add_sessions(bench, 3, "ago(40)");
    postgres_do(bench->admin, "ALTER FUNCTION footfall.drop_sessions RENAME TO gone");
    tick_after(bench, 0);
    assert_int_equal(measured(bench, METRICS_RETENTION_FAILURES), 1);
    postgres_do(bench->admin, "ALTER FUNCTION footfall.gone RENAME TO drop_sessions");
    tick_after(bench, LONG_MS);
    assert_int_equal(measured(bench, METRICS_SESSIONS_DROPPED), 3);
}

/* Rollups of a day go on telling what it held, also when a late hit makes it again. */
static void a_recount_leaves_dropped_days_alone(void **state)
{
    struct bench *bench = *state;
    add_days(bench, 31, 30);
    assert_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "8");
    tick_after(bench, 0);
    add_days(bench, 31, 31);
    postgres_do(bench->admin, "DELETE FROM processed_events WHERE event_timestamp = ago(30)");
    assert_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "3");
    assert_ask(bench, "SELECT string_agg(hits::text, ' ' ORDER BY day) FROM pages_by_day", "2 1");
}

static void closed_in_the_middle_it_ends(void **state)
{
    struct bench *bench = *state;
    retention_tick(bench->retention, bench->now);
    assert_true(retention_is_busy(bench->retention));
    retention_close(&bench->retention, NULL, NULL);
    assert_null(bench->retention);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_too_old_goes_and_the_rest_stays),
        TEST(the_earlier_clock_decides),
        TEST(a_day_that_is_made_again_goes_at_the_next_pass),
        TEST(a_reader_is_given_way),
        TEST(a_day_that_cannot_go_is_passed_over),
        TEST(what_is_no_day_of_ours_stays),
        TEST(an_index_is_made_unless_batches_would_wait_for_long),
        TEST(a_session_that_is_taken_back_is_left),
        TEST(it_leaves_alone_what_another_is_at),
        TEST(what_fails_is_tried_again_later),
        TEST(a_recount_leaves_dropped_days_alone),
        TEST(closed_in_the_middle_it_ends),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
