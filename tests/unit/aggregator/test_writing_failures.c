/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/writing through store_write, against a real server: what a batch does not leave behind
 * when it is fenced or fails, and what its caller is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/aggregator/store_bench.h"

static void add_hits(struct store_bench *bench, int partition, int64_t from, int64_t to)
{
    for (int64_t number = from; number < to; number++)
        store_bench_add_hit(bench, partition, number);
}

static void assert_nothing_stored(struct store_bench *bench)
{
    store_bench_ask(
        bench,
        "SELECT (SELECT count(*) FROM processed_events) + (SELECT count(*) FROM rejected_hits)"
        "     + (SELECT count(*) FROM footfall.received)"
        "     + (SELECT count(*) FROM footfall.open_session_pages)"
        "     + (SELECT count(*) FROM footfall.partitions WHERE version > 0 OR next_offset <> -2)",
        "0");
}

/* ---- Locks of others ---- */

/* As ANALYZE locks the table, for minutes when it is large. */
static void a_day_ahead_is_not_waited_for(void **state)
{
    struct store_bench *bench = *state;
    static const char missing[] = "SELECT count(*) FROM pg_class WHERE relname ="
                                  " 'processed_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')";
    struct claim *claim = store_bench_claim(bench, 3);
    struct pg_conn *person = postgres_connect(bench->conninfo);
    add_hits(bench, 3, 0, 1);
    postgres_do(person, "SELECT footfall.make_day(to_timestamp(%lld) :: date)",
                (long long)(bench->batch->hits[0].event_time.ms / 1000));
    postgres_do(person, "BEGIN; LOCK TABLE processed_events IN SHARE UPDATE EXCLUSIVE MODE");
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, missing, "0");
    postgres_do(person, "ROLLBACK");
    postgres_disconnect(person);
    add_hits(bench, 3, 1, 2);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, missing, "1");
    claim_free(&claim);
}

/* As after DETACH, when a hit comes late for that day. */
static void a_table_where_a_day_belongs_halts_with_the_mend(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 1);
    char day[TIMESTAMP_TEXT_LEN];
    timestamp_write(bench->batch->hits[0].event_time, day);
    postgres_do(bench->admin, "CREATE TABLE processed_events_%.4s%.2s%.2s ()", day, day + 5, day + 8);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_HALT);
    assert_non_null(strstr(bench->result.reason, "attach it again"));
    claim_free(&claim);
}

/* ---- Fenced ---- */

static void another_owner_fences(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    struct store_bench other;
    store_bench_start(&other, bench->conninfo);
    struct claim *theirs = store_bench_claim(&other, 3);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
    assert_int_equal(bench->result.partition, 3);
    assert_nothing_stored(bench);
    add_hits(&other, 3, 0, 5);
    assert_int_equal(store_bench_write(&other, &theirs, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "5");
    claim_free(&theirs);
    store_bench_stop(&other);
    claim_free(&claim);
}

static void each_part_of_the_fence_is_compared(void **state)
{
    struct store_bench *bench = *state;
    static const char *const moves[] = {
        "UPDATE footfall.partitions SET next_offset = 1000",
        "UPDATE footfall.partitions SET version = version + 1",
        "UPDATE footfall.partitions SET owner = gen_random_uuid()",
        "DELETE FROM footfall.partitions",
    };
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        struct claim *claim = store_bench_claim(bench, 3);
        postgres_do(bench->admin, "%s", moves[i]);
        batch_clear(bench->batch);
        add_hits(bench, 3, 0, 5);
        assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
        assert_int_equal(bench->result.partition, 3); /* by the check, before anything was written */
        store_bench_ask(bench, "SELECT count(*) FROM processed_events", "0");
        claim_free(&claim);
    }
}

