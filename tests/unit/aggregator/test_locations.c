/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/locations, with two programs on one database. */
#include "aggregator/locations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <cmocka.h>

#include "aggregator/migrate.h"
#include "base/log.h"
#include "tests/lib/postgres.h"

#define WEEK_MS INT64_C(604800000)

struct bench {
    uv_loop_t loop;
    struct pg_conn *admin;
    char *conninfo;
    struct locations *locations[2];
    /* What came. */
    bool is_answered;
    bool is_done;
    int found_count;
    struct location found;
    char texts[128];
    struct budget_lease lease;
};

static int set_up(void **state)
{
    struct bench *bench = *state = calloc(1, sizeof *bench);
    struct migrate_report report;
    struct why why;
    bench->conninfo = strdup(postgres_make("locations", NULL));
    assert_int_equal(migrate_run(bench->conninfo, &report, &why), STATUS_OK);
    bench->admin = postgres_connect(bench->conninfo);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    for (size_t i = 0; i < 2; i++)
        bench->locations[i] = locations_new(&bench->loop, bench->conninfo);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < 2; i++)
        locations_close(&bench->locations[i], NULL, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    postgres_disconnect(bench->admin);
    postgres_drop("locations");
    free(bench->conninfo);
    free(bench);
    return 0;
}

static void wait_answer(struct bench *bench)
{
    assert_false(bench->is_answered); /* never before the call returns */
    while (!bench->is_answered)
        uv_run(&bench->loop, UV_RUN_ONCE);
    bench->is_answered = false;
}

static void on_done(void *context, bool is_done)
{
    struct bench *bench = context;
    bench->is_answered = true;
    bench->is_done = is_done;
}

static void on_found(void *context, const struct location *location)
{
    struct bench *bench = context;
    bench->found_count++;
    bench->found = *location;
    snprintf(bench->texts, sizeof bench->texts, "%.*s/%.*s/%.*s", SLICE_ARGS(location->parts.country),
             SLICE_ARGS(location->parts.state), SLICE_ARGS(location->parts.city));
}

static void on_leased(void *context, const struct budget_lease *lease)
{
    struct bench *bench = context;
    bench->is_answered = true;
    bench->is_done = lease != NULL;
    if (lease != NULL)
        bench->lease = *lease;
}

static ip_address address(const char *text)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(text), &ip), STATUS_OK);
    return ip;
}

static int load(struct bench *bench, size_t who, const ip_address *ips, size_t count)
{
    bench->found_count = 0;
    locations_load(bench->locations[who], ips, count, on_found, on_done, bench);
    wait_answer(bench);
    return bench->found_count;
}

static void store(struct bench *bench, size_t who, const struct location *rows, size_t count)
{
    locations_store(bench->locations[who], rows, count, on_done, bench);
    wait_answer(bench);
    assert_true(bench->is_done);
}

static struct location pune(const char *ip, int64_t left_ms)
{
    return (struct location){.ip = address(ip),
                             .is_known = true,
                             .parts = {.country = SLICE("IN"),
                                       .state = SLICE("Mahārāshtra"),
                                       .city = SLICE("Pune"),
                                       .latitude = 18.5,
                                       .longitude = 73.75,
                                       .has_coordinates = true},
                             .left_ms = left_ms};
}

static void what_one_stores_the_other_loads(void **state)
{
    struct bench *bench = *state;
    const struct location rows[] = {pune("106.51.1.1", WEEK_MS),
                                    pune("2405:200::", WEEK_MS),
                                    {.ip = address("9.9.9.9"), .left_ms = WEEK_MS}};
    store(bench, 0, rows, 3);
    assert_int_equal(load(bench, 1, (ip_address[]){address("8.8.8.8"), address("2405:200::")}, 2), 1);
    assert_true(bench->is_done);
    assert_true(ip_equals(bench->found.ip, address("2405:200::")));
    assert_true(bench->found.is_known);
    assert_string_equal(bench->texts, "IN/Mahārāshtra/Pune");
    assert_true(bench->found.parts.has_coordinates);
    assert_true(bench->found.parts.latitude > 18.49 && bench->found.parts.latitude < 18.51);
    assert_true(bench->found.parts.longitude > 73.74 && bench->found.parts.longitude < 73.76);
    assert_in_range(bench->found.left_ms, WEEK_MS - 60000, WEEK_MS);
    assert_int_equal(load(bench, 1, (ip_address[]){address("9.9.9.9")}, 1), 1);
    assert_false(bench->found.is_known);
    assert_false(bench->found.parts.has_coordinates);
    assert_string_equal(
        postgres_ask(bench->admin, "SELECT source FROM footfall.ip_locations WHERE ip = '9.9.9.9'"),
        "ip2location");
}

