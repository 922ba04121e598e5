/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/writing through store_write, against a real server: what a batch leaves behind. */
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

/* ---- What a batch leaves behind ---- */

static void a_commit_moves_the_fence(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_int_equal(claim->next_offset, 110);
    assert_int_equal(claim->version, 1);
    store_bench_ask(bench, "SELECT next_offset || ' ' || version FROM footfall.partitions", "110 1");
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "10");
    store_bench_ask(bench, "SELECT ranges FROM footfall.received", "{[1,11)}");
    store_bench_ask(bench, "SELECT sum(events) FROM footfall.open_sessions", "10");

    batch_clear(bench->batch);
    add_hits(bench, 3, 10, 20);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT next_offset || ' ' || version FROM footfall.partitions", "120 2");
    store_bench_ask(bench, "SELECT ranges FROM footfall.received", "{[1,21)}");
    store_bench_ask(bench, "SELECT sum(events) FROM footfall.open_sessions", "20");

    /* What is in memory is what the next claim finds. */
    struct claim *again = store_bench_claim(bench, 3);
    assert_int_equal(again->next_offset, claim->next_offset);
    assert_int_equal(again->version, claim->version);
    assert_int_equal(sessions_change_rows(again->sessions), sessions_change_rows(claim->sessions));
    assert_int_equal(again->stored_until.ms, claim->stored_until.ms);
    assert_int_equal(sessions_count(again->sessions), sessions_count(claim->sessions));
    claim_free(&again);
    claim_free(&claim);
}

/* The rows, computed a second time by SQL. */
static void the_rows_of_a_full_batch_are_those_put_in(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    static const enum hit_source sources[] = {HIT_BEACON, HIT_PIXEL, HIT_MIRROR, HIT_LOG, HIT_API, HIT_OTHER};
    for (int number = 0; number < BATCH_MAX_HITS; number++) {
        struct place place;
        memset(&place, 0, sizeof place);
        char url[300], agent[32], host[32];
        snprintf(url, sizeof url, "https://example.com/%0*d?q=ünïcode&'\"\\", number % 200 + 1, number);
        snprintf(agent, sizeof agent, "agent %d", number % 7);
        snprintf(host, sizeof host, "h%d.example.com", number % 13);
        struct batch_position at = {3, 1000 + number, {1738470000000 + number}};
        struct hit hit = {.url = slice_of(url),
                          .referrer = number % 2 ? SLICE("https://search.example/") : SLICE(""),
                          .host = slice_of(host),
                          .user_agent = slice_of(number % 5 ? agent : ""),
                          .ip = {{[10] = 0xff, 0xff, 198, 51, (uint8_t)(number / 256), (uint8_t)number}},
                          .event_time = {1738470000000 + number * 37},
                          .id = {{0xab, [14] = (uint8_t)(number / 256), [15] = (uint8_t)number}},
                          .has_id = true,
                          .source = sources[number % 6],
                          .has_stream = true,
                          .stream = {.boot = {{9}}, .partition = 3},
                          .seq = number + 1,
                          .received_time = {1738470001000 + number},
                          .has_received_time = number % 3 != 0,
                          .flags = (uint32_t)(number % 32)};
        batch_add_hit(bench->batch, &at, &hit, &place);
    }
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    postgres_do(
        bench->admin,
        "CREATE TABLE wanted AS SELECT '198.51.' || n / 256 || '.' || n %% 256 AS ip,"
        " timestamp '2025-02-02 04:20:00' + n * interval '37 ms' AS event_timestamp,"
        " CASE WHEN n %% 2 = 1 THEN 'https://search.example/' ELSE '' END AS referrer,"
        " 'h' || n %% 13 || '.example.com' AS host,"
        " 'https://example.com/' || lpad(n::text, greatest(n %% 200 + 1, length(n::text)), '0')"
        "   || '?q=ünïcode&''\"\\' AS url,"
        " 'ab000000-0000-0000-0000-00000000' || lpad(to_hex(n), 4, '0') AS hit_id,"
        " CASE WHEN n %% 5 > 0 THEN 'agent ' || n %% 7 END AS user_agent,"
        " (ARRAY['beacon', 'pixel', 'mirror', 'log', 'api', 'other'])[n %% 6 + 1] AS source,"
        " n %% 32 AS flags,"
        " CASE WHEN n %% 3 > 0 THEN timestamp '2025-02-02 04:20:01' + n * interval '1 ms' END AS received_at,"
        " 3 AS kafka_partition, 1000 + n AS kafka_offset FROM generate_series(0, %d) AS n",
        BATCH_MAX_HITS - 1);
    postgres_do(
        bench->admin,
        "CREATE VIEW stored AS SELECT ip, event_timestamp, coalesce(referrer, '') AS referrer, host, url,"
        " hit_id::text AS hit_id, user_agent, source, flags, received_at, kafka_partition, kafka_offset"
        " FROM processed_events LEFT JOIN user_agents ON id = user_agent_id");
    store_bench_ask(bench, "SELECT count(*) FROM (SELECT * FROM stored EXCEPT ALL SELECT * FROM wanted) AS x",
                    "0");
    store_bench_ask(bench, "SELECT count(*) FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM stored) AS x",
                    "0");
    store_bench_ask(bench, "SELECT count(*) FROM user_agents", "7");
    /* Most of these visitors are at home elsewhere. */
    store_bench_ask(bench,
                    "SELECT sum(events) - (SELECT count(*) FROM wanted) || ' ' || (count(*) FILTER (WHERE "
                    "home <> 3) > 4000)::text"
                    "  FROM (SELECT events, partition FROM footfall.open_sessions"
                    "        UNION ALL SELECT events, home FROM footfall.strays) AS part (events, home)",
                    "0 true");
    claim_free(&claim);
}

