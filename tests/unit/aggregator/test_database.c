/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/database against a real server (tests/lib/with_postgres). */
#include "aggregator/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libpq-fe.h>
#include <signal.h>
#include <uv.h>

#include "tests/lib/postgres.h"

struct bench {
    uv_loop_t loop;
    struct database *database;
    PGconn *admin;
    /* Of the last reply. */
    int replies;
    enum database_outcome outcome;
    char sqlstate[6];
    bool names_constraint;
    char message[256];
    char value[64]; /* first value */
    char command[32];
};

static void on_reply(void *context, const struct database_reply *reply)
{
    struct bench *bench = context;
    bench->replies++;
    bench->outcome = reply->outcome;
    bench->names_constraint = reply->names_constraint;
    memcpy(bench->sqlstate, reply->sqlstate, sizeof bench->sqlstate);
    snprintf(bench->message, sizeof bench->message, "%.*s", SLICE_ARGS(reply->message));
    bench->value[0] = bench->command[0] = '\0';
    assert_int_equal(reply->result != NULL, reply->outcome == DATABASE_OK);
    if (reply->result == NULL)
        return;
    snprintf(bench->command, sizeof bench->command, "%s", PQcmdStatus((PGresult *)reply->result));
    if (PQntuples(reply->result) > 0)
        memcpy(bench->value, PQgetvalue(reply->result, 0, 0), (size_t)PQgetlength(reply->result, 0, 0) + 1);
}

static void wait_for_reply(struct bench *bench)
{
    int before = bench->replies;
    while (bench->replies == before)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->replies, before + 1);
}

static enum database_outcome run(struct bench *bench, const char *sql)
{
    struct database_statement statement = {.sql = sql};
    int before = bench->replies;
    database_query(bench->database, &statement, on_reply, bench);
    assert_int_equal(bench->replies, before); /* never before the call returns */
    wait_for_reply(bench);
    return bench->outcome;
}

static enum database_outcome copy(struct bench *bench, const char *sql, const slice *pieces, size_t count)
{
    struct database_copy data = {.sql = sql, .pieces = pieces, .piece_count = count};
    database_copy(bench->database, &data, on_reply, bench);
    wait_for_reply(bench);
    return bench->outcome;
}

static enum database_outcome reopen(struct bench *bench)
{
    database_open(bench->database, on_reply, bench);
    wait_for_reply(bench);
    return bench->outcome;
}

static void bench_start(struct bench *bench, const char *conninfo)
{
    *bench = (struct bench){.replies = 0};
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    bench->database = database_new(&bench->loop, conninfo);
}

static int set_up(void **state)
{
    struct bench *bench = malloc(sizeof *bench);
    bench_start(bench, getenv("FOOTFALL_TEST_CONNINFO"));
    bench->admin = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    assert_int_equal(reopen(bench), DATABASE_OK);
    *state = bench;
    return 0;
}

static void note_closed(void *context)
{
    *(bool *)context = true;
}

static void bench_stop(struct bench *bench)
{
    bool is_closed = false;
    database_close(&bench->database, note_closed, &is_closed);
    assert_null(bench->database);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    bench_stop(bench);
    postgres_disconnect(bench->admin);
    free(bench);
    return 0;
}

/* Ends our backend from outside and waits until it is gone. */
static void end_backend(struct bench *bench)
{
    postgres_do(bench->admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                              " WHERE application_name = 'footfall-aggregator'");
}

static void the_session_is_set_up(void **state)
{
    struct bench *bench = *state;
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
        assert_int_equal(run(bench, sql), DATABASE_OK);
        assert_string_equal(bench->value, wanted[i].value);
    }
}

