/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/database against a real server: statements, and connections that end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>

#include "tests/unit/aggregator/database_bench.h"

static void the_session_is_set_up(void **state)
{
    struct database_bench *bench = *state;
    static const struct {
        const char *name, *value;
    } wanted[] = {{"TimeZone", "UTC"},
                  {"statement_timeout", "15s"},
                  {"idle_in_transaction_session_timeout", "10s"},
                  {"search_path", "public"},
                  {"application_name", "footfall-aggregator"},
                  {"client_encoding", "UTF8"},
                  {"jit", "off"}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SHOW %s", wanted[i].name);
        assert_int_equal(database_bench_run(bench, sql), DATABASE_OK);
        assert_string_equal(bench->value, wanted[i].value);
    }
}

static void parameters_travel_as_text_and_binary(void **state)
{
    struct database_bench *bench = *state;
    struct buf number;
    buf_init_growing(&number, 16, 64);
    buf_add_be32(&number, 40);
    for (int i = 0; i < 3; i++) { /* prepared once, then used */
        struct database_statement statement = {.sql = "SELECT $1::int4 + $2::int4 + coalesce($3::int4, 100)"};
        database_statement_add_binary(&statement, &number);
        database_statement_add_text(&statement, "2");
        database_statement_add_text(&statement, NULL);
        database_query(bench->database, &statement, database_bench_on_reply, bench);
        database_bench_wait(bench);
        assert_int_equal(bench->outcome, DATABASE_OK);
        assert_memory_equal(bench->value, "\0\0\0\x8e", 4); /* 142 in binary form */
    }
    buf_fini(&number);
    assert_int_equal(database_bench_run(bench, "SELECT count(*) FROM pg_prepared_statements"), DATABASE_OK);
    assert_string_equal(bench->value, "1");
}