static void hits_received_before_are_left_out(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 5);
    add_hits(bench, 3, 2, 8);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "8");
    claim_free(&claim);
    /* The set comes from the table now. */
    claim = store_bench_claim(bench, 3);
    batch_clear(bench->batch);
    add_hits(bench, 3, 7, 9);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) || ' ' || count(DISTINCT kafka_offset) FROM processed_events",
                    "9 9");
    store_bench_ask(bench, "SELECT ranges FROM footfall.received", "{[1,10)}");
    claim_free(&claim);
}

static void rejects_are_stored_as_they_stood(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    struct batch_position at = {3, 42, {1738470000123}};
    batch_add_reject(bench->batch, &at, SLICE("not json"), (slice){"\0\xff{", 3});
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(
        bench,
        "SELECT topic || kafka_partition || ' ' || kafka_offset || ' ' || reason || ' ' || raw || ' '"
        "    || written_at || ' ' || (rejected_at > now() - interval '1 hour')::text FROM rejected_hits",
        "hits3 42 not json \\x00ff7b 2025-02-02 04:20:00.123 true");
    assert_int_equal(claim->next_offset, 43);
    claim_free(&claim);
}

static void partitions_move_together(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claims[3];
    for (int i = 0; i < 3; i++)
        claims[i] = store_bench_claim(bench, 2 * i);
    add_hits(bench, 0, 0, 5);
    add_hits(bench, 4, 0, 7);
    assert_int_equal(store_bench_write(bench, claims, 3), STORE_DONE);
    store_bench_ask(
        bench,
        "SELECT string_agg(partition || ':' || next_offset || ':' || version, ' ' ORDER BY partition)"
        "  FROM footfall.partitions",
        "0:105:1 2:-2:1 4:107:1");
    for (int i = 0; i < 3; i++)
        claim_free(&claims[i]);
}