static void parameters_travel_as_text_and_binary(void **state)
{
    struct bench *bench = *state;
    struct buf number;
    buf_init_growing(&number, 16, 64);
    buf_add_be32(&number, 40);
    for (int i = 0; i < 3; i++) { /* prepared once, then used */
        struct database_statement statement = {.sql = "SELECT $1::int4 + $2::int4 + coalesce($3::int4, 100)"};
        database_statement_add_binary(&statement, &number);
        database_statement_add_text(&statement, "2");
        database_statement_add_text(&statement, NULL);
        database_query(bench->database, &statement, on_reply, bench);
        wait_for_reply(bench);
        assert_int_equal(bench->outcome, DATABASE_OK);
        assert_memory_equal(bench->value, "\0\0\0\x8e", 4); /* 142 in binary form */
    }
    buf_fini(&number);
    assert_int_equal(run(bench, "SELECT count(*) FROM pg_prepared_statements"), DATABASE_OK);
    assert_string_equal(bench->value, "1");
}

static void an_error_leaves_the_connection_alive(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, "SELECT 1/0"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "22012");
    assert_string_equal(bench->message, "division by zero");
    assert_true(database_is_open(bench->database));
    assert_int_equal(run(bench, "SELECT 7"), DATABASE_OK);
    assert_string_equal(bench->value, "7");
    assert_string_equal(bench->sqlstate, "");
}

static void an_error_inside_a_transaction_keeps_it_open(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, "BEGIN"), DATABASE_OK);
    assert_true(database_is_in_transaction(bench->database));
    assert_int_equal(run(bench, "SELECT nothing"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "42703");
    assert_true(database_is_in_transaction(bench->database));
    assert_int_equal(run(bench, "COMMIT"), DATABASE_OK);
    assert_string_equal(bench->command, "ROLLBACK");
    assert_false(database_is_in_transaction(bench->database));
}

static void a_failed_preparation_can_be_tried_again(void **state)
{
    struct bench *bench = *state;
    static const char sql[] = "SELECT count(*)::text FROM later WHERE one = $1::int4";
    struct database_statement statement = {.sql = sql};
    database_statement_add_text(&statement, "1");
    database_query(bench->database, &statement, on_reply, bench);
    wait_for_reply(bench);
    assert_string_equal(bench->sqlstate, "42P01");
    assert_int_equal(run(bench, "CREATE TEMP TABLE later (one int)"), DATABASE_OK);
    assert_int_equal(run(bench, "SET search_path = public, pg_temp"), DATABASE_OK);
    database_query(bench->database, &statement, on_reply, bench);
    wait_for_reply(bench);
    assert_int_equal(bench->outcome, DATABASE_OK);
    assert_string_equal(bench->value, "0");
}

static void constraints_are_told_apart(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, "CREATE TEMP TABLE parted (n int CHECK (n < 10)) PARTITION BY RANGE (n)"),
                     DATABASE_OK);
    assert_int_equal(run(bench, "INSERT INTO pg_temp.parted VALUES (1)"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    assert_false(bench->names_constraint);
    assert_int_equal(run(bench, "CREATE TEMP TABLE p PARTITION OF pg_temp.parted DEFAULT"), DATABASE_OK);
    assert_int_equal(run(bench, "INSERT INTO pg_temp.parted VALUES (11)"), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    assert_true(bench->names_constraint);
}

static void without_a_connection_the_answer_is_lost(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench, getenv("FOOTFALL_TEST_CONNINFO"));
    assert_false(database_is_open(bench.database));
    assert_int_equal(run(&bench, "SELECT 1"), DATABASE_LOST);
    assert_string_equal(bench.sqlstate, "08006");
    assert_int_equal(copy(&bench, "COPY t FROM STDIN (FORMAT binary)", NULL, 0), DATABASE_LOST);
    bench_stop(&bench);
}

static void nobody_there_is_lost(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench, "host=/nonexistent dbname=footfall");
    assert_int_equal(reopen(&bench), DATABASE_LOST);
    assert_non_null(strstr(bench.message, "/nonexistent"));
    assert_false(database_is_open(bench.database));
    bench_stop(&bench);
    bench_start(&bench, "no such option");
    assert_int_equal(reopen(&bench), DATABASE_LOST);
    bench_stop(&bench);
}

