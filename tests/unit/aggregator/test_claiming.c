/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/claiming through store_claim, against a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/aggregator/store_bench.h"

static void the_first_claim_makes_the_row(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(bench->result.outcome, STORE_DONE);
    assert_int_equal(claim->partition, 3);
    assert_int_equal(claim->next_offset, -2);
    assert_int_equal(claim->version, 0);
    assert_true(claim->stored_until.ms == INT64_MIN);
    assert_int_equal(sessions_change_rows(claim->sessions), 0);
    assert_false(claim->has_strays);
    char owner[UUID_TEXT_LEN + 1] = "";
    uuid_write(claim->owner, owner);
    store_bench_ask(bench, "SELECT owner FROM footfall.partitions WHERE topic = 'hits' AND partition = 3",
                    owner);
    store_bench_ask(
        bench, "SELECT cluster_id || ' ' || partition_count || ' ' || next_offset FROM footfall.partitions",
        BENCH_CLUSTER " 12 -2");
    /* The row names the backend that will hold the lock. */
    store_bench_ask(bench,
                    "SELECT count(*) FROM footfall.partitions JOIN pg_stat_activity"
                    "    ON pid = owner_pid AND backend_start = owner_started"
                    " WHERE application_name = 'footfall-aggregator'",
                    "1");
    claim_free(&claim);
}

static void a_later_claim_has_what_was_committed(void **state)
{
    struct store_bench *bench = *state;
    struct claim *first = store_bench_claim(bench, 3);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET next_offset = 77, version = 5,"
                              " stored_until = '2025-02-02 04:20:00.123'");
    struct claim *second = store_bench_claim(bench, 3);
    assert_int_equal(second->next_offset, 77);
    assert_int_equal(second->version, 5);
    assert_int_equal(second->stored_until.ms, 1738470000123);
    assert_false(uuid_equals(first->owner, second->owner));
    claim_free(&first);
    claim_free(&second);
}

static void another_cluster_is_refused(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    store_set_cluster(bench->store, "another", BENCH_PARTITIONS);
    assert_null(store_bench_claim(bench, 3));
    assert_int_equal(bench->result.outcome, STORE_HALT);
    assert_int_equal(bench->result.partition, 3);
    assert_non_null(strstr(bench->result.reason, "\"another\""));
    assert_non_null(strstr(bench->result.reason, "\"" BENCH_CLUSTER "\""));
    /* The owner that there was keeps the partition. */
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
}

static void another_partition_count_is_refused(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    store_set_cluster(bench->store, BENCH_CLUSTER, 24);
    assert_null(store_bench_claim(bench, 3));
    assert_int_equal(bench->result.outcome, STORE_HALT);
    assert_non_null(strstr(bench->result.reason, "24"));
    assert_non_null(strstr(bench->result.reason, "12"));
}

static void a_halted_row_is_refused_until_it_is_resumed(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_keep_halt(bench, claim, "a test; then resume"), STORE_DONE);
    assert_null(store_bench_claim(bench, 3));
    assert_int_equal(bench->result.outcome, STORE_HALT);
    assert_int_equal(bench->result.partition, 3);
    assert_string_equal(bench->result.reason, "a test; then resume");
    store_bench_ask(bench, "SELECT halted_at > now() - interval '1 hour' FROM footfall.partitions", "t");
    /* What was read before can still be written. */
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET halted_at = NULL, halt_reason = NULL");
    claim = store_bench_claim(bench, 3);
    assert_non_null(claim);
    claim_free(&claim);
}

static void only_the_owner_halts(void **state)
{
    struct store_bench *bench = *state;
    struct claim *first = store_bench_claim(bench, 3);
    struct claim *second = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_keep_halt(bench, first, "a test"), STORE_FENCED);
    store_bench_ask(bench, "SELECT halt_reason IS NULL FROM footfall.partitions", "t");
    claim_free(&first);
    claim_free(&second);
}

static void strays_that_wait_are_seen(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.strays VALUES ('hits', 4, '203.0.113.7', 'example.com',"
                              " '2025-02-02', '2025-02-02', 1, 0)");
    struct claim *claim = store_bench_claim(bench, 4);
    assert_true(claim->has_strays);
    claim_free(&claim);
    claim = store_bench_claim(bench, 5);
    assert_false(claim->has_strays);
    claim_free(&claim);
}