static void a_stored_session_is_taken_back(void **state)
{
    struct store_bench *bench = *state;
    /* Touches (exactly the gap before), does not touch, is another visitor. */
    postgres_do(bench->admin,
                "INSERT INTO session_events_aggregated_ip (start_session, end_session, ip, host, web_events, "
                "last_hit,"
                " bot_events, entry_url) VALUES"
                " ('2025-02-02 04:00:00', '2025-02-02 04:20:00', '203.0.113.7', 'example.com', 4,"
                "  '2025-02-02 04:15:00', 0, 'https://example.com/first'),"
                " ('2025-02-02 03:00:00', '2025-02-02 04:19:59.999', '203.0.113.7', 'example.com', 2,"
                "  '2025-02-02 04:14:59.999', 0, NULL),"
                " ('2025-02-02 04:00:00', '2025-02-02 05:00:00', '203.0.113.8', 'example.com', 2,"
                "  '2025-02-02 04:55:00', 0, NULL)");
    postgres_do(bench->admin,
                "INSERT INTO footfall.partitions VALUES ('hits', %d, 0, 0, NULL, NULL, NULL,"
                " '2025-02-02 04:55:00')",
                3);
    struct claim *claim = store_bench_claim(bench, 3);
    store_bench_add_hit(bench, 3, 0); /* 04:20:00.000 */
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "2");
    store_bench_ask(bench,
                    "SELECT start_hit || ' ' || last_hit || ' ' || events || ' ' || entry_url FROM "
                    "footfall.open_sessions",
                    "2025-02-02 04:00:00 2025-02-02 04:20:00 5 https://example.com/first");
    claim_free(&claim);
}

/* A probe that comes every ten minutes, and a thousand of its hits come late. If each of them were looked for
 * among all that went before it, the statement would reach its timeout, again and again. */
static void a_visitor_with_many_stored_sessions_is_no_burden(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(
        bench->admin,
        "INSERT INTO session_events_aggregated_ip (start_session, end_session, ip, host, web_events,"
        " last_hit, bot_events) SELECT hit, hit + interval '5 min', '203.0.113.7', 'example.com', 1, hit, 0"
        "  FROM generate_series(timestamp '2025-02-02 04:21' - 60000 * interval '10 min',"
        "                       timestamp '2025-02-02 04:21' + 999 * interval '10 min',"
        "                       interval '10 min') AS hit");
    postgres_do(bench->admin, "INSERT INTO footfall.partitions VALUES ('hits', 3, 0, 0, NULL, NULL, NULL,"
                              " '2025-02-10')");
    struct claim *claim = store_bench_claim(bench, 3);
    for (int number = 0; number < 1000; number++)
        store_bench_add_hit(bench, 3, number * INT64_C(600000));
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM session_events_aggregated_ip", "60000");
    store_bench_ask(bench, "SELECT count(*) || ' ' || sum(events) FROM footfall.open_sessions", "1000 2000");
    claim_free(&claim);
}

static void strays_are_taken_in_several_batches_when_many(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.strays SELECT 'hits', 3, '203.0.113.7', 'example.com',"
                              " '2025-02-02'::timestamp + n * interval '1 ms', '2025-02-02'::timestamp"
                              " + n * interval '1 ms', 1, 0 FROM generate_series(1, 6000) AS n");
    postgres_do(bench->admin, "INSERT INTO footfall.strays VALUES ('hits', 4, '203.0.113.7', 'example.com',"
                              " '2025-02-02', '2025-02-02', 1, 0)");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_true(claim->has_strays);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.strays WHERE home = 3", "1000");
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_false(claim->has_strays);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.strays", "1");
    store_bench_ask(bench, "SELECT events || ' ' || start_hit || ' ' || last_hit FROM footfall.open_sessions",
                    "6000 2025-02-02 00:00:00.001 2025-02-02 00:00:06");
    claim_free(&claim);
}

static void a_hit_read_away_from_home_leaves_a_stray(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 3);
    for (size_t i = 0; i < 3; i++)
        bench->batch->hits[i].home = 5;
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "3");
    store_bench_ask(bench, "SELECT count(*) FROM footfall.open_sessions", "0");
    store_bench_ask(bench, "SELECT home || ' ' || sum(events) FROM footfall.strays GROUP BY home", "5 3");
    claim_free(&claim);
    /* And its home takes it. */
    batch_clear(bench->batch);
    claim = store_bench_claim(bench, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT partition || ' ' || events FROM footfall.open_sessions", "5 3");
    claim_free(&claim);
}

/* ---- Before the transaction ---- */

static void days_are_made_for_the_batch_and_the_week(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    enum { DAYS = 100, DAY_MS = 24 * 60 * 60 * 1000 }; /* more than one statement makes */
    for (int64_t day = 0; day < DAYS; day++)
        store_bench_add_hit(bench, 3, day * DAY_MS);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "100");
    store_bench_ask(bench, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'processed_events'::regclass",
                    "108");
    store_bench_ask(
        bench,
        "SELECT to_regclass('processed_events_' || to_char((now() AT TIME ZONE 'UTC') + interval '7 days',"
        " 'YYYYMMDD')) IS NOT NULL",
        "t");
    claim_free(&claim);
}

