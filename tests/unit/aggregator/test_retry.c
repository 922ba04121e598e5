/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/retry against a real Postgres. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/retry.h"
#include "tests/unit/aggregator/store_bench.h"

/* A hit as JSON, one of 20 visitors; a SQL expression of its number n. */
#define VALUE                                                                                                \
    "convert_to(json_build_object('url', 'https://a.example/' || n, 'host', 'a.example',"                    \
    " 'ip', '198.51.100.' || n % 20, 'event_time', '2025-02-02T04:' || lpad((n / 60 % 60)::text, 2, '0')"    \
    " || ':' || lpad((n % 60)::text, 2, '0') || 'Z', 'stream', '0123456789abcdef0123456789abcdef-3',"        \
    " 'seq', n + 1)::text, 'UTF8')"

#define HITS    "SELECT count(*) || ' ' || count(DISTINCT url) FROM processed_events"
#define REJECTS "SELECT count(*) FROM rejected_hits"
#define COUNTED                                                                                              \
    "SELECT coalesce((SELECT sum(web_events) FROM session_events_aggregated_ip), 0)"                         \
    "     + coalesce((SELECT sum(events) FROM footfall.open_sessions), 0)"                                   \
    "     + coalesce((SELECT sum(events) FROM footfall.strays), 0)"
#define RECEIVED "SELECT ranges FROM footfall.received"
#define POSITION "SELECT next_offset FROM footfall.partitions WHERE partition = 3"

static struct configuration configuration;

static enum status run(struct store_bench *bench, struct retry_report *report, struct why *why)
{
    struct settings *settings =
        settings_new(configuration_rows, configuration_row_count, &configuration, "rdkafka");
    configuration.postgres_conninfo = bench->conninfo;
    enum status status = retry_run(&configuration, settings, report, why);
    settings_free(&settings);
    return status;
}

static void expect(struct store_bench *bench, int64_t seen, int64_t stored, int64_t duplicates)
{
    struct retry_report report;
    struct why why = {.text = ""};
    if (run(bench, &report, &why) != STATUS_OK)
        fail_msg("%s", why.text);
    assert_int_equal(report.seen, seen);
    assert_int_equal(report.stored, stored);
    assert_int_equal(report.duplicates, duplicates);
}

/* Partition 3 stands at offset 5000, and was held once. */
static void hold_once(struct store_bench *bench)
{
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET next_offset = 5000");
}

/* Hits 0 … count - 1 of partition 3, each rejected for a reason that no longer holds. */
static void plant_good(struct store_bench *bench, int count)
{
    postgres_do(bench->admin,
                "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, written_at, reason, raw)"
                " SELECT 'hits', 3, 2 * n, '2025-02-02 05:00', 'a test', %s FROM generate_series(0, %d) n",
                VALUE, count - 1);
}

/* As many that are no hits, between them. */
static void plant_bad(struct store_bench *bench, int count)
{
    postgres_do(bench->admin,
                "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, rejected_at, reason, raw)"
                " SELECT 'hits', 3, 2 * n + 1, '2025-02-02 06:00', 'a test', CASE WHEN n %% 2 = 0 THEN 'no "
                "hit'::bytea END"
                "   FROM generate_series(0, %d) n",
                count - 1);
}

static void what_is_good_now_is_stored_and_the_rest_stays(void **state)
{
    struct store_bench *bench = *state;
    hold_once(bench);
    plant_good(bench, 450); /* some pages */
    plant_bad(bench, 450);
    expect(bench, 900, 450, 0);
    store_bench_ask(bench, HITS, "450 450");
    store_bench_ask(bench, COUNTED, "450");
    store_bench_ask(bench, RECEIVED, "{[1,451)}");
    store_bench_ask(bench, POSITION, "5000");
    store_bench_ask(bench,
                    "SELECT count(*) || ' ' || sum(kafka_offset) || ' ' || min(rejected_at) || ' '"
                    " || max(rejected_at) || ' ' || min(reason) FROM rejected_hits",
                    "450 202500 2025-02-02 06:00:00 2025-02-02 06:00:00 a test");
    store_bench_ask(bench,
                    "SELECT count(DISTINCT kafka_offset) || ' ' || max(kafka_offset) FROM processed_events",
                    "450 898");
    expect(bench, 450, 0, 0);
    store_bench_ask(bench, HITS, "450 450");
}

