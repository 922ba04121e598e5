/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/erase and aggregator/traces against a real Postgres. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>

#include "aggregator/erase.h"
#include "aggregator/traces.h"
#include "tests/unit/aggregator/store_bench.h"

#define GONE  "81.2.69.142"
#define STAYS "81.2.69.14"

enum { PATIENCE_MS = 60000 };

static ip_address address(const char *text)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(text), &ip), STATUS_OK);
    return ip;
}

static struct erase_report erase(struct store_bench *bench, const char *ip)
{
    struct erase_report report;
    struct why why = {.text = ""};
    if (erase_run(bench->conninfo, address(ip), &report, &why) != STATUS_OK)
        fail_msg("%s", why.text);
    return report;
}

/* ---- What is there ---- */

/* One hit an hour, and its stored session. */
static void plant_hits(struct store_bench *bench, const char *ip, int hours)
{
    postgres_do(
        bench->admin,
        "SELECT footfall.make_day('2025-02-02'::date + n) FROM generate_series(0, 3) n;"
        "INSERT INTO processed_events (ip, event_timestamp, host, url, referrer, source, flags, country)"
        " SELECT '%s', '2025-02-02'::timestamp + n * interval '1 h', 'shop.example',"
        "        'https://shop.example/of/%s?n=' || n, 'https://From.example:1/', 'beacon', n %% 8, 'IN'"
        "   FROM generate_series(0, %d) n;"
        "INSERT INTO session_events_aggregated_ip"
        "       (start_session, end_session, ip, host, web_events, last_hit, bot_events)"
        " SELECT event_timestamp, event_timestamp + interval '5 min', ip, host, 1, event_timestamp, 0"
        "   FROM processed_events WHERE ip = '%s'",
        ip, ip, hours - 1, ip);
}

static void plant_partition(struct store_bench *bench, int partition)
{
    struct claim *claim = store_bench_claim(bench, partition);
    assert_non_null(claim);
    claim_free(&claim);
}

static void plant_reject(struct store_bench *bench, int offset, const char *raw)
{
    postgres_do(bench->admin,
                "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, reason, raw)"
                " VALUES ('hits', 3, %d, 'a test', convert_to('%s', 'UTF8'))",
                offset, raw);
}

#define CHANGE(ip, start, last, events, url)                                                                 \
    "[\"" ip "\",\"shop.example\"," start "," last "," events ",0,\"" url "\",null,null,null,null,\"" url    \
    "\"]"

static void plant_page(struct store_bench *bench, int version, int ordinal, const char *changes)
{
    postgres_do(bench->admin, "INSERT INTO footfall.open_session_pages VALUES ('hits', 3, %d, %d, '%s')",
                version, ordinal, changes);
}

#define HITS_OF(ip)     "SELECT count(*) FROM processed_events WHERE ip = '" ip "'"
#define SESSIONS_OF(ip) "SELECT count(*) FROM session_events_aggregated_ip WHERE ip = '" ip "'"
#define OWNED           "SELECT count(owner) FROM footfall.partitions"
#define WRONG_SUMS      "SELECT footfall.recount_rollups('-infinity', 'infinity')"

/* ---- Hits, sessions, rollups ---- */

static void hits_and_sessions_go_and_those_of_others_stay(void **state)
{
    struct store_bench *bench = *state;
    plant_partition(bench, 3);
    plant_hits(bench, GONE, 50);
    plant_hits(bench, STAYS, 50);
    struct erase_report report = erase(bench, GONE);
    assert_int_equal(report.removed[ERASE_HITS], 50);
    assert_int_equal(report.removed[ERASE_SESSIONS], 50);
    assert_int_equal(report.total, 100);
    assert_int_equal(report.topic_count, 1);
    assert_string_equal(report.topics[0], BENCH_TOPIC);
    assert_int_equal(strlen(report.moment), TIMESTAMP_TEXT_LEN);
    store_bench_ask(bench, HITS_OF(GONE), "0");
    store_bench_ask(bench, SESSIONS_OF(GONE), "0");
    store_bench_ask(bench, HITS_OF(STAYS), "50");
    store_bench_ask(bench, SESSIONS_OF(STAYS), "50");
}