/* More than two pages of changes, each of another visitor; every tenth is closed again. */
static void open_sessions_are_replayed(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin,
                "INSERT INTO footfall.open_session_pages"
                " SELECT 'hits', 6, n / 1000, n / 100 %% 10 * 100, json_agg(json_build_array("
                "        '10.' || n / 65536 || '.' || n / 256 %% 256 || '.' || n %% 256, 'example.com',"
                "        1738454400000, 1738454400000, 1, 0) ORDER BY n)"
                "   FROM generate_series(0, 24999) AS n GROUP BY n / 100, n / 1000");
    postgres_do(bench->admin,
                "INSERT INTO footfall.open_session_pages"
                " SELECT topic, partition, 1000, min(ordinal),"
                "        json_agg(json_build_array(ip, host, 1738454400000, 1738454400000, 0, 0))"
                "   FROM footfall.open_session_changes WHERE ordinal %% 10 = 0 GROUP BY topic, partition");
    /* Another partition's and another topic's are not ours. */
    postgres_do(bench->admin, "INSERT INTO footfall.open_session_pages VALUES"
                              " ('hits', 7, 1, 1, '[[\"10.0.0.1\",\"other.com\",0,0,1,0]]'),"
                              " ('else', 6, 1, 1, '[[\"10.0.0.1\",\"other.com\",0,0,1,0]]')");
    struct claim *claim = store_bench_claim(bench, 6);
    assert_non_null(claim);
    assert_int_equal(sessions_change_rows(claim->sessions), 27500);
    assert_int_equal(sessions_count(claim->sessions), 22500);
    size_t cursor = 0;
    struct session session;
    assert_true(sessions_next(claim->sessions, &cursor, &session));
    assert_true(slice_equals(session.host, SLICE("example.com")));
    assert_int_equal(session.start.ms, 1738454400000);
    claim_free(&claim);
}

/* Not one statement may have to sort all of them: a million are many seconds' work. */
static void open_sessions_are_loaded_in_pieces_of_one_size(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin,
                "INSERT INTO footfall.open_session_pages"
                " SELECT 'hits', 6, 1, n / 100 * 100, json_agg(json_build_array("
                "        '10.' || n / 65536 || '.' || n / 256 %% 256 || '.' || n %% 256, 'example.com',"
                "        1738454400000, 1738454400000, 1, 0) ORDER BY n)"
                "   FROM generate_series(0, 49999) AS n GROUP BY n / 100");
    postgres_do(bench->admin, "ALTER ROLE CURRENT_USER SET work_mem = '2MB'");
    postgres_do(bench->admin,
                "ALTER ROLE CURRENT_USER SET temp_file_limit = 0"); /* nothing that needs more */
    struct claim *claim = store_bench_claim(bench, 6);
    postgres_do(bench->admin, "ALTER ROLE CURRENT_USER RESET ALL");
    assert_non_null(claim);
    assert_int_equal(sessions_count(claim->sessions), 50000);
    claim_free(&claim);
}

static void a_change_that_is_no_session_halts(void **state)
{
    struct store_bench *bench = *state;
    static const char *const changes[] = {"[\"nonsense\",\"example.com\",0,0,1,0]",
                                          "[\"10.0.0.1\",\"example.com\",5,0,1,0]",
                                          "[\"10.0.0.1\",\"example.com\",0,0,1]",
                                          "[\"10.0.0.1\",\"example.com\",null,0,1,0]",
                                          "[]",
                                          "7"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        postgres_do(bench->admin,
                    "DELETE FROM footfall.open_session_pages;"
                    "INSERT INTO footfall.open_session_pages VALUES ('hits', 6, 1, 1, '[%s]')",
                    changes[i]);
        assert_null(store_bench_claim(bench, 6));
        assert_int_equal(bench->result.outcome, STORE_HALT);
        assert_int_equal(bench->result.partition, 6);
    }
}

static void a_page_that_is_no_page_halts(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.open_session_pages VALUES ('hits', 6, 1, 1, '[[')");
    assert_null(store_bench_claim(bench, 6));
    assert_int_equal(bench->result.outcome, STORE_BAD_DATA);
}

static void without_tables_it_halts_with_the_mend(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "DROP SCHEMA footfall CASCADE");
    assert_null(store_bench_claim(bench, 6));
    assert_int_equal(bench->result.outcome, STORE_HALT);
    assert_string_equal(bench->result.sqlstate, "42P01");
    assert_non_null(strstr(bench->result.reason, "footfall-aggregator migrate"));
}

static void nobody_there_is_a_retry(void **state)
{
    (void)state;
    struct store_bench bench;
    store_bench_start(&bench, "host=/nonexistent");
    assert_null(store_bench_claim(&bench, 3));
    assert_int_equal(bench.result.outcome, STORE_RETRY);
    assert_non_null(strstr(bench.result.reason, "/nonexistent"));
    store_bench_stop(&bench);
}

static void a_lost_connection_is_a_retry_and_the_next_claim_works(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "CREATE FUNCTION end_once() RETURNS trigger LANGUAGE plpgsql AS"
                              " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'");
    postgres_do(bench->admin, "CREATE TRIGGER ends AFTER UPDATE ON footfall.partitions"
                              " FOR EACH ROW EXECUTE FUNCTION end_once()");
    assert_null(store_bench_claim(bench, 3));
    assert_int_equal(bench->result.outcome, STORE_RETRY);
    assert_string_equal(bench->result.sqlstate, "57P01");
    store_bench_ask(bench, "SELECT owner IS NULL FROM footfall.partitions", "t");
    postgres_do(bench->admin, "DROP TRIGGER ends ON footfall.partitions");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_non_null(claim);
    claim_free(&claim);
}

