/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator: hits from a mock cluster become rows in a real Postgres, whatever happens
 * on the way. Two aggregators may run side by side on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <uv.h>

#include "aggregator/aggregator.h"
#include "aggregator/assignment.h"
#include "aggregator/migrate.h"
#include "aggregator/place.h"
#include "base/log.h"
#include "tests/lib/mock_kafka.h"
#include "tests/lib/postgres.h"

enum { PARTITIONS = 4, DEADLINE_MS = 60000, STALL_MS = 6000 };

#define TOPIC    "hits"
#define TEMPLATE "aggregator_template"

struct bench {
    uv_loop_t loop;
    uv_timer_t step;
    struct mock_kafka *kafka;
    char *conninfo;
    struct pg_conn *admin;
    struct settings *settings;
    struct configuration configuration;
    struct places *places;
    struct metrics metrics[2];
    struct aggregator *aggregators[2];
};

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

/* Turns the loop until the query answers so; it must within the deadline. */
static void wait_for(struct bench *bench, const char *query, const char *wanted)
{
    const char *got = "";
    for (int64_t end = mono_now().ms + DEADLINE_MS; mono_now().ms < end;) {
        for (int i = 0; i < 10; i++)
            uv_run(&bench->loop, UV_RUN_ONCE);
        got = postgres_ask(bench->admin, "%s", query);
        if (strcmp(got, wanted) == 0)
            return;
    }
    assert_string_equal(got, wanted);
}

static int64_t measure(struct bench *bench, enum metrics_id id)
{
    if (bench->aggregators[0] != NULL)
        aggregator_measure(bench->aggregators[0]);
    return bench->metrics[0].values[id];
}

static void wait_for_metric(struct bench *bench, enum metrics_id id, int64_t wanted)
{
    for (int64_t end = mono_now().ms + DEADLINE_MS; mono_now().ms < end && measure(bench, id) != wanted;)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(measure(bench, id), wanted);
}

/* Hit number n: one of 50 visitors, a minute after the last of the same visitor. */
static const char *value_of(int number, const char *path)
{
    static char value[400];
    char time[TIMESTAMP_TEXT_LEN];
    timestamp_write((wall_ms){wall_now().ms - 3600000 + number / 50 * 60000 + number}, time);
    snprintf(
        value, sizeof value,
        "{\"url\":\"https://a.example/%s\",\"referrer\":\"\",\"user_agent\":\"agent\",\"host\":\"a.example\","
        "\"ip\":\"198.51.100.%d\",\"headers\":\"{}\",\"event_time\":\"%.24s\"}",
        path, number % 50, time);
    return value;
}

static void produce(struct bench *bench, int from, int to)
{
    for (int number = from; number < to; number++)
        mock_kafka_produce(bench->kafka, number % PARTITIONS, value_of(number, "x"));
    mock_kafka_flush(bench->kafka);
}

static void start(struct bench *bench, int which)
{
    struct why why;
    struct aggregator_options options = {
        .configuration = &bench->configuration,
        .settings = bench->settings,
        .group = "footfall-test",
        .places = bench->places,
        .metrics = &bench->metrics[which],
    };
    bench->aggregators[which] = aggregator_start(&bench->loop, &options, &why);
    assert_non_null(bench->aggregators[which]);
}

static void note_stopped(void *context)
{
    *(bool *)context = true;
}

static void stop(struct bench *bench, int which)
{
    bool is_stopped = false;
    aggregator_stop(bench->aggregators[which], note_stopped, &is_stopped);
    bench->aggregators[which] = NULL;
    for (int64_t end = mono_now().ms + DEADLINE_MS; mono_now().ms < end && !is_stopped;)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_true(is_stopped);
}