static void a_hit_that_has_no_session_goes_too(void **state)
{
    struct store_bench *bench = *state;
    plant_hits(bench, GONE, 50);
    postgres_do(bench->admin, "DELETE FROM session_events_aggregated_ip");
    assert_int_equal(erase(bench, GONE).removed[ERASE_HITS], 50);
    store_bench_ask(bench, HITS_OF(GONE), "0");
}

/* Also those that were folded before, and nothing is left of what the address alone had. */
static void rollups_count_them_no_more(void **state)
{
    struct store_bench *bench = *state;
    plant_hits(bench, GONE, 50);
    plant_hits(bench, STAYS, 20);
    store_bench_ask(bench, "SELECT footfall.recount_rollups('-infinity', '2025-02-03') > 0", "t");
    store_bench_ask(bench, "SELECT footfall.fold_rollups(100000) > 0", "t");
    store_bench_ask(bench, "SELECT footfall.recount_rollups('2025-02-03', 'infinity') > 0", "t");
    erase(bench, GONE);
    store_bench_ask(bench, WRONG_SUMS, "0");
    store_bench_ask(bench, "SELECT sum(hits) FROM pages_by_day", "20");
    store_bench_ask(bench,
                    "SELECT (SELECT count(*) FROM footfall.rollup_sums)"
                    " + (SELECT count(*) FROM footfall.folded_traffic WHERE hits = 0)"
                    " + (SELECT count(*) FROM footfall.folded_pages WHERE hits = 0 OR page LIKE '%%" GONE "')"
                    " + (SELECT count(*) FROM footfall.folded_referrers WHERE hits = 0)",
                    "0");
}

static void an_address_is_one_whatever_its_spelling(void **state)
{
    struct store_bench *bench = *state;
    plant_hits(bench, "2001:db8::a1", 3);
    plant_hits(bench, GONE, 3);
    assert_int_equal(erase(bench, "2001:0DB8:0::00A1").removed[ERASE_HITS], 3);
    assert_int_equal(erase(bench, "::ffff:" GONE).removed[ERASE_HITS], 3);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "0");
}

/* ---- Open sessions and strays ---- */

static void other_visitors_open_sessions_stay_as_they_are(void **state)
{
    struct store_bench *bench = *state;
    plant_partition(bench, 3);
    plant_page(bench, 1, 0,
               "[" CHANGE(STAYS, "0", "9", "2", "/\\u00e9 ") "," CHANGE(GONE, "0", "9", "2", "/") "," CHANGE(
                   "1.1.1.1", "5", "5", "1", "/" GONE) "]");
    plant_page(bench, 1, 3, "[" CHANGE(GONE, "0", "10", "3", "/") "]");
    plant_page(bench, 2, 0, "[" CHANGE(GONE, "0", "10", "0", "/") "," CHANGE(STAYS, "0", "20", "3", "/") "]");
    plant_page(bench, 3, 0, "[" CHANGE("2.2.2.2", "0", "9", "2", "/") "]");
    assert_int_equal(erase(bench, GONE).removed[ERASE_OPEN], 3);
    store_bench_ask(bench,
                    "SELECT string_agg(version || '/' || ordinal || ' ' || changes, ';' ORDER BY version)"
                    "  FROM footfall.open_session_pages",
                    "1/0 [" CHANGE(STAYS, "0", "9", "2", "/\\u00e9 ") "," CHANGE(
                        "1.1.1.1", "5", "5", "1",
                        "/" GONE) "];2/0 [" CHANGE(STAYS, "0", "20", "3",
                                                   "/") "];3/0 [" CHANGE("2.2.2.2", "0", "9", "2", "/") "]");
    store_bench_ask(bench,
                    "SELECT string_agg(ip || ' ' || events, ';' ORDER BY ip) FROM footfall.open_sessions",
                    "1.1.1.1 1;2.2.2.2 2;" STAYS " 3");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(sessions_count(claim->sessions), 3);
    claim_free(&claim);
}

