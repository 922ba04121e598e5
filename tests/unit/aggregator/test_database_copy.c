/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/database against a real server: COPY. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/aggregator/database_bench.h"

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
    struct database_bench *bench = *state;
    static const size_t per_piece[] = {1, 10, 200, COPY_ROWS};
    static slice pieces[COPY_ROWS];
    for (size_t i = 0; i < sizeof per_piece / sizeof per_piece[0]; i++) {
        struct buf rows;
        buf_init_growing(&rows, 4096, 64 << 20);
        size_t count = make_pieces(&rows, pieces, per_piece[i]);
        assert_int_equal(
            database_bench_run(bench,
                               "CREATE TEMP TABLE IF NOT EXISTS copied (n int8, t text); TRUNCATE copied"),
            DATABASE_OK);
        assert_int_equal(
            database_bench_copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", pieces, count),
            DATABASE_OK);
        assert_string_equal(bench->command, "COPY 20000");
        assert_int_equal(database_bench_run(
                             bench,
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

/* A table whose rows wait for an advisory lock that the admin holds. */
static void make_waiting_table(struct database_bench *bench)
{
    postgres_do(bench->admin, "DROP TABLE IF EXISTS waiting; CREATE TABLE waiting (n int8, t text)");
    postgres_do(bench->admin, "CREATE OR REPLACE FUNCTION wait_for_us() RETURNS trigger LANGUAGE plpgsql AS"
                              " 'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END'");
    postgres_do(bench->admin,
                "CREATE TRIGGER waits BEFORE INSERT ON waiting FOR EACH ROW EXECUTE FUNCTION wait_for_us()");
    postgres_do(bench->admin, "SELECT pg_advisory_lock(4711)");
}

/* Returns when its first row waits. */
static void start_waiting_copy(struct database_bench *bench, const struct database_copy *data)
{
    database_copy(bench->database, data, database_bench_on_reply, bench);
    while (strcmp(postgres_ask(bench->admin, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "0") == 0)
        uv_run(&bench->loop, UV_RUN_NOWAIT);
}

static void copy_waits_in_the_pieces_not_in_memory(void **state)
{
    struct database_bench *bench = *state;
    enum { PIECE_BYTES = 1024 * 1024, PIECES = 64, SLACK_PAGES = 4096 };
    struct buf row;
    buf_init_growing(&row, 4096, 2 * PIECE_BYTES);
    char *text = must_calloc(1, PIECE_BYTES);
    memset(text, 'x', PIECE_BYTES);
    add_tuple(&row, 1, (slice){text, PIECE_BYTES});
    slice pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = buf_slice(&row);
    make_waiting_table(bench);

    long before = resident_pages();
    struct database_copy data = {"COPY waiting FROM STDIN (FORMAT binary)", pieces, PIECES};
    int replies = bench->replies;
    start_waiting_copy(bench, &data);
    for (int turn = 0; turn < 1000;
         turn++) /* many more than the pieces: all would be sent if memory took them */
        uv_run(&bench->loop, UV_RUN_NOWAIT);
    assert_int_equal(bench->replies, replies);
    assert_true(resident_pages() - before < SLACK_PAGES);

    postgres_do(bench->admin, "SELECT pg_advisory_unlock(4711)");
    database_bench_wait(bench);
    assert_int_equal(bench->outcome, DATABASE_OK);
    postgres_do(bench->admin, "DROP TABLE waiting");
    free(text);
    buf_fini(&row);
}

static void copy_of_nothing_is_fine(void **state)
{
    struct database_bench *bench = *state;
    assert_int_equal(database_bench_run(bench, "CREATE TEMP TABLE copied (n int8, t text)"), DATABASE_OK);
    assert_int_equal(database_bench_copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", NULL, 0),
                     DATABASE_OK);
    assert_string_equal(bench->command, "COPY 0");
}

static void a_refused_copy_leaves_the_connection_alive(void **state)
{
    struct database_bench *bench = *state;
    struct buf rows;
    buf_init_growing(&rows, 4096, 64 << 20);
    static slice pieces[COPY_ROWS];
    size_t count = make_pieces(&rows, pieces, 10);
    /* Before any data, and in the middle of it. */
    assert_int_equal(database_bench_copy(bench, "COPY absent FROM STDIN (FORMAT binary)", pieces, count),
                     DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "42P01");
    assert_int_equal(database_bench_run(bench, "CREATE TEMP TABLE copied (n int8 CHECK (n <> 5000), t text)"),
                     DATABASE_OK);
    assert_int_equal(
        database_bench_copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", pieces, count),
        DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "23514");
    static const slice broken[] = {{"\0\1", 2}};
    assert_int_equal(database_bench_copy(bench, "COPY pg_temp.copied FROM STDIN (FORMAT binary)", broken, 1),
                     DATABASE_ERROR);
    assert_string_equal(bench->sqlstate, "22P04");
    assert_int_equal(database_bench_run(bench, "SELECT count(*) FROM pg_temp.copied"), DATABASE_OK);
    assert_string_equal(bench->value, "0");
    buf_fini(&rows);
}

static void a_copy_whose_server_ends_is_lost(void **state)
{
    struct database_bench *bench = *state;
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
    assert_int_equal(database_bench_copy(bench, "COPY blocked FROM STDIN (FORMAT binary)", pieces, count),
                     DATABASE_LOST);
    assert_false(database_is_open(bench->database));
    assert_string_equal(postgres_ask(bench->admin, "SELECT count(*) FROM blocked"), "0");
    postgres_do(bench->admin, "DROP TABLE blocked");
    buf_fini(&rows);
}

/* Its last words and an error of the socket, for what it never read, are there at the same time. */
static void a_server_that_ends_with_data_unread_is_lost_at_once(void **state)
{
    struct database_bench *bench = *state;
    enum { MANY_BYTES = 60000 }; /* more than a backend reads at once, less than a socket takes */
    char text[MANY_BYTES];
    struct buf rows;
    buf_init_growing(&rows, 4096, 2 * MANY_BYTES);
    memset(text, 'x', sizeof text);
    add_tuple(&rows, 1, SLICE("x"));
    size_t len = rows.len;
    add_tuple(&rows, 2, (slice){text, sizeof text});
    slice pieces[2] = {{rows.data, len}, slice_from(buf_slice(&rows), len)}; /* a message each */
    make_waiting_table(bench);
    start_waiting_copy(bench, &(struct database_copy){"COPY waiting FROM STDIN (FORMAT binary)", pieces, 2});
    uint64_t before_ms = uv_now(&bench->loop);
    database_bench_end_backend(bench);
    database_bench_wait(bench);
    assert_int_equal(bench->outcome, DATABASE_LOST);
    assert_string_equal(bench->sqlstate, "57P01");
    assert_true(uv_now(&bench->loop) - before_ms < DATABASE_DEADLINE_MS);
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
    postgres_do(bench->admin, "SELECT pg_advisory_unlock(4711); DROP TABLE waiting");
    buf_fini(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATABASE_BENCH_TEST(copy_sends_all_however_it_is_cut),
        DATABASE_BENCH_TEST(copy_waits_in_the_pieces_not_in_memory),
        DATABASE_BENCH_TEST(copy_of_nothing_is_fine),
        DATABASE_BENCH_TEST(a_refused_copy_leaves_the_connection_alive),
        DATABASE_BENCH_TEST(a_copy_whose_server_ends_is_lost),
        DATABASE_BENCH_TEST(a_server_that_ends_with_data_unread_is_lost_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