static void a_day_that_was_dropped_is_made_again(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    postgres_do(bench->admin, "DROP TABLE processed_events_20250202");
    batch_clear(bench->batch);
    add_hits(bench, 3, 5, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_RETRY);
    assert_string_equal(bench->result.sqlstate, "23514");
    claim_free(&claim);
    claim = store_bench_claim(bench, 3);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "5");
    claim_free(&claim);
}

/* Not by a failure, which costs all claims. */
static void days_that_may_be_dropped_are_asked_for_with_each_batch(void **state)
{
    struct store_bench *bench = *state;
    store_bench_replace_store(bench, (struct store_options){.retention_days = 30});
    struct claim *claim = store_bench_claim(bench, 3);
    for (int64_t round = 0; round < 3; round++) {
        batch_clear(bench->batch);
        add_hits(bench, 3, 5 * round, 5 * round + 5);
        assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
        store_bench_ask(bench, "SELECT footfall.drop_day('2025-02-02')", "");
    }
    store_bench_ask(bench, "SELECT sum(hits) FROM traffic_by_hour", "15");
    claim_free(&claim);
}

static void an_agent_that_somebody_else_added_is_fine(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 5);
    postgres_do(bench->admin, "INSERT INTO user_agents VALUES (%lld, 'theirs')",
                (long long)bench->batch->agents[0].id);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT user_agent FROM user_agents", "theirs");
    claim_free(&claim);
}

static void what_was_known_is_forgotten_with_the_connection(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    add_hits(bench, 3, 0, 5);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
    /* As after the restore of an older backup. */
    postgres_do(bench->admin, "TRUNCATE user_agents; DROP TABLE processed_events_20250202");
    store_bench_end_backends(bench);
    claim = store_bench_claim(bench, 3);
    while (claim == NULL) /* the first attempt may still find the old connection */
        claim = store_bench_claim(bench, 3);
    batch_clear(bench->batch);
    add_hits(bench, 3, 5, 10);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    store_bench_ask(bench, "SELECT count(*) FROM user_agents", "1");
    claim_free(&claim);
}

/* ---- Strays waiting ---- */

static void on_peeked(void *context, const struct store_result *result)
{
    struct store_bench *bench = context;
    bench->is_answered = true;
    bench->result = *result;
}

static void a_peek_sees_strays(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claims[3];
    for (int i = 0; i < 3; i++)
        claims[i] = store_bench_claim(bench, i);
    postgres_do(bench->admin, "INSERT INTO footfall.strays VALUES ('hits', 1, '203.0.113.7', 'example.com',"
                              " '2025-02-02', '2025-02-02', 1, 0)");
    bench->is_answered = false;
    store_peek_strays(bench->store, claims, 3, on_peeked, bench);
    while (!bench->is_answered)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->result.outcome, STORE_DONE);
    assert_false(claims[0]->has_strays);
    assert_true(claims[1]->has_strays);
    assert_false(claims[2]->has_strays);
    for (int i = 0; i < 3; i++)
        claim_free(&claims[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_commit_moves_the_fence),
        TEST(the_rows_of_a_full_batch_are_those_put_in),
        TEST(hits_received_before_are_left_out),
        TEST(rejects_are_stored_as_they_stood),
        TEST(partitions_move_together),
        TEST(a_stored_session_is_taken_back),
        TEST(a_visitor_with_many_stored_sessions_is_no_burden),
        TEST(strays_are_taken_in_several_batches_when_many),
        TEST(a_hit_read_away_from_home_leaves_a_stray),
        TEST(days_are_made_for_the_batch_and_the_week),
        TEST(a_day_that_was_dropped_is_made_again),
        TEST(days_that_may_be_dropped_are_asked_for_with_each_batch),
        TEST(an_agent_that_somebody_else_added_is_fine),
        TEST(what_was_known_is_forgotten_with_the_connection),
        TEST(a_peek_sees_strays),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