static void a_second_host_is_tried(void **state)
{
    (void)state;
    char conninfo[512];
    const char *folder = strchr(getenv("FOOTFALL_TEST_CONNINFO"), '=') + 1;
    snprintf(conninfo, sizeof conninfo, "host=/nonexistent,%s", folder);
    struct bench bench;
    bench_start(&bench, conninfo);
    assert_int_equal(reopen(&bench), DATABASE_OK);
    assert_int_equal(run(&bench, "SELECT 1"), DATABASE_OK);
    bench_stop(&bench);
}

static void a_read_only_server_is_not_taken(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin, "ALTER DATABASE postgres SET default_transaction_read_only = on");
    assert_int_equal(reopen(bench), DATABASE_LOST);
    postgres_do(bench->admin, "SET default_transaction_read_only = off");
    postgres_do(bench->admin, "ALTER DATABASE postgres RESET default_transaction_read_only");
    assert_int_equal(reopen(bench), DATABASE_OK);
}

static void ended_while_idle_is_noticed(void **state)
{
    struct bench *bench = *state;
    end_backend(bench);
    while (database_is_open(bench->database))
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(run(bench, "SELECT 1"), DATABASE_LOST);
    assert_int_equal(reopen(bench), DATABASE_OK);
    assert_int_equal(run(bench, "SELECT 1"), DATABASE_OK);
}

static void ended_at_rest_and_asked_at_once_is_lost(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, "BEGIN"), DATABASE_OK);
    end_backend(bench);
    assert_int_equal(run(bench, "SELECT 1"), DATABASE_LOST);
    assert_false(database_is_in_transaction(bench->database));
}

static void ended_inside_a_statement_says_why(void **state)
{
    struct bench *bench = *state;
    parameters_travel_as_text_and_binary(state);
    assert_int_equal(run(bench, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(30)"),
                     DATABASE_LOST);
    assert_string_equal(bench->sqlstate, "57P01");
    assert_false(database_is_open(bench->database));
    assert_int_equal(reopen(bench), DATABASE_OK);
    /* What the old connection had prepared is forgotten with it. */
    parameters_travel_as_text_and_binary(state);
}

/* One tuple of (int8, text). */
static void add_tuple(struct buf *out, int64_t number, slice text)
{
    buf_add_be16(out, 2);
    buf_add_be32(out, 8);
    buf_add_be64(out, (uint64_t)number);
    buf_add_be32(out, (uint32_t)text.len);
    buf_add(out, text);
}

enum { COPY_ROWS = 20000 };

/* Rows of many sizes, cut into pieces at tuples. */
static size_t make_pieces(struct buf *rows, slice *pieces, size_t per_piece)
{
    static char text[3000];
    memset(text, 'x', sizeof text);
    size_t starts[COPY_ROWS + 1];
    for (size_t i = 0; i < COPY_ROWS; i++) {
        starts[i] = rows->len;
        add_tuple(rows, (int64_t)i, (slice){text, (i * 37) % sizeof text});
    }
    starts[COPY_ROWS] = rows->len;
    size_t count = 0;
    for (size_t i = 0; i < COPY_ROWS; i += per_piece)
        pieces[count++] = (slice){rows->data + starts[i], starts[i + per_piece] - starts[i]};
    return count;
}

static void copy_sends_all_however_it_is_cut(void **state)
{
    struct bench *bench = *state;
    static const size_t per_piece[] = {1, 10, 200, COPY_ROWS};
    static slice pieces[COPY_ROWS];
    for (size_t i = 0; i < sizeof per_piece / sizeof per_piece[0]; i++) {
        struct buf rows;
        buf_init_growing(&rows, 4096, 64 << 20);
        size_t count = make_pieces(&rows, pieces, per_piece[i]);
        assert_int_equal(
            run(bench, "CREATE TEMP TABLE IF NOT EXISTS copied (n int8, t text); TRUNCATE copied"),
            DATABASE_OK);
        assert_int_equal(copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", pieces, count),
                         DATABASE_OK);
        assert_string_equal(bench->command, "COPY 20000");
        assert_int_equal(run(bench,
                             "SELECT count(*) || ' ' || sum(n) || ' ' || bool_and(length(t) = n * 37 % 3000)"
                             "  FROM pg_temp.copied"),
                         DATABASE_OK);
        assert_string_equal(bench->value, "20000 199990000 true");
        buf_fini(&rows);
    }
}

static long resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident;
}