/* The lock makes this impossible; the last statement does not believe it. */
static void a_fence_that_does_not_move_stops_the_batch(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claims[2] = {store_bench_claim(bench, 3), store_bench_claim(bench, 4)};
    postgres_do(bench->admin,
                "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'");
    postgres_do(bench->admin, "CREATE TRIGGER skips BEFORE UPDATE ON footfall.partitions FOR EACH ROW"
                              " WHEN (NEW.partition = 4) EXECUTE FUNCTION skip()");
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, claims, 2), STORE_FENCED);
    assert_nothing_stored(bench);
    claim_free(&claims[0]);
    claim_free(&claims[1]);
}

static void one_fenced_partition_stops_the_whole_batch(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claims[3];
    for (int i = 0; i < 3; i++)
        claims[i] = store_bench_claim(bench, i);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 1");
    for (int i = 0; i < 3; i++)
        add_hits(bench, i, 0, 5);
    assert_int_equal(store_bench_write(bench, claims, 3), STORE_FENCED);
    assert_int_equal(bench->result.partition, 1);
    assert_nothing_stored(bench);
    for (int i = 0; i < 3; i++)
        claim_free(&claims[i]);
}

/* ---- Failures ---- */

static void make_failing(struct store_bench *bench)
{
    postgres_do(bench->admin, "CREATE TABLE failing (code text, names_constraint boolean)");
    postgres_do(
        bench->admin,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE f failing; BEGIN"
        "  SELECT * INTO f FROM failing; IF NOT FOUND THEN RETURN NEW; END IF;"
        "  IF f.code = 'end' THEN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END IF;"
        "  IF f.names_constraint THEN RAISE EXCEPTION USING ERRCODE = f.code, CONSTRAINT = 'some'; END IF;"
        "  RAISE EXCEPTION USING ERRCODE = f.code; END $$");
}

/* Stores nothing with this SQLSTATE raised; stores everything once it is gone. */
static void assert_outcome(struct store_bench *bench, const char *code, bool names_constraint,
                           enum store_outcome wanted)
{
    postgres_do(bench->admin, "TRUNCATE failing; INSERT INTO failing VALUES ('%s', %s)", code,
                names_constraint ? "true" : "false");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_non_null(claim);
    enum store_outcome got = store_bench_write(bench, &claim, 1);
    if (got != wanted)
        print_error("%s\n", bench->result.reason);
    assert_int_equal(got, wanted);
    assert_string_equal(bench->result.sqlstate, strcmp(code, "end") == 0 ? "57P01" : code);
    assert_true(bench->result.reason[0] != '\0');
    assert_nothing_stored(bench);
    claim_free(&claim);
}

static const struct {
    const char *code;
    enum store_outcome outcome;
} outcomes[] = {
    {"08006", STORE_RETRY},    {"40001", STORE_RETRY},    {"40P01", STORE_RETRY}, {"55P03", STORE_RETRY},
    {"57014", STORE_RETRY},    {"57P01", STORE_RETRY},    {"57P03", STORE_RETRY}, {"53100", STORE_RETRY},
    {"53200", STORE_RETRY},    {"53300", STORE_RETRY},    {"25006", STORE_RETRY}, {"XX000", STORE_RETRY},
    {"58030", STORE_RETRY},    {"26000", STORE_RETRY},    {"0A000", STORE_RETRY}, {"22021", STORE_BAD_DATA},
    {"22P02", STORE_BAD_DATA}, {"22003", STORE_BAD_DATA}, {"23505", STORE_HALT},  {"23502", STORE_HALT},
    {"42501", STORE_HALT},     {"42P01", STORE_HALT},     {"42703", STORE_HALT},  {"P0001", STORE_HALT},
    {"end", STORE_RETRY},
};

static void each_class_has_its_outcome_and_leaves_nothing(void **state)
{
    struct store_bench *bench = *state;
    make_failing(bench);
    postgres_do(
        bench->admin,
        "CREATE TRIGGER fails BEFORE INSERT ON processed_events FOR EACH ROW EXECUTE FUNCTION fail()");
    add_hits(bench, 3, 0, 5);
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        assert_outcome(bench, outcomes[i].code, false, outcomes[i].outcome);
    assert_outcome(bench, "23514", true, STORE_HALT);
    assert_outcome(bench, "23514", false, STORE_RETRY);

    postgres_do(bench->admin, "TRUNCATE failing");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "5");
    claim_free(&claim);
}