/* Their times alone lead to hits that came when nobody looked any more. */
static void strays_go_with_their_hits(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin,
                "INSERT INTO footfall.strays (topic, home, ip, host, start_hit, last_hit, events, bot_events)"
                " SELECT 'hits', n, CASE n WHEN 1 THEN '" GONE "' ELSE '" STAYS "' END, 'a', '2025-02-02',"
                "        '2025-02-02', 1, 0 FROM generate_series(1, 3) n");
    assert_int_equal(erase(bench, GONE).removed[ERASE_STRAYS], 1);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.strays", "2");
}

/* ---- Rejects and places ---- */

static void rejects_that_name_it_go(void **state)
{
    struct store_bench *bench = *state;
    plant_reject(bench, 1, "{\"ip\":\"" GONE "\",\"url\":");
    plant_reject(bench, 2, "{\"ip\":\"" STAYS "\"}");
    plant_reject(bench, 3, "{\"headers\":\"{\\\"X-Forwarded-For\\\":\\\"::FFFF:" GONE "\\\"}\"}");
    plant_reject(bench, 4, "1" GONE);
    postgres_do(bench->admin,
                "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, reason, raw) VALUES"
                " ('hits', 3, 5, 'a test', NULL), ('hits', 3, 6, 'a test', '\\xff00" /* and */
                "38312e322e36392e313432'), ('else', 0, 1, 'a test', '" GONE "')");
    postgres_do(bench->admin,
                "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, rejected_at, reason, raw)"
                " SELECT 'hits', 4, n, '2025-02-02 04:18:21.123', 'a test',"
                "        convert_to(CASE n %% 5 WHEN 0 THEN '" GONE "' ELSE '" STAYS "' END, 'UTF8')"
                "   FROM generate_series(1, 1000) n"); /* some pages */
    assert_int_equal(erase(bench, GONE).removed[ERASE_REJECTS], 204);
    store_bench_ask(bench,
                    "SELECT string_agg(kafka_offset::text, ' ' ORDER BY kafka_offset) FROM rejected_hits"
                    " WHERE kafka_partition = 3",
                    "2 4 5");
    store_bench_ask(bench, "SELECT count(*) FROM rejected_hits WHERE kafka_partition = 4", "800");
}

static void its_place_is_forgotten(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(
        bench->admin,
        "INSERT INTO footfall.ip_locations (ip, source, version, expires_at)"
        " SELECT ip, 'ip2location', 1, 'infinity' FROM unnest(ARRAY['" GONE "', '" STAYS "',"
        " '2a00:1450:4001:82a::', '2a00:1450::', '2a00:1450:4001:82b::', '2a00:1450:4001:82a::200e']) ip");
    assert_int_equal(erase(bench, GONE).removed[ERASE_LOCATIONS], 1);
    assert_int_equal(erase(bench, "2a00:1450:4001:82a::200e").removed[ERASE_LOCATIONS], 3);
    store_bench_ask(bench, "SELECT string_agg(ip, ' ' ORDER BY ip) FROM footfall.ip_locations",
                    "2a00:1450:4001:82b:: " STAYS);
}

/* ---- Owners ---- */

static void owners_are_fenced_and_halted_partitions_stay_halted(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    plant_partition(bench, 5);
    postgres_do(bench->admin,
                "UPDATE footfall.partitions SET next_offset = 7, halted_at = now(), halt_reason = 'a test'"
                " WHERE partition = 5");
    plant_hits(bench, GONE, 1);
    erase(bench, GONE);
    store_bench_ask(
        bench,
        "SELECT string_agg(partition || ' ' || next_offset || ' ' || cluster_id || ' ' || partition_count"
        " || coalesce(' ' || halt_reason, ''), ';' ORDER BY partition) FROM footfall.partitions",
        "3 -2 " BENCH_CLUSTER " 12;5 7 " BENCH_CLUSTER " 12 a test");
    store_bench_ask(bench, OWNED, "0");
    store_bench_add_hit(bench, 3, 1);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
    claim_free(&claim);
}

static void nobody_is_disturbed_when_nothing_is_found(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, 3);
    plant_hits(bench, STAYS, 1);
    struct erase_report report = erase(bench, GONE);
    assert_int_equal(report.total, 0);
    assert_string_equal(report.topics[0], BENCH_TOPIC);
    store_bench_add_hit(bench, 3, 1);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
}