static void copy_waits_in_the_pieces_not_in_memory(void **state)
{
    struct bench *bench = *state;
    enum { PIECE_BYTES = 1024 * 1024, PIECES = 64, SLACK_PAGES = 4096 };
    struct buf row;
    buf_init_growing(&row, 4096, 2 * PIECE_BYTES);
    char *text = must_calloc(1, PIECE_BYTES);
    memset(text, 'x', PIECE_BYTES);
    add_tuple(&row, 1, (slice){text, PIECE_BYTES});
    slice pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = buf_slice(&row);
    postgres_do(bench->admin, "DROP TABLE IF EXISTS waiting; CREATE TABLE waiting (n int8, t text)");
    postgres_do(bench->admin, "CREATE OR REPLACE FUNCTION wait_for_us() RETURNS trigger LANGUAGE plpgsql AS"
                              " 'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END'");
    postgres_do(bench->admin,
                "CREATE TRIGGER waits BEFORE INSERT ON waiting FOR EACH ROW EXECUTE FUNCTION wait_for_us()");
    postgres_do(bench->admin, "SELECT pg_advisory_lock(4711)");

    long before = resident_pages();
    struct database_copy data = {"COPY waiting FROM STDIN (FORMAT binary)", pieces, PIECES};
    database_copy(bench->database, &data, on_reply, bench);
    int replies = bench->replies;
    while (strcmp(postgres_ask(bench->admin, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "0") == 0)
        uv_run(&bench->loop, UV_RUN_NOWAIT);
    for (int turn = 0; turn < 1000;
         turn++) /* many more than the pieces: all would be sent if memory took them */
        uv_run(&bench->loop, UV_RUN_NOWAIT);
    assert_int_equal(bench->replies, replies);
    assert_true(resident_pages() - before < SLACK_PAGES);

    postgres_do(bench->admin, "SELECT pg_advisory_unlock(4711)");
    wait_for_reply(bench);
    assert_int_equal(bench->outcome, DATABASE_OK);
    postgres_do(bench->admin, "DROP TABLE waiting");
    free(text);
    buf_fini(&row);
}

static void copy_of_nothing_is_fine(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, "CREATE TEMP TABLE copied (n int8, t text)"), DATABASE_OK);
    assert_int_equal(copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", NULL, 0), DATABASE_OK);
    assert_string_equal(bench->command, "COPY 0");
}