static void a_commit_that_fails_leaves_nothing(void **state)
{
    struct store_bench *bench = *state;
    make_failing(bench);
    postgres_do(bench->admin, "CREATE CONSTRAINT TRIGGER fails AFTER UPDATE ON footfall.partitions"
                              " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.version > 0)"
                              " EXECUTE FUNCTION fail()");
    add_hits(bench, 3, 0, 5);
    assert_outcome(bench, "40001", false, STORE_RETRY);
    assert_outcome(bench, "23505", false, STORE_HALT);
    assert_outcome(bench, "end", false, STORE_RETRY);
}

static void a_connection_that_ended_is_a_retry(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    store_bench_end_backends(bench);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_RETRY);
    /* Without a connection, too: only a claim connects. */
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_RETRY);
    claim_free(&claim);
    claim = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "5");
    claim_free(&claim);
}

static void a_claim_of_an_earlier_connection_is_a_retry(void **state)
{
    struct store_bench *bench = *state;
    struct claim *old = store_bench_claim(bench, 3);
    store_bench_end_backends(bench);
    struct claim *young = store_bench_claim(bench, 4);
    while (young == NULL)
        young = store_bench_claim(bench, 4);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &old, 1), STORE_RETRY);
    assert_non_null(strstr(bench->result.reason, "connection"));
    assert_nothing_stored(bench);
    claim_free(&old);
    claim_free(&young);
}

static void a_set_that_cannot_be_read_halts(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin,
                "INSERT INTO footfall.received VALUES ('hits', 3, repeat('0', 32) || '-3', '{(,5)}')");
    postgres_do(bench->admin, "UPDATE footfall.received SET stream = '07' || repeat('0', 30) || '-3'");
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_HALT);
    assert_int_equal(bench->result.partition, 3);
    claim_free(&claim);
}

static void assert_unreadable(struct store_bench *bench, const char *make, const char *table)
{
    postgres_do(bench->admin, "%s", make);
    struct claim *claim = store_bench_claim(bench, 3);
    claim->stored_until.ms = INT64_MAX;
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_HALT);
    assert_non_null(strstr(bench->result.reason, table));
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "0");
    claim_free(&claim);
}

/* Rows that no aggregator wrote: an address that is none, more bots than hits, an end before the start. */
static void a_row_that_is_no_session_halts(void **state)
{
    struct store_bench *bench = *state;
    add_hits(bench, 3, 0, 1);
    assert_unreadable(bench,
                      "INSERT INTO footfall.strays VALUES ('hits', 3, 'nonsense', 'example.com',"
                      " '2025-02-02', '2025-02-02', 1, 0)",
                      "footfall.strays");
    assert_unreadable(bench, "UPDATE footfall.strays SET ip = '203.0.113.7', bot_events = 2",
                      "footfall.strays");
    postgres_do(bench->admin, "DELETE FROM footfall.strays");
    assert_unreadable(
        bench,
        "INSERT INTO session_events_aggregated_ip (start_session, end_session, ip, host,"
        " web_events, last_hit, bot_events) VALUES ('2025-02-02 04:20:00', '2025-02-02 04:25:00',"
        " '203.0.113.7', 'example.com', 1, '2025-02-02 04:19:59', 0)",
        "session_events_aggregated_ip");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_day_ahead_is_not_waited_for),
        TEST(a_table_where_a_day_belongs_halts_with_the_mend),
        TEST(another_owner_fences),
        TEST(each_part_of_the_fence_is_compared),
        TEST(a_fence_that_does_not_move_stops_the_batch),
        TEST(one_fenced_partition_stops_the_whole_batch),
        TEST(each_class_has_its_outcome_and_leaves_nothing),
        TEST(a_commit_that_fails_leaves_nothing),
        TEST(a_connection_that_ended_is_a_retry),
        TEST(a_claim_of_an_earlier_connection_is_a_retry),
        TEST(a_set_that_cannot_be_read_halts),
        TEST(a_row_that_is_no_session_halts),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