static int make_template(void **state)
{
    (void)state;
    struct migrate_report report;
    struct why why;
    return migrate_run(postgres_make(TEMPLATE, NULL), &report, &why) == STATUS_OK ? 0 : -1;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct why why;
    log_set_level(LOG_ERROR);
    uv_loop_init(&bench->loop);
    uv_timer_init(&bench->loop, &bench->step);
    uv_timer_start(&bench->step, on_step, 10, 10); /* so that each turn ends */
    bench->kafka = mock_kafka_start(TOPIC, PARTITIONS);
    bench->conninfo = strdup(postgres_make("aggregator_test", TEMPLATE));
    bench->admin = postgres_connect(bench->conninfo);
    bench->settings =
        settings_new(configuration_rows, configuration_row_count, &bench->configuration, "rdkafka");
    bench->configuration.kafka_brokers = mock_kafka_brokers(bench->kafka);
    bench->configuration.postgres_conninfo = bench->conninfo;
    bench->places = places_open("", &why);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 2; i++)
        if (bench->aggregators[i] != NULL)
            stop(bench, i);
    uv_close((uv_handle_t *)&bench->step, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    postgres_disconnect(bench->admin);
    postgres_drop("aggregator_test");
    places_close(&bench->places);
    settings_free(&bench->settings);
    mock_kafka_stop(&bench->kafka);
    free(bench->conninfo);
    free(bench);
    return 0;
}

/* ---- What must hold at the end, whatever came between ---- */

#define ROWS     "SELECT count(*) FROM processed_events"
#define DISTINCT "SELECT count(DISTINCT (kafka_partition, kafka_offset)) FROM processed_events"
#define REJECTED "SELECT count(*) FROM rejected_hits"
#define COUNTED                                                                                              \
    "SELECT coalesce((SELECT sum(web_events) FROM session_events_aggregated_ip), 0)"                         \
    "     + coalesce((SELECT sum(events) FROM footfall.open_sessions), 0)"                                   \
    "     + coalesce((SELECT sum(events) FROM footfall.strays), 0)"
#define NEXT "SELECT sum(next_offset) FROM footfall.partitions"

static void assert_each_is_stored_once(struct bench *bench, const char *count)
{
    wait_for(bench, ROWS, count);
    wait_for(bench, DISTINCT, count);
    wait_for(bench, COUNTED, count);
}

static void hits_become_rows_and_sessions(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 1000);
    start(bench, 0);
    assert_each_is_stored_once(bench, "1000");
    wait_for(bench, NEXT, "1000");
    produce(bench, 1000, 1200);
    assert_each_is_stored_once(bench, "1200");
    assert_int_equal(measure(bench, METRICS_HITS), 1200);
    assert_int_equal(measure(bench, METRICS_HELD), PARTITIONS);
    assert_int_equal(measure(bench, METRICS_LAG), 0);
    assert_null(aggregator_missing(bench->aggregators[0]));
    /* All hits of a visitor are within the gap: 50 sessions, wherever each hit was read. */
    wait_for(bench, "SELECT count(*) FROM footfall.strays", "0");
    wait_for(bench,
             "SELECT (SELECT count(*) FROM session_events_aggregated_ip)"
             "     + (SELECT count(*) FROM footfall.open_sessions)",
             "50");
}

static void a_restart_goes_on_where_it_stopped(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 500);
    start(bench, 0);
    assert_each_is_stored_once(bench, "500");
    stop(bench, 0);
    produce(bench, 500, 800);
    start(bench, 0);
    assert_each_is_stored_once(bench, "800");
}

static void sessions_close_without_another_message(void **state)
{
    struct bench *bench = *state;
    bench->configuration.sessions_gap_ms = 1000;
    bench->configuration.sessions_lateness_ms = 100;
    produce(bench, 0, 50);
    start(bench, 0);
    wait_for(bench, "SELECT count(*) FROM session_events_aggregated_ip", "50");
    wait_for(bench, "SELECT count(*) FROM footfall.open_sessions", "0");
}

static void a_lost_connection_is_made_anew(void **state)
{
    struct bench *bench = *state;
    start(bench, 0);
    for (int round = 0; round < 5; round++) {
        produce(bench, round * 200, round * 200 + 200);
        wait_for(bench, round == 0 ? "SELECT count(*) > 0 FROM processed_events" : "SELECT true", "t");
        postgres_do(bench->admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                  " WHERE application_name = 'footfall-aggregator'");
    }
    assert_each_is_stored_once(bench, "1000");
    assert_true(measure(bench, METRICS_RETRIES) > 0);
    wait_for_metric(bench, METRICS_POSTGRES_UP, 1);
}