/* A backend that owns the row, holds its lock and stands still inside COPY, where no timeout ends it. */
static PGconn *stand_still_inside_copy(struct store_bench *bench, bool is_named)
{
    PGconn *stuck = postgres_connect(bench->conninfo);
    postgres_do(stuck, "CREATE TEMP TABLE copied (n int)");
    if (is_named)
        postgres_do(stuck, "UPDATE footfall.partitions SET owner_pid = pg_backend_pid(), owner_started ="
                           " (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())");
    postgres_do(stuck, "BEGIN; SELECT FROM footfall.partitions FOR UPDATE");
    postgres_do(stuck, "COPY copied FROM STDIN");
    assert_int_equal(PQputCopyData(stuck, "1\n", 2), 1);
    assert_int_equal(PQflush(stuck), 0);
    return stuck;
}

static void a_stuck_holder_is_ended(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    PGconn *stuck = stand_still_inside_copy(bench, true);
    claim = store_bench_claim(bench, 3);
    assert_int_equal(bench->result.outcome, STORE_DONE);
    assert_int_equal(PQputCopyEnd(stuck, NULL), 1);
    PGresult *result;
    while ((result = PQgetResult(stuck)) != NULL)
        PQclear(result);
    assert_int_equal(PQstatus(stuck), CONNECTION_BAD);
    postgres_disconnect(stuck);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
}

/* Between its last statement and its COMMIT. An insert that conflicts waits for who updates the row, with no
 * end. */
static void a_holder_that_has_moved_the_row_is_ended(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    PGconn *stuck = postgres_connect(bench->conninfo);
    postgres_do(stuck, "UPDATE footfall.partitions SET owner_pid = pg_backend_pid(), owner_started ="
                       " (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())");
    postgres_do(stuck, "BEGIN; UPDATE footfall.partitions SET version = version + 1");
    claim = store_bench_claim(bench, 3);
    assert_int_equal(bench->result.outcome, STORE_DONE);
    assert_int_equal(claim->version, 0);
    claim_free(&claim);
    postgres_disconnect(stuck);
}

/* Somebody who is not the named owner is left alone: a person with psql, or a process that came later under
 * the same number. */
static void a_holder_that_is_not_the_owner_is_left_alone(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    PGconn *stuck = stand_still_inside_copy(bench, false);
    postgres_do(bench->admin, "SELECT 1");
    assert_null(store_bench_claim(bench, 3));
    assert_int_equal(bench->result.outcome, STORE_FENCED);
    assert_int_equal(bench->result.partition, 3);
    assert_non_null(strstr(bench->result.reason, "footfall.partitions"));
    assert_int_equal(PQputCopyEnd(stuck, NULL), 1);
    PGresult *result = PQgetResult(stuck);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    postgres_disconnect(stuck);
    claim = store_bench_claim(bench, 3);
    assert_non_null(claim);
    claim_free(&claim);
}

static void the_group_is_named_after_the_deployment(void **state)
{
    struct store_bench *bench = *state;
    char group[64], again[64];
    struct why why;
    assert_int_equal(store_group_read(bench->conninfo, group, sizeof group, &why), STATUS_OK);
    assert_int_equal(strlen(group), strlen("footfall-") + UUID_TEXT_LEN);
    assert_int_equal(strncmp(group, "footfall-", 9), 0);
    assert_int_equal(store_group_read(bench->conninfo, again, sizeof again, &why), STATUS_OK);
    assert_string_equal(group, again);
    postgres_do(bench->admin, "DELETE FROM footfall.deployment");
    assert_int_equal(store_group_read(bench->conninfo, group, sizeof group, &why), STATUS_CONFLICT);
    assert_int_equal(store_group_read("host=/nonexistent", group, sizeof group, &why), STATUS_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_claim_makes_the_row),
        TEST(a_later_claim_has_what_was_committed),
        TEST(another_cluster_is_refused),
        TEST(another_partition_count_is_refused),
        TEST(a_halted_row_is_refused_until_it_is_resumed),
        TEST(only_the_owner_halts),
        TEST(strays_that_wait_are_seen),
        TEST(open_sessions_are_replayed),
        TEST(open_sessions_are_loaded_in_pieces_of_one_size),
        TEST(a_change_that_is_no_session_halts),
        TEST(a_page_that_is_no_page_halts),
        TEST(without_tables_it_halts_with_the_mend),
        cmocka_unit_test(nobody_there_is_a_retry),
        TEST(a_lost_connection_is_a_retry_and_the_next_claim_works),
        TEST(a_stuck_holder_is_ended),
        TEST(a_holder_that_has_moved_the_row_is_ended),
        TEST(a_holder_that_is_not_the_owner_is_left_alone),
        TEST(the_group_is_named_after_the_deployment),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