static void a_refused_copy_leaves_the_connection_alive(void **state)
{
    struct bench *bench = *state;
    struct buf rows;
    buf_init_growing(&rows, 4096, 64 << 20);
    static slice pieces[COPY_ROWS];
    size_t count = make_pieces(&rows, pieces, 10);
    /* Before any data, and in the middle of it. */
    assert_int_equal(copy(bench, "COPY absent FROM STDIN (FORMAT binary)", pieces, count), DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "42P01");
    assert_int_equal(run(bench, "CREATE TEMP TABLE copied (n int8 CHECK (n <> 5000), t text)"), DATABASE_OK);
    assert_int_equal(copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", pieces, count),
                     DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    static const slice broken[] = {{"\0\1", 2}};
    assert_int_equal(copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", broken, 1),
                     DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "22P04");
    assert_int_equal(run(bench, "SELECT count(*) FROM pg_temp.copied"), DATABASE_OK);
    assert_string_equal(bench->value, "0");
    buf_fini(&rows);
}

static void a_copy_whose_server_ends_is_lost(void **state)
{
    struct bench *bench = *state;
    struct buf rows;
    buf_init_growing(&rows, 4096, 64 << 20);
    static slice pieces[COPY_ROWS];
    size_t count = make_pieces(&rows, pieces, 10);
    postgres_do(bench->admin, "DROP TABLE IF EXISTS blocked; CREATE TABLE blocked (n int8, t text)");
    postgres_do(bench->admin,
                "CREATE OR REPLACE FUNCTION end_us() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN IF NEW.n = 1000 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
                " RETURN NEW; END'");
    postgres_do(bench->admin,
                "CREATE TRIGGER ends BEFORE INSERT ON blocked FOR EACH ROW EXECUTE FUNCTION end_us()");
    assert_int_equal(copy(bench, "COPY blocked FROM STDIN (FORMAT binary)", pieces, count), DATABASE_LOST);
    assert_false(database_is_open(bench->database));
    assert_string_equal(postgres_ask(bench->admin, "SELECT count(*) FROM blocked"), "0");
    postgres_do(bench->admin, "DROP TABLE blocked");
    buf_fini(&rows);
}

/* A stopped backend keeps its socket open and says nothing, as behind a network that swallows packets. */
static void a_silent_server_is_lost_at_the_deadline(void **state)
{
    struct bench *bench = *state;
    pid_t backend = atoi(postgres_ask(bench->admin, "SELECT pid FROM pg_stat_activity"
                                                    " WHERE application_name = 'footfall-aggregator'"));
    assert_int_equal(kill(backend, SIGSTOP), 0);
    uint64_t before_ms = uv_now(&bench->loop);
    assert_int_equal(run(bench, "SELECT 1"), DATABASE_LOST);
    assert_string_equal(bench->message, "Postgres did not answer in time");
    assert_true(uv_now(&bench->loop) - before_ms >= DATABASE_DEADLINE_MS);
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(reopen(bench), DATABASE_OK);
}

static void closing_abandons_what_is_under_way(void **state)
{
    struct bench *bench = *state;
    struct database_statement statement = {.sql = "SELECT pg_sleep(60)"};
    database_query(bench->database, &statement, on_reply, bench);
    int before = bench->replies;
    bench_stop(bench);
    assert_int_equal(bench->replies, before);
    PGconn *admin = bench->admin;
    bench_start(bench, getenv("FOOTFALL_TEST_CONNINFO"));
    bench->admin = admin;
    end_backend(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_session_is_set_up),
        TEST(parameters_travel_as_text_and_binary),
        TEST(an_error_leaves_the_connection_alive),
        TEST(an_error_inside_a_transaction_keeps_it_open),
        TEST(a_failed_preparation_can_be_tried_again),
        TEST(constraints_are_told_apart),
        cmocka_unit_test(without_a_connection_the_answer_is_lost),
        cmocka_unit_test(nobody_there_is_lost),
        cmocka_unit_test(a_second_host_is_tried),
        TEST(a_read_only_server_is_not_taken),
        TEST(ended_while_idle_is_noticed),
        TEST(ended_at_rest_and_asked_at_once_is_lost),
        TEST(ended_inside_a_statement_says_why),
        TEST(copy_sends_all_however_it_is_cut),
        TEST(copy_waits_in_the_pieces_not_in_memory),
        TEST(copy_of_nothing_is_fine),
        TEST(a_refused_copy_leaves_the_connection_alive),
        TEST(a_copy_whose_server_ends_is_lost),
        TEST(a_silent_server_is_lost_at_the_deadline),
        TEST(closing_abandons_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