static void the_latest_answer_counts(void **state)
{
    struct bench *bench = *state;
    struct location row = {.ip = address("106.51.1.1"), .left_ms = WEEK_MS};
    store(bench, 0, &row, 1);
    row = pune("106.51.1.1", WEEK_MS);
    store(bench, 1, &row, 1);
    assert_int_equal(load(bench, 0, &row.ip, 1), 1);
    assert_string_equal(bench->texts, "IN/Mahārāshtra/Pune");
    assert_string_equal(postgres_ask(bench->admin, "SELECT count(*) FROM footfall.ip_locations"), "1");
}

static void what_has_expired_is_not_found_and_then_removed(void **state)
{
    struct bench *bench = *state;
    struct location rows[] = {pune("106.51.1.1", WEEK_MS), pune("106.51.1.2", WEEK_MS),
                              pune("106.51.1.3", WEEK_MS)};
    store(bench, 0, rows, 3);
    postgres_do(
        bench->admin,
        "UPDATE footfall.ip_locations SET expires_at = now() AT TIME ZONE 'UTC'"
        " WHERE ip = '106.51.1.1'; UPDATE footfall.ip_locations SET version = 0 WHERE ip = '106.51.1.2'");
    assert_int_equal(load(bench, 1, (ip_address[]){rows[0].ip, rows[1].ip, rows[2].ip}, 3), 1);
    assert_true(ip_equals(bench->found.ip, rows[2].ip));
    locations_expire(bench->locations[0], on_done, bench);
    wait_answer(bench);
    assert_true(bench->is_done);
    assert_string_equal(
        postgres_ask(bench->admin, "SELECT string_agg(ip, ' ' ORDER BY ip) FROM footfall.ip_locations"),
        "106.51.1.2 106.51.1.3");
}

static void many_go_at_once(void **state)
{
    struct bench *bench = *state;
    struct location rows[LOCATIONS_AT_ONCE];
    ip_address ips[LOCATIONS_AT_ONCE];
    for (size_t i = 0; i < LOCATIONS_AT_ONCE; i++) {
        rows[i] = pune("106.51.1.1", WEEK_MS);
        rows[i].ip.bytes[15] = (uint8_t)i;
        ips[i] = rows[i].ip;
    }
    store(bench, 0, rows, LOCATIONS_AT_ONCE);
    assert_int_equal(load(bench, 0, ips, LOCATIONS_AT_ONCE), LOCATIONS_AT_ONCE);
}

static int64_t lease(struct bench *bench, size_t who, int64_t wanted, int64_t daily, int64_t monthly)
{
    locations_lease(bench->locations[who], wanted, daily, monthly, on_leased, bench);
    wait_answer(bench);
    assert_true(bench->is_done);
    return bench->lease.calls;
}

static void a_budget_is_shared(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(lease(bench, 0, 10, 25, 1000), 10);
    assert_in_range(bench->lease.day_left_ms, 1, 86400000);
    assert_int_equal(
        bench->lease.day,
        atoi(postgres_ask(bench->admin, "SELECT day - date '1970-01-01' FROM footfall.ip2location_calls")));
    assert_int_equal(lease(bench, 1, 10, 25, 1000), 10);
    assert_int_equal(lease(bench, 0, 10, 25, 1000), 5);
    assert_int_equal(lease(bench, 1, 10, 25, 1000), 0);
    assert_int_equal(lease(bench, 1, 10, 20, 1000), 0); /* a smaller budget by another setting */
    assert_string_equal(postgres_ask(bench->admin, "SELECT sum(calls) FROM footfall.ip2location_calls"),
                        "25");
}

