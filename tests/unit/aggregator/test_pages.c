/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/pages against a real server: the view footfall.open_session_changes takes apart what
 * pages writes, value by value, in its order, over any number of pages. */
#include "aggregator/pages.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/migrate.h"
#include "aggregator/row.h"
#include "tests/lib/postgres.h"

enum { OUT_BYTES = 4 * 1024 * 1024, MANY = 2000 };

struct bench {
    PGconn *conn;
    struct buf out;
};

static int set_up(void **state)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    struct migrate_report report;
    struct why why;
    const char *conninfo = postgres_make("pages_test", NULL);
    if (migrate_run(conninfo, &report, &why) != STATUS_OK)
        return -1;
    bench->conn = postgres_connect(conninfo);
    buf_init_growing(&bench->out, 1024, OUT_BYTES);
    row_add_header(&bench->out);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    buf_fini(&bench->out);
    postgres_disconnect(bench->conn);
    postgres_drop("pages_test");
    free(bench);
    return 0;
}

static void store(struct bench *bench)
{
    row_add_trailer(&bench->out);
    assert_false(bench->out.overflowed);
    PQclear(PQexec(bench->conn, "COPY footfall.open_session_pages FROM STDIN (FORMAT binary)"));
    assert_int_equal(PQputCopyData(bench->conn, bench->out.data, (int)bench->out.len), 1);
    assert_int_equal(PQputCopyEnd(bench->conn, NULL), 1);
    PGresult *result = PQgetResult(bench->conn);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s", PQresultErrorMessage(result));
    PQclear(result);
    assert_null(PQgetResult(bench->conn));
}

static void ask(struct bench *bench, const char *sql, const char *wanted)
{
    assert_string_equal(postgres_ask(bench->conn, "%s", sql), wanted);
}

static struct session session_at(int64_t start_ms)
{
    return (struct session){.ip = {{[10] = 0xff, [11] = 0xff, [12] = 203, [13] = 0, [14] = 113, [15] = 7}},
                            .host = SLICE("example.com"),
                            .start = {start_ms},
                            .last = {start_ms},
                            .events = 1};
}

static void every_value_comes_back(void **state)
{
    struct bench *bench = *state;
    struct pages pages;
    struct session full = session_at(1738470000123);
    struct session bare = session_at(0);
    full.last.ms = 1738470001000;
    full.events = INT64_C(1099511627775);
    full.bot_events = 3;
    full.entry_url = SLICE("/\"quoted\"\\é🐾");
    full.referrer = SLICE("/referrer");
    full.country = SLICE("IN");
    full.state = SLICE("Karnataka");
    full.city = SLICE("Bengaluru");
    full.exit_url = SLICE("/exit");
    pages_begin(&pages, &bench->out, SLICE("hits"), 5, 7);
    pages_add(&pages, &full);
    pages_add(&pages, &bare);
    pages_end(&pages);
    store(bench);
    ask(bench, "SELECT c::text FROM footfall.open_session_changes c WHERE ordinal = 0",
        "(hits,5,7,0,203.0.113.7,example.com,\"2025-02-02 04:20:00.123\",\"2025-02-02 "
        "04:20:01\",1099511627775,"
        "3,\"/\"\"quoted\"\"\\\\é🐾\",/referrer,IN,Karnataka,Bengaluru,/exit)");
    ask(bench, "SELECT c::text FROM footfall.open_session_changes c WHERE ordinal = 1",
        "(hits,5,7,1,203.0.113.7,example.com,\"1970-01-01 00:00:00\",\"1970-01-01 00:00:00\",1,0,,,,,,)");
}

static void times_are_exact_from_end_to_end(void **state)
{
    struct bench *bench = *state;
    struct pages pages;
    static const int64_t times[] = {SESSION_MIN_TIME_MS, -1, 1, 1738470000123, SESSION_MAX_TIME_MS};
    pages_begin(&pages, &bench->out, SLICE("hits"), 5, 7);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct session session = session_at(times[i]);
        pages_add(&pages, &session);
    }
    pages_end(&pages);
    store(bench);
    ask(bench, "SELECT string_agg(start_hit::text, ', ' ORDER BY ordinal) FROM footfall.open_session_changes",
        "0001-01-01 00:00:00 BC, 1969-12-31 23:59:59.999, 1970-01-01 00:00:00.001, 2025-02-02 04:20:00.123,"
        " 9999-12-31 23:59:59.999");
}

static void many_take_several_pages_and_keep_their_order(void **state)
{
    struct bench *bench = *state;
    struct pages pages;
    for (int partition = 1; partition <= 2; partition++) {
        pages_begin(&pages, &bench->out, SLICE("hits"), partition, 9);
        for (int64_t i = 0; i < MANY * partition; i++) {
            struct session session = session_at(i);
            pages_add(&pages, &session);
        }
        pages_end(&pages);
        assert_int_equal(pages.ordinal, MANY * partition);
    }
    store(bench);
    ask(bench,
        "SELECT bool_and(start_hit = timestamp 'epoch' + ordinal * interval '1 ms') || ' ' || count(*) || ' '"
        "       || count(DISTINCT ordinal) FILTER (WHERE partition = 2)"
        "  FROM footfall.open_session_changes",
        "true 6000 4000");
    ask(bench,
        "SELECT (count(*) > 2 AND max(length(changes)) BETWEEN 32769 AND 33000)::text"
        "  FROM footfall.open_session_pages WHERE partition = 2",
        "true");
}

static void nothing_makes_no_page(void **state)
{
    struct bench *bench = *state;
    struct pages pages;
    size_t len = bench->out.len;
    pages_begin(&pages, &bench->out, SLICE("hits"), 5, 7);
    pages_end(&pages);
    assert_int_equal(bench->out.len, len);
}

static void an_overflow_is_left_to_its_owner(void **state)
{
    (void)state;
    char memory[64];
    struct buf out;
    struct pages pages;
    struct session session = session_at(0);
    buf_init(&out, memory, sizeof memory);
    pages_begin(&pages, &out, SLICE("hits"), 5, 7);
    pages_add(&pages, &session);
    pages_end(&pages);
    assert_true(out.overflowed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_value_comes_back),
        TEST(times_are_exact_from_end_to_end),
        TEST(many_take_several_pages_and_keep_their_order),
        TEST(nothing_makes_no_page),
        cmocka_unit_test(an_overflow_is_left_to_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