static void who_is_fenced_forgets_and_comes_back(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 100);
    start(bench, 0);
    assert_each_is_stored_once(bench, "100");
    postgres_do(bench->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    produce(bench, 100, 200);
    wait_for_metric(bench, METRICS_FENCED, 1);
    assert_each_is_stored_once(bench, "200");
    assert_int_equal(measure(bench, METRICS_FENCED), 1);
}

/* As after SIGSTOP and SIGCONT: somebody else has one partition now, perhaps the others too. */
static void who_stood_still_steals_nothing(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 100);
    start(bench, 0);
    assert_each_is_stored_once(bench, "100");
    postgres_do(bench->admin, "UPDATE footfall.partitions SET owner = gen_random_uuid() WHERE partition = 2");
    produce(bench, 100, 200);
    int64_t claims = measure(bench, METRICS_CLAIMS);
    uv_sleep(STALL_MS); /* the loop does not turn */
    int64_t awake_ms = mono_now().ms;
    wait_for_metric(bench, METRICS_FENCED, 1);
    while (measure(bench, METRICS_CLAIMS) == claims && mono_now().ms < awake_ms + DEADLINE_MS)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_true(mono_now().ms - awake_ms >= ASSIGNMENT_COOLING_MS);
    assert_each_is_stored_once(bench, "200");
}

/* A person with psql who forgets to commit. */
static void a_row_that_somebody_has_locked_stops_its_partition_alone(void **state)
{
    struct bench *bench = *state;
    struct pg_conn *person = postgres_connect(bench->conninfo);
    postgres_do(person,
                "INSERT INTO footfall.partitions (topic, partition, next_offset) VALUES ('hits', 1, -2)");
    postgres_do(person, "BEGIN; UPDATE footfall.partitions SET next_offset = 0 WHERE partition = 1");
    produce(bench, 0, 100);
    start(bench, 0);
    assert_each_is_stored_once(bench, "75");
    assert_true(measure(bench, METRICS_FENCED) > 0);
    postgres_do(person, "ROLLBACK");
    postgres_disconnect(person);
    assert_each_is_stored_once(bench, "100");
}

/* Class 22, as a value that Postgres does not take would raise it. */
static void refuse_poison(struct bench *bench)
{
    postgres_do(
        bench->admin,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.url LIKE '%%poison%%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22P05'; END IF;"
        " RETURN new; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON processed_events FOR EACH ROW EXECUTE FUNCTION refuse()");
}

static void what_postgres_refuses_is_found_and_rejected(void **state)
{
    struct bench *bench = *state;
    refuse_poison(bench);
    produce(bench, 0, 300);
    mock_kafka_produce(bench->kafka, 1, value_of(300, "poison"));
    produce(bench, 301, 600);
    mock_kafka_produce(bench->kafka, 2, value_of(600, "poison"));
    mock_kafka_produce(bench->kafka, 2, value_of(601, "poison"));
    produce(bench, 602, 800);
    start(bench, 0);
    assert_each_is_stored_once(bench, "797");
    wait_for(bench, REJECTED, "3");
    wait_for(bench, "SELECT count(*) FROM rejected_hits WHERE reason LIKE '%22P05%' AND raw::text <> ''",
             "3");
    wait_for(bench, NEXT, "800");
    assert_int_equal(measure(bench, METRICS_REJECTS_REFUSED), 3);
    produce(bench, 800, 900);
    assert_each_is_stored_once(bench, "897");
}