/* A trigger that runs at the commit sees with what it is made. */
static void a_lease_outlives_a_crash_of_the_server(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin,
                "DO $$ BEGIN"
                "  EXECUTE format('ALTER DATABASE %%I SET synchronous_commit = off', current_database());"
                "END $$;"
                "CREATE TABLE seen (synchronous_commit text);"
                "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                "  INSERT INTO seen VALUES (current_setting('synchronous_commit'));"
                "  RETURN NULL;"
                "END $$;"
                "CREATE CONSTRAINT TRIGGER look AFTER INSERT ON footfall.ip2location_calls"
                "  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look()");
    assert_int_equal(lease(bench, 0, 10, 25, 1000), 10);
    assert_string_equal(postgres_ask(bench->admin, "SELECT synchronous_commit FROM seen"), "on");
}

static int spent_count;

static void count_spent(slice line)
{
    spent_count += memmem(line.data, line.len, "event=budget_spent", 18) != NULL;
}

/* How often a lease says that the budget is spent; the log holds nothing back. */
static int lease_says_spent(struct bench *bench, int64_t daily, int64_t expected)
{
    spent_count = 0;
    log_set_sink(count_spent);
    assert_int_equal(lease(bench, 0, 10, daily, 1000), expected);
    log_set_sink(NULL);
    return spent_count;
}

static void a_spent_budget_is_said_once(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(lease_says_spent(bench, 10, 10), 0);
    assert_int_equal(lease_says_spent(bench, 10, 0), 1);
    assert_int_equal(lease_says_spent(bench, 10, 0), 0);
    assert_int_equal(lease_says_spent(bench, 15, 5), 0); /* as on the next day */
    assert_int_equal(lease_says_spent(bench, 15, 0), 1);
}

static void days_of_the_month_are_added_up(void **state)
{
    struct bench *bench = *state;
    postgres_do(
        bench->admin,
        "INSERT INTO footfall.ip2location_calls"
        " SELECT day::date, 10 FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC') - interval "
        "'5 day',"
        "   date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month 5 day', interval '1 day') day"
        "  WHERE day::date <> (now() AT TIME ZONE 'UTC')::date");
    int days = atoi(postgres_ask(bench->admin,
                                 "SELECT extract(day FROM date_trunc('month', now() AT TIME ZONE 'UTC')"
                                 " + interval '1 month - 1 day')"));
    assert_int_equal(lease(bench, 0, 10, 100, 10 * (days - 1) + 7), 7);
    assert_int_equal(lease(bench, 0, 10, 100, 10 * (days - 1) + 7), 0);
}

static void a_lost_connection_is_an_answer(void **state)
{
    struct bench *bench = *state;
    ip_address ip = address("106.51.1.1");
    assert_int_equal(lease(bench, 0, 1, 10, 10), 1);
    postgres_do(bench->admin, "ALTER TABLE footfall.ip_locations RENAME TO gone");
    load(bench, 0, &ip, 1);
    assert_false(bench->is_done);
    postgres_do(bench->admin, "ALTER TABLE footfall.gone RENAME TO ip_locations");
    postgres_do(bench->admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                              " WHERE application_name = 'footfall-aggregator'");
    load(bench, 0, &ip, 1); /* either finds out now, or has found out and connects anew */
    load(bench, 0, &ip, 1);
    assert_true(bench->is_done);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(what_one_stores_the_other_loads),
        BENCH_TEST(the_latest_answer_counts),
        BENCH_TEST(what_has_expired_is_not_found_and_then_removed),
        BENCH_TEST(many_go_at_once),
        BENCH_TEST(a_budget_is_shared),
        BENCH_TEST(a_spent_budget_is_said_once),
        BENCH_TEST(a_lease_outlives_a_crash_of_the_server),
        BENCH_TEST(days_of_the_month_are_added_up),
        BENCH_TEST(a_lost_connection_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