/* ---- What happens meanwhile ---- */

struct run {
    struct store_bench *bench;
    pthread_t thread;
    struct erase_report report;
    struct why why;
    enum status status;
};

static void *run_erase(void *context)
{
    struct run *run = context;
    run->status = erase_run(run->bench->conninfo, address(GONE), &run->report, &run->why);
    return NULL;
}

/* Returns when it waits for a lock that somebody holds. */
static void start_and_wait(struct run *run)
{
    mono_ms give_up_at = {mono_now().ms + PATIENCE_MS};
    assert_int_equal(pthread_create(&run->thread, NULL, run_erase, run), 0);
    while (strcmp(postgres_ask(run->bench->admin,
                               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                               "   AND application_name = 'footfall-aggregator erase'"),
                  "1") != 0)
        if (mono_now().ms > give_up_at.ms)
            fail_msg("it waits for no lock");
}

static void join(struct run *run)
{
    pthread_join(run->thread, NULL);
    if (run->status != STATUS_OK)
        fail_msg("%s", run->why.text);
}

/* A batch that stored hits when all had been looked through: they are found by their sessions. */
static void what_came_since_the_look_goes_too(void **state)
{
    struct store_bench *bench = *state;
    plant_partition(bench, 3);
    PGconn *batch = postgres_connect(bench->conninfo);
    postgres_do(batch, "BEGIN; SELECT FROM footfall.partitions FOR UPDATE");
    struct run run = {.bench = bench};
    start_and_wait(&run);
    struct store_bench of_batch = {.admin = batch};
    plant_hits(&of_batch, GONE, 30);
    plant_hits(&of_batch, STAYS, 30);
    postgres_do(batch, "DELETE FROM session_events_aggregated_ip WHERE start_session >= '2025-02-02 10:00'"
                       "   AND start_session < '2025-02-02 12:00'");
    plant_page(&of_batch, 1, 0, "[" CHANGE(GONE, "1738490400000", "1738490400000", "1", "/") "]"); /* 10:00 */
    postgres_do(batch,
                "INSERT INTO footfall.strays (topic, home, ip, host, start_hit, last_hit, events, bot_events)"
                " VALUES ('hits', 1, '" GONE "', 'a', '2025-02-02 11:00', '2025-02-02 11:00', 1, 0)");
    plant_reject(&of_batch, 7, GONE);
    postgres_do(batch, "COMMIT");
    join(&run);
    assert_int_equal(run.report.removed[ERASE_HITS], 30);
    assert_int_equal(run.report.removed[ERASE_SESSIONS], 28);
    assert_int_equal(run.report.removed[ERASE_OPEN], 1);
    assert_int_equal(run.report.removed[ERASE_STRAYS], 1);
    assert_int_equal(run.report.removed[ERASE_REJECTS], 1);
    store_bench_ask(bench, HITS_OF(STAYS), "30");
    postgres_disconnect(batch);
}

/* Nobody could lock its row, so its first batch may come in the middle: then all is done once more. */
static void a_partition_that_is_claimed_meanwhile_for_the_first_time(void **state)
{
    struct store_bench *bench = *state;
    plant_partition(bench, 3);
    plant_hits(bench, GONE, 1);
    PGconn *batch = postgres_connect(bench->conninfo);
    postgres_do(batch, "BEGIN; LOCK TABLE processed_events IN SHARE MODE");
    struct run run = {.bench = bench};
    start_and_wait(&run); /* its sessions are gone, its hits are next */
    struct store_bench of_batch = {.admin = batch};
    postgres_do(batch,
                "INSERT INTO footfall.partitions (topic, partition, next_offset) VALUES ('hits', 4, -2)");
    postgres_do(batch, "INSERT INTO session_events_aggregated_ip"
                       "       (start_session, end_session, ip, host, web_events, last_hit, bot_events)"
                       " VALUES ('2025-02-03', '2025-02-03 00:05', '" GONE "', 'a', 1, '2025-02-03', 0)");
    plant_page(&of_batch, 1, 0, "[" CHANGE(GONE, "0", "0", "1", "/") "]");
    postgres_do(batch, "COMMIT");
    join(&run);
    assert_int_equal(run.report.removed[ERASE_HITS], 1);
    assert_int_equal(run.report.removed[ERASE_SESSIONS], 2);
    assert_int_equal(run.report.removed[ERASE_OPEN], 1);
    store_bench_ask(bench, SESSIONS_OF(GONE), "0");
    postgres_disconnect(batch);
}