static void an_error_leaves_the_connection_alive(void **state)
{
    struct database_bench *bench = *state;
    assert_int_equal(database_bench_run(bench, "SELECT 1/0"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "22012");
    assert_string_equal(bench->message, "division by zero");
    assert_true(database_is_open(bench->database));
    assert_int_equal(database_bench_run(bench, "SELECT 7"), DATABASE_OK);
    assert_string_equal(bench->value, "7");
    assert_string_equal(bench->sqlstate, "");
}

static void an_error_inside_a_transaction_keeps_it_open(void **state)
{
    struct database_bench *bench = *state;
    assert_int_equal(database_bench_run(bench, "BEGIN"), DATABASE_OK);
    assert_true(database_is_in_transaction(bench->database));
    assert_int_equal(database_bench_run(bench, "SELECT nothing"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "42703");
    assert_true(database_is_in_transaction(bench->database));
    assert_int_equal(database_bench_run(bench, "COMMIT"), DATABASE_OK);
    assert_string_equal(bench->command, "ROLLBACK");
    assert_false(database_is_in_transaction(bench->database));
}

static void a_failed_preparation_can_be_tried_again(void **state)
{
    struct database_bench *bench = *state;
    static const char sql[] = "SELECT count(*)::text FROM later WHERE one = $1::int4";
    struct database_statement statement = {.sql = sql};
    database_statement_add_text(&statement, "1");
    database_query(bench->database, &statement, database_bench_on_reply, bench);
    database_bench_wait(bench);
    assert_string_equal(bench->sqlstate, "42P01");
    assert_int_equal(database_bench_run(bench, "CREATE TEMP TABLE later (one int)"), DATABASE_OK);
    assert_int_equal(database_bench_run(bench, "SET search_path = public, pg_temp"), DATABASE_OK);
    database_query(bench->database, &statement, database_bench_on_reply, bench);
    database_bench_wait(bench);
    assert_int_equal(bench->outcome, DATABASE_OK);
    assert_string_equal(bench->value, "0");
}

static void constraints_are_told_apart(void **state)
{
    struct database_bench *bench = *state;
    assert_int_equal(
        database_bench_run(bench, "CREATE TEMP TABLE parted (n int CHECK (n < 10)) PARTITION BY RANGE (n)"),
        DATABASE_OK);
    assert_int_equal(database_bench_run(bench, "INSERT INTO pg_temp.parted VALUES (1)"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    assert_false(bench->names_constraint);
    assert_int_equal(database_bench_run(bench, "CREATE TEMP TABLE p PARTITION OF pg_temp.parted DEFAULT"),
                     DATABASE_OK);
    assert_int_equal(database_bench_run(bench, "INSERT INTO pg_temp.parted VALUES (11)"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    assert_true(bench->names_constraint);
}

static void without_a_connection_the_answer_is_lost(void **state)
{
    (void)state;
    struct database_bench bench;
    database_bench_start(&bench, getenv("FOOTFALL_TEST_CONNINFO"));
    assert_false(database_is_open(bench.database));
    assert_int_equal(database_bench_run(&bench, "SELECT 1"), DATABASE_LOST);
    assert_string_equal(bench.sqlstate, "08006");
    assert_int_equal(database_bench_copy(&bench, "COPY t FROM STDIN (FORMAT binary)", NULL, 0),
                     DATABASE_LOST);
    database_bench_stop(&bench);
}

static void nobody_there_is_lost(void **state)
{
    (void)state;
    struct database_bench bench;
    database_bench_start(&bench, "host=/nonexistent dbname=footfall");
    assert_int_equal(database_bench_open(&bench), DATABASE_LOST);
    assert_non_null(strstr(bench.message, "/nonexistent"));
    assert_false(database_is_open(bench.database));
    database_bench_stop(&bench);
    database_bench_start(&bench, "no such option");
    assert_int_equal(database_bench_open(&bench), DATABASE_LOST);
    database_bench_stop(&bench);
}

static void a_second_host_is_tried(void **state)
{
    (void)state;
    char conninfo[512];
    const char *folder = strchr(getenv("FOOTFALL_TEST_CONNINFO"), '=') + 1;
    snprintf(conninfo, sizeof conninfo, "host=/nonexistent,%s", folder);
    struct database_bench bench;
    database_bench_start(&bench, conninfo);
    assert_int_equal(database_bench_open(&bench), DATABASE_OK);
    assert_int_equal(database_bench_run(&bench, "SELECT 1"), DATABASE_OK);
    database_bench_stop(&bench);
}

static void a_read_only_server_is_not_taken(void **state)
{
    struct database_bench *bench = *state;
    postgres_do(bench->admin, "ALTER DATABASE postgres SET default_transaction_read_only = on");
    assert_int_equal(database_bench_open(bench), DATABASE_LOST);
    postgres_do(bench->admin, "SET default_transaction_read_only = off");
    postgres_do(bench->admin, "ALTER DATABASE postgres RESET default_transaction_read_only");
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
}

static void ended_while_idle_is_noticed(void **state)
{
    struct database_bench *bench = *state;
    database_bench_end_backend(bench);
    while (database_is_open(bench->database))
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(database_bench_run(bench, "SELECT 1"), DATABASE_LOST);
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
    assert_int_equal(database_bench_run(bench, "SELECT 1"), DATABASE_OK);
}

static void ended_at_rest_and_asked_at_once_is_lost(void **state)
{
    struct database_bench *bench = *state;
    assert_int_equal(database_bench_run(bench, "BEGIN"), DATABASE_OK);
    database_bench_end_backend(bench);
    assert_int_equal(database_bench_run(bench, "SELECT 1"), DATABASE_LOST);
    assert_false(database_is_in_transaction(bench->database));
}

static void ended_inside_a_statement_says_why(void **state)
{
    struct database_bench *bench = *state;
    parameters_travel_as_text_and_binary(state);
    assert_int_equal(database_bench_run(bench, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(30)"),
                     DATABASE_LOST);
    assert_string_equal(bench->sqlstate, "57P01");
    assert_false(database_is_open(bench->database));
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
    /* What the old connection had prepared is forgotten with it. */
    parameters_travel_as_text_and_binary(state);
}

/* A stopped backend keeps its socket open and says nothing, as behind a network that swallows packets. */
static void a_silent_server_is_lost_at_the_deadline(void **state)
{
    struct database_bench *bench = *state;
    pid_t backend = atoi(postgres_ask(bench->admin, "SELECT pid FROM pg_stat_activity"
                                                    " WHERE application_name = 'footfall-aggregator'"));
    assert_int_equal(kill(backend, SIGSTOP), 0);
    uint64_t before_ms = uv_now(&bench->loop);
    assert_int_equal(database_bench_run(bench, "SELECT 1"), DATABASE_LOST);
    assert_string_equal(bench->message, "Postgres did not answer in time");
    assert_true(uv_now(&bench->loop) - before_ms >= DATABASE_DEADLINE_MS);
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
}

static void closing_abandons_what_is_under_way(void **state)
{
    struct database_bench *bench = *state;
    struct database_statement statement = {.sql = "SELECT pg_sleep(60)"};
    database_query(bench->database, &statement, database_bench_on_reply, bench);
    int before = bench->replies;
    database_bench_stop(bench);
    assert_int_equal(bench->replies, before);
    PGconn *admin = bench->admin;
    database_bench_start(bench, getenv("FOOTFALL_TEST_CONNINFO"));
    bench->admin = admin;
    database_bench_end_backend(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATABASE_BENCH_TEST(the_session_is_set_up),
        DATABASE_BENCH_TEST(parameters_travel_as_text_and_binary),
        DATABASE_BENCH_TEST(an_error_leaves_the_connection_alive),
        DATABASE_BENCH_TEST(an_error_inside_a_transaction_keeps_it_open),
        DATABASE_BENCH_TEST(a_failed_preparation_can_be_tried_again),
        DATABASE_BENCH_TEST(constraints_are_told_apart),
        cmocka_unit_test(without_a_connection_the_answer_is_lost),
        cmocka_unit_test(nobody_there_is_lost),
        cmocka_unit_test(a_second_host_is_tried),
        DATABASE_BENCH_TEST(a_read_only_server_is_not_taken),
        DATABASE_BENCH_TEST(ended_while_idle_is_noticed),
        DATABASE_BENCH_TEST(ended_at_rest_and_asked_at_once_is_lost),
        DATABASE_BENCH_TEST(ended_inside_a_statement_says_why),
        DATABASE_BENCH_TEST(a_silent_server_is_lost_at_the_deadline),
        DATABASE_BENCH_TEST(closing_abandons_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