/* Batches stay small after the search, and nothing more comes that would make them grow. */
static void sessions_close_after_a_search_that_nothing_follows(void **state)
{
    struct bench *bench = *state;
    bench->configuration.sessions_gap_ms = 1000;
    bench->configuration.sessions_lateness_ms = 100;
    refuse_poison(bench);
    produce(bench, 0, 50);
    mock_kafka_produce(bench->kafka, 1, value_of(50, "poison"));
    mock_kafka_flush(bench->kafka);
    start(bench, 0);
    wait_for(bench, REJECTED, "1");
    wait_for(bench, "SELECT count(*) FROM footfall.strays", "0");
    wait_for(bench, "SELECT sum(web_events) FROM session_events_aggregated_ip", "50");
}

static void a_newer_hit_halts_its_partition_alone(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 100);
    mock_kafka_produce(
        bench->kafka, 1,
        "{\"v\":2,\"url\":\"https://a.example/\",\"host\":\"a.example\",\"ip\":\"198.51.100.7\","
        "\"event_time\":\"2025-02-02T04:18:21Z\"}");
    produce(bench, 100, 200);
    start(bench, 0);
    assert_each_is_stored_once(bench, "175");
    wait_for_metric(bench, METRICS_HALTED, 1);
    wait_for(bench, "SELECT next_offset FROM footfall.partitions WHERE partition = 1", "25");
    wait_for(bench, REJECTED, "0");
}

static void a_changed_cluster_halts(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.partitions (topic, partition, next_offset, cluster_id,"
                              " partition_count) VALUES ('hits', 0, -2, 'another', 4)");
    produce(bench, 0, 100);
    start(bench, 0);
    assert_each_is_stored_once(bench, "75");
    wait_for_metric(bench, METRICS_HALTED, 1);
}

static void an_offset_that_is_gone_halts(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.partitions (topic, partition, next_offset)"
                              " VALUES ('hits', 3, 5000)");
    produce(bench, 0, 100);
    start(bench, 0);
    assert_each_is_stored_once(bench, "75");
    wait_for_metric(bench, METRICS_HALTED, 1);
}

static void two_share_the_work_and_one_takes_over(void **state)
{
    struct bench *bench = *state;
    start(bench, 0);
    produce(bench, 0, 200);
    assert_each_is_stored_once(bench, "200");
    start(bench, 1);
    wait_for_metric(bench, METRICS_HELD, PARTITIONS / 2);
    produce(bench, 200, 600);
    assert_each_is_stored_once(bench, "600");
    assert_true(bench->metrics[1].values[METRICS_HITS] > 0);
    stop(bench, 1);
    produce(bench, 600, 800);
    assert_each_is_stored_once(bench, "800");
    assert_int_equal(measure(bench, METRICS_HELD), PARTITIONS);
    assert_int_equal(bench->metrics[0].values[METRICS_HITS] + bench->metrics[1].values[METRICS_HITS], 800);
}

static void postgres_may_be_away(void **state)
{
    struct bench *bench = *state;
    produce(bench, 0, 100);
    struct pg_conn *elsewhere = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    postgres_do(elsewhere, "ALTER DATABASE aggregator_test ALLOW_CONNECTIONS false");
    start(bench, 0);
    wait_for_metric(bench, METRICS_POSTGRES_UP, 0);
    assert_string_equal(aggregator_missing(bench->aggregators[0]), "waiting for Postgres");
    assert_int_equal(measure(bench, METRICS_WANTED), PARTITIONS);
    wait_for_metric(bench, METRICS_LAG, 100);
    produce(bench, 100, 150);
    wait_for_metric(bench, METRICS_LAG, 150); /* also of what nobody reads now */
    postgres_do(elsewhere, "ALTER DATABASE aggregator_test ALLOW_CONNECTIONS true");
    postgres_disconnect(elsewhere);
    assert_each_is_stored_once(bench, "150");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hits_become_rows_and_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_where_it_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_close_without_another_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_connection_is_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_fenced_forgets_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_stood_still_steals_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_somebody_has_locked_stops_its_partition_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_postgres_refuses_is_found_and_rejected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_close_after_a_search_that_nothing_follows, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_newer_hit_halts_its_partition_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_cluster_halts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_offset_that_is_gone_halts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_share_the_work_and_one_takes_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(postgres_may_be_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, make_template, NULL);
}