/* backfill-geo changes sessions, then hits: in the same order, so that neither waits in a circle. */
static void sessions_go_before_hits(void **state)
{
    struct store_bench *bench = *state;
    plant_hits(bench, GONE, 1);
    PGconn *backfill = postgres_connect(bench->conninfo);
    postgres_do(backfill, "BEGIN; UPDATE session_events_aggregated_ip SET city = 'Bengaluru'");
    struct run run = {.bench = bench};
    start_and_wait(&run);
    postgres_do(backfill, "SELECT FROM processed_events FOR UPDATE NOWAIT; COMMIT"); /* it holds none yet */
    join(&run);
    assert_int_equal(run.report.removed[ERASE_HITS], 1);
    assert_int_equal(run.report.removed[ERASE_SESSIONS], 1);
    store_bench_ask(bench, SESSIONS_OF(GONE), "0");
    postgres_disconnect(backfill);
}

static void who_may_not_delete_is_told(void **state)
{
    struct store_bench *bench = *state;
    struct erase_report report;
    struct why why;
    plant_hits(bench, GONE, 1);
    postgres_do(bench->admin, "DROP ROLE IF EXISTS a_looker; CREATE ROLE a_looker;"
                              "GRANT SELECT ON processed_events, rejected_hits TO a_looker");
    char conninfo[512];
    snprintf(conninfo, sizeof conninfo, "%s options='-c role=a_looker'", bench->conninfo);
    assert_int_equal(erase_run(conninfo, address(GONE), &report, &why), STATUS_DENIED);
    assert_non_null(strstr(why.text, "permission denied"));
    postgres_do(bench->admin, "DROP OWNED BY a_looker; DROP ROLE a_looker");
    assert_int_equal(erase_run("host=/nonexistent", address(GONE), &report, &why), STATUS_UNAVAILABLE);
    store_bench_ask(bench, HITS_OF(GONE), "1");
}

/* ---- Traces ---- */

static void more_sessions_than_fit_are_all_times(void **state)
{
    struct store_bench *bench = *state;
    struct why why;
    struct traces traces;
    traces_init(&traces, bench->admin, address(GONE), &why);
    assert_string_equal(traces_spans(&traces), "{}");
    assert_string_equal(traces_named(&traces), "[]");
    PGresult *times =
        PQexec(bench->admin, "SELECT timestamp '2025-02-02 04:18:21.123', timestamp '2025-02-02 05:00'"
                             "  FROM generate_series(1, 10000)");
    for (int i = 0; i < TRACES_MAX_SPANS_BYTES / 10000 / 40; i++)
        traces_note(&traces, times);
    assert_string_equal(traces_spans(&traces), "{[\"-infinity\",\"infinity\"]}");
    traces_note(&traces, times);
    assert_true(
        slice_starts_with(slice_of(traces_spans(&traces)), SLICE("{[\"-infinity\",\"infinity\"],[\"2025")));
    PQclear(times);
    traces_fini(&traces);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hits_and_sessions_go_and_those_of_others_stay),
        TEST(a_hit_that_has_no_session_goes_too),
        TEST(rollups_count_them_no_more),
        TEST(an_address_is_one_whatever_its_spelling),
        TEST(other_visitors_open_sessions_stay_as_they_are),
        TEST(strays_go_with_their_hits),
        TEST(rejects_that_name_it_go),
        TEST(its_place_is_forgotten),
        TEST(owners_are_fenced_and_halted_partitions_stay_halted),
        TEST(nobody_is_disturbed_when_nothing_is_found),
        TEST(what_came_since_the_look_goes_too),
        TEST(a_partition_that_is_claimed_meanwhile_for_the_first_time),
        TEST(sessions_go_before_hits),
        TEST(who_may_not_delete_is_told),
        TEST(more_sessions_than_fit_are_all_times),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