static void what_came_once_more_is_not_stored_twice(void **state)
{
    struct store_bench *bench = *state;
    hold_once(bench);
    postgres_do(bench->admin, "INSERT INTO footfall.received VALUES"
                              " ('hits', 3, '0123456789abcdef0123456789abcdef-3', '{[1,4),[9,10)}')");
    plant_good(bench, 10);
    expect(bench, 10, 6, 4);
    store_bench_ask(bench, HITS, "6 6");
    store_bench_ask(bench, COUNTED, "6");
    store_bench_ask(bench, REJECTS, "0");
    store_bench_ask(bench, RECEIVED, "{[1,11)}");
}

static void who_holds_the_partition_is_fenced_only_if_there_is_something_to_store(void **state)
{
    struct store_bench *bench = *state;
    hold_once(bench);
    struct claim *claim = store_bench_claim(bench, 3);
    plant_bad(bench, 10);
    expect(bench, 10, 0, 0);
    store_bench_add_hit(bench, 3, 6000);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    batch_clear(bench->batch);
    plant_good(bench, 1);
    expect(bench, 11, 1, 0);
    store_bench_add_hit(bench, 3, 6001);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
    claim_free(&claim);
}

static void what_postgres_refuses_stays(void **state)
{
    struct store_bench *bench = *state;
    hold_once(bench);
    postgres_do(
        bench->admin,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.url LIKE '%%/77' OR new.url LIKE '%%/230' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22P05';"
        " END IF; RETURN new; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON processed_events FOR EACH ROW EXECUTE FUNCTION refuse()");
    plant_good(bench, 300);
    expect(bench, 300, 298, 0);
    store_bench_ask(bench, HITS, "298 298");
    store_bench_ask(bench, COUNTED, "298");
    store_bench_ask(bench,
                    "SELECT string_agg(kafka_offset::text, ' ' ORDER BY kafka_offset) FROM rejected_hits",
                    "154 460");
}

static void a_halted_partition_is_resumed_first(void **state)
{
    struct store_bench *bench = *state;
    struct retry_report report;
    struct why why;
    hold_once(bench);
    plant_good(bench, 3);
    postgres_do(bench->admin,
                "UPDATE footfall.partitions SET halted_at = now(), halt_reason = 'bad; then resume'");
    assert_int_equal(run(bench, &report, &why), STATUS_CONFLICT);
    assert_string_equal(why.text, "partition 3: bad; then resume");
    store_bench_ask(bench, REJECTS, "3");
    store_bench_ask(bench, HITS, "0 0");
}

static void without_rejects_nothing_is_done(void **state)
{
    struct store_bench *bench = *state;
    expect(bench, 0, 0, 0);
    hold_once(bench);
    postgres_do(bench->admin, "INSERT INTO rejected_hits (topic, kafka_partition, kafka_offset, reason, raw)"
                              " VALUES ('another', 3, 1, 'a test', 'x')");
    expect(bench, 0, 0, 0);
    struct retry_report report;
    struct why why;
    char *conninfo = bench->conninfo;
    bench->conninfo = "host=/nonexistent";
    assert_int_equal(run(bench, &report, &why), STATUS_UNAVAILABLE);
    bench->conninfo = conninfo;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_good_now_is_stored_and_the_rest_stays),
        TEST(what_came_once_more_is_not_stored_twice),
        TEST(who_holds_the_partition_is_fenced_only_if_there_is_something_to_store),
        TEST(what_postgres_refuses_stays),
        TEST(a_halted_partition_is_resumed_first),
        TEST(without_rejects_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
