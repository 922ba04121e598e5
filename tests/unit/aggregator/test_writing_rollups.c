/* SPDX-License-Identifier: Apache-2.0
 * Tests of the rollups in Postgres: what batches append through store_write and a fold moves is always what
 * counting processed_events in SQL gives; and a fold and batches never wait for each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"
#include "tests/unit/aggregator/store_bench.h"

enum { HITS = 3000 };

/* Views and counted rows, each without the other: both nothing. */
static const char compare[] =
    "WITH days AS (SELECT *, flags & 5 <> 0 AS bot, flags & 7 = 0 AS counted FROM processed_events),"
    " traffic AS (SELECT date_trunc('hour', event_timestamp), host, country, state, city, source, bot, "
    "counted,"
    "                    count(*) FROM days GROUP BY 1, 2, 3, 4, 5, 6, 7, 8),"
    " pages AS (SELECT event_timestamp::date, host, footfall.page_of(url), source, counted, count(*)"
    "             FROM days GROUP BY 1, 2, 3, 4, 5),"
    " referrers AS (SELECT event_timestamp::date, host, footfall.host_of(referrer), source, counted, count(*)"
    "                 FROM days GROUP BY 1, 2, 3, 4, 5)"
    "SELECT count(*) FROM"
    " ((SELECT t::text FROM traffic t EXCEPT ALL SELECT v::text FROM traffic_by_hour v) UNION ALL"
    "  (SELECT v::text FROM traffic_by_hour v EXCEPT ALL SELECT t::text FROM traffic t) UNION ALL"
    "  (SELECT p::text FROM pages p EXCEPT ALL SELECT v::text FROM pages_by_day v) UNION ALL"
    "  (SELECT v::text FROM pages_by_day v EXCEPT ALL SELECT p::text FROM pages p) UNION ALL"
    "  (SELECT r::text FROM referrers r EXCEPT ALL SELECT v::text FROM referrers_by_day v) UNION ALL"
    "  (SELECT v::text FROM referrers_by_day v EXCEPT ALL SELECT r::text FROM referrers r)) AS other";

static void assert_right(struct store_bench *bench, const char *hits)
{
    store_bench_ask(bench, compare, "0");
    store_bench_ask(bench, "SELECT sum(hits) FROM traffic_by_hour", hits);
    store_bench_ask(bench, "SELECT sum(hits) FROM pages_by_day", hits);
    store_bench_ask(bench, "SELECT sum(hits) FROM referrers_by_day", hits);
}

static void fold(struct store_bench *bench)
{
    postgres_do(bench->admin, "SELECT footfall.fold_rollups(1000000)");
    store_bench_ask(bench, "SELECT count(*) FROM footfall.rollup_sums", "0");
}

/* ---- Hits of all kinds ---- */

static size_t write_text(struct choice *choice, char *text, size_t max_len)
{
    static const char *const pieces[] = {
        "http",
        ":",
        "/",
        "//",
        "?",
        "#",
        "@",
        "shop.EXAMPLE",
        "80",
        "a",
        "[::1]",
        "\xc3\x84",
        "\xc3\xa4",
        "\xe2\x82\xac",
        ".",
        "'",
        "\\",
        "%",
        " ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    size_t len = 0;
    for (uint64_t i = choice_below(choice, 9); i > 0; i--) {
        slice piece = slice_of(pieces[choice_below(choice, sizeof pieces / sizeof pieces[0])]);
        if (len + piece.len > max_len)
            break;
        memcpy(text + len, piece.data, piece.len);
        len += piece.len;
    }
    return len;
}

static void add_random(struct store_bench *bench, struct choice *choice, int64_t number)
{
    static const struct place places[] = {
        {.country = {NULL, 0}},
        {.country = SLICE("IN")},
        {.country = SLICE("IN"), .state = SLICE("Karnataka"), .city = SLICE("Bengaluru")},
        {.country = SLICE("IN"), .city = SLICE("Bengaluru")},
    };
    static const int64_t times[] = {0, 3599999, 3600000, 86399999, 86400000};
    char url[2048], referrer[2048];
    struct batch_position at = {3, number, {1738454400000}};
    struct hit hit = {.url = {url, write_text(choice, url, sizeof url)},
                      .referrer = {referrer, write_text(choice, referrer, sizeof referrer)},
                      .host = choice_one_in(choice, 2) ? SLICE("shop.example") : SLICE("blog.example"),
                      .event_time = {1738454400000 + times[choice_below(choice, 5)]},
                      .source = (enum hit_source)choice_below(choice, HIT_OTHER + 1),
                      .flags = (uint32_t)choice_below(choice, 32)};
    assert_int_equal(ip_read(SLICE("203.0.113.7"), &hit.ip), STATUS_OK);
    batch_add_hit(bench->batch, &at, &hit, &places[choice_below(choice, 4)]);
    bench->batch->hits[bench->batch->hit_count - 1].home = 3;
}

static void views_are_what_counting_gives(void **state)
{
    struct store_bench *bench = *state;
    struct choice choice = choice_seeded(5);
    struct claim *claim = store_bench_claim(bench, 3);
    for (int64_t batch = 0; batch < 3; batch++) {
        batch_clear(bench->batch);
        for (int64_t i = 0; i < HITS; i++)
            add_random(bench, &choice, batch * HITS + i);
        assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
        char hits[24];
        snprintf(hits, sizeof hits, "%lld", (long long)(batch + 1) * HITS);
        assert_right(bench, hits);
        if (batch != 1) { /* so that one fold takes two batches, and meets rows that are there */
            fold(bench);
            assert_right(bench, hits);
        }
    }
    store_bench_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "0");
    claim_free(&claim);
}

static void add_some(struct store_bench *bench, int64_t from, int64_t to)
{
    batch_clear(bench->batch);
    for (int64_t number = from; number < to; number++)
        store_bench_add_hit(bench, 3, number);
}

static void duplicates_are_not_counted(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_some(bench, 0, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    add_some(bench, 5, 15);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_right(bench, "15");
    add_some(bench, 5, 15);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_right(bench, "15");
    store_bench_ask(bench, "SELECT v::text FROM traffic_by_hour v",
                    "(\"2025-02-02 04:00:00\",example.com,,,,beacon,f,t,15)");
    store_bench_ask(bench, "SELECT v::text FROM pages_by_day v",
                    "(2025-02-02,example.com,/page,beacon,t,15)");
    store_bench_ask(bench, "SELECT v::text FROM referrers_by_day v", "(2025-02-02,example.com,,beacon,t,15)");
    claim_free(&claim);
}

/* ---- A fold and its neighbours ---- */

static void a_fold_and_batches_do_not_wait_for_each_other(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_some(bench, 0, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);

    PGconn *folder = postgres_connect(bench->conninfo);
    postgres_do(folder, "BEGIN");
    assert_string_equal(postgres_ask(folder, "SELECT footfall.fold_rollups(1000000)"), "3");
    store_bench_ask(bench, "SELECT footfall.fold_rollups(1000000) IS NULL", "t"); /* one at a time */
    postgres_do(bench->admin, "ALTER DATABASE store_test SET lock_timeout = '1ms'");
    add_some(bench, 10, 20);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_right(bench, "20"); /* it has not committed yet */
    postgres_do(folder, "COMMIT");
    assert_right(bench, "20");
    store_bench_ask(bench, "SELECT count(*) FROM footfall.rollup_sums", "3"); /* of the second batch */

    postgres_do(folder, "BEGIN; SELECT footfall.fold_rollups(1000000); ROLLBACK");
    assert_right(bench, "20");
    fold(bench);
    assert_right(bench, "20");
    postgres_disconnect(folder);
    claim_free(&claim);
}

static void a_fold_takes_no_more_than_it_may(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    for (int64_t batch = 0; batch < 5; batch++) {
        add_some(bench, 10 * batch, 10 * batch + 10);
        assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    }
    store_bench_ask(bench, "SELECT footfall.fold_rollups(4)", "4");
    store_bench_ask(bench, "SELECT count(*) FROM footfall.rollup_sums", "11");
    assert_right(bench, "50");
    store_bench_ask(bench, "SELECT footfall.fold_rollups(100)", "11");
    store_bench_ask(bench, "SELECT footfall.fold_rollups(100)", "0");
    assert_right(bench, "50");
    claim_free(&claim);
}

/* ---- Rows that somebody puts in or takes out ---- */

static void a_recount_mends_what_was_done_by_hand(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_some(bench, 0, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    fold(bench);
    add_some(bench, 10, 20);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);

    /* As old rows are that were copied: with the first six columns only. */
    postgres_do(bench->admin, "SELECT footfall.make_day('2025-02-01')");
    postgres_do(bench->admin, "INSERT INTO processed_events (ip, event_timestamp, referrer, host, url)"
                              " VALUES ('203.0.113.8', '2025-02-01 23:59:59.999', '', 'example.com', NULL)");
    store_bench_ask(bench, "SELECT footfall.recount_rollups('2025-02-02', '2025-02-03')", "0");
    store_bench_ask(bench, "SELECT footfall.recount_rollups('2025-02-01', '2025-02-02')", "3");
    store_bench_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "0");
    store_bench_ask(bench, "SELECT string_agg(v::text, ' ' ORDER BY day) FROM pages_by_day v",
                    "(2025-02-01,example.com,/,,t,1) (2025-02-02,example.com,/page,beacon,t,20)");
    fold(bench);
    store_bench_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "0");

    postgres_do(bench->admin, "DELETE FROM processed_events WHERE ip = '203.0.113.7'");
    store_bench_ask(bench, "SELECT footfall.recount_rollups('-infinity', 'infinity')", "3");
    store_bench_ask(bench, "SELECT string_agg(v::text, ' ') FROM pages_by_day v",
                    "(2025-02-01,example.com,/,,t,1)");
    fold(bench);
    store_bench_ask(bench, "SELECT string_agg(v::text, ' ') FROM pages_by_day v",
                    "(2025-02-01,example.com,/,,t,1)");
    claim_free(&claim);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(views_are_what_counting_gives),
        TEST(duplicates_are_not_counted),
        TEST(a_fold_and_batches_do_not_wait_for_each_other),
        TEST(a_fold_takes_no_more_than_it_may),
        TEST(a_recount_mends_what_was_done_by_hand),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
