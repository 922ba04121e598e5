/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator: hits from a mock cluster become rows in a real Postgres, whatever happens
 * on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/aggregator/rig.h"

#define REJECTED "SELECT count(*) FROM rejected_hits"
#define NEXT     "SELECT sum(next_offset) FROM footfall.partitions"

static void hits_become_rows_and_sessions(void **state)
{
    struct rig *rig = *state;
    rig_produce(rig, 0, 1000);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "1000");
    rig_wait(rig, NEXT, "1000");
    rig_produce(rig, 1000, 1200);
    rig_wait_stored_once(rig, "1200");
    assert_int_equal(rig_measure(rig, METRICS_HITS), 1200);
    assert_int_equal(rig_measure(rig, METRICS_HELD), RIG_PARTITIONS);
    assert_int_equal(rig_measure(rig, METRICS_LAG), 0);
    assert_null(aggregator_missing(rig->aggregators[0]));
    /* All hits of a visitor are within the gap: 50 sessions, wherever each hit was read. */
    rig_wait(rig, "SELECT count(*) FROM footfall.strays", "0");
    rig_wait(rig,
             "SELECT (SELECT count(*) FROM session_events_aggregated_ip)"
             "     + (SELECT count(*) FROM footfall.open_sessions)",
             "50");
}

static void a_restart_goes_on_where_it_stopped(void **state)
{
    struct rig *rig = *state;
    mock_kafka_hasten(rig->settings);
    rig_produce(rig, 0, 500);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "500");
    rig_stop(rig, 0);
    rig_produce(rig, 500, 800);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "800");
}

static void sessions_close_without_another_message(void **state)
{
    struct rig *rig = *state;
    rig->configuration.sessions_gap_ms = 1000;
    rig->configuration.sessions_lateness_ms = 100;
    rig_produce(rig, 0, 50);
    rig_start(rig, 0);
    rig_wait(rig, "SELECT count(*) FROM session_events_aggregated_ip", "50");
    rig_wait(rig, "SELECT count(*) FROM footfall.open_sessions", "0");
}

static void a_lost_connection_is_made_anew(void **state)
{
    struct rig *rig = *state;
    rig_start(rig, 0);
    for (int round = 0; round < 5; round++) {
        rig_produce(rig, round * 200, round * 200 + 200);
        rig_wait(rig, round == 0 ? "SELECT count(*) > 0 FROM processed_events" : "SELECT true", "t");
        postgres_do(rig->admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                " WHERE application_name = 'footfall-aggregator'");
    }
    rig_wait_stored_once(rig, "1000");
    assert_true(rig_measure(rig, METRICS_RETRIES) > 0);
    rig_wait_metric(rig, METRICS_POSTGRES_UP, 1);
}

/* Class 22, as a value that Postgres does not take would raise it. */
static void refuse_poison(struct rig *rig)
{
    postgres_do(
        rig->admin,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.url LIKE '%%poison%%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22P05'; END IF;"
        " RETURN new; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON processed_events FOR EACH ROW EXECUTE FUNCTION refuse()");
}

static void what_postgres_refuses_is_found_and_rejected(void **state)
{
    struct rig *rig = *state;
    refuse_poison(rig);
    rig_produce(rig, 0, 300);
    mock_kafka_produce(rig->kafka, 1, rig_value(300, "poison"));
    rig_produce(rig, 301, 600);
    mock_kafka_produce(rig->kafka, 2, rig_value(600, "poison"));
    mock_kafka_produce(rig->kafka, 2, rig_value(601, "poison"));
    rig_produce(rig, 602, 800);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "797");
    rig_wait(rig, REJECTED, "3");
    rig_wait(rig, "SELECT count(*) FROM rejected_hits WHERE reason LIKE '%22P05%' AND raw::text <> ''", "3");
    rig_wait(rig, NEXT, "800");
    assert_int_equal(rig_measure(rig, METRICS_REJECTS_REFUSED), 3);
    rig_produce(rig, 800, 900);
    rig_wait_stored_once(rig, "897");
}

/* Batches stay small after the search, and nothing more comes that would make them grow. */
static void sessions_close_after_a_search_that_nothing_follows(void **state)
{
    struct rig *rig = *state;
    rig->configuration.sessions_gap_ms = 1000;
    rig->configuration.sessions_lateness_ms = 100;
    refuse_poison(rig);
    rig_produce(rig, 0, 50);
    mock_kafka_produce(rig->kafka, 1, rig_value(50, "poison"));
    mock_kafka_flush(rig->kafka);
    rig_start(rig, 0);
    rig_wait(rig, REJECTED, "1");
    rig_wait(rig, "SELECT count(*) FROM footfall.strays", "0");
    rig_wait(rig, "SELECT sum(web_events) FROM session_events_aggregated_ip", "50");
}

static void a_newer_hit_halts_its_partition_alone(void **state)
{
    struct rig *rig = *state;
    rig_produce(rig, 0, 100);
    mock_kafka_produce(
        rig->kafka, 1,
        "{\"v\":2,\"url\":\"https://a.example/\",\"host\":\"a.example\",\"ip\":\"198.51.100.7\","
        "\"event_time\":\"2025-02-02T04:18:21Z\"}");
    rig_produce(rig, 100, 200);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "175");
    rig_wait_metric(rig, METRICS_HALTED, 1);
    rig_wait(rig, "SELECT next_offset FROM footfall.partitions WHERE partition = 1", "25");
    rig_wait(rig, REJECTED, "0");
}

static void row_halts_its_partition_alone(struct rig *rig, const char *insert)
{
    postgres_do(rig->admin, "%s", insert);
    rig_produce(rig, 0, 100);
    rig_start(rig, 0);
    rig_wait_stored_once(rig, "75");
    rig_wait_metric(rig, METRICS_HALTED, 1);
}

static void a_changed_cluster_halts(void **state)
{
    row_halts_its_partition_alone(
        *state, "INSERT INTO footfall.partitions (topic, partition, next_offset, cluster_id, partition_count)"
                " VALUES ('hits', 0, -2, 'another', 4)");
}

static void an_offset_that_is_gone_halts(void **state)
{
    row_halts_its_partition_alone(*state, "INSERT INTO footfall.partitions (topic, partition, next_offset)"
                                          " VALUES ('hits', 3, 5000)");
}

static void postgres_may_be_away(void **state)
{
    struct rig *rig = *state;
    rig_produce(rig, 0, 100);
    struct pg_conn *elsewhere = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    postgres_do(elsewhere, "ALTER DATABASE " RIG_DATABASE " ALLOW_CONNECTIONS false");
    rig_start(rig, 0);
    rig_wait_metric(rig, METRICS_POSTGRES_UP, 0);
    assert_string_equal(aggregator_missing(rig->aggregators[0]), "waiting for Postgres");
    assert_int_equal(rig_measure(rig, METRICS_WANTED), RIG_PARTITIONS);
    rig_wait_metric(rig, METRICS_LAG, 100);
    rig_produce(rig, 100, 150);
    rig_wait_metric(rig, METRICS_LAG, 150); /* also of what nobody reads now */
    postgres_do(elsewhere, "ALTER DATABASE " RIG_DATABASE " ALLOW_CONNECTIONS true");
    postgres_disconnect(elsewhere);
    rig_wait_stored_once(rig, "150");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(hits_become_rows_and_sessions),
        RIG_TEST(a_restart_goes_on_where_it_stopped),
        RIG_TEST(sessions_close_without_another_message),
        RIG_TEST(a_lost_connection_is_made_anew),
        RIG_TEST(what_postgres_refuses_is_found_and_rejected),
        RIG_TEST(sessions_close_after_a_search_that_nothing_follows),
        RIG_TEST(a_newer_hit_halts_its_partition_alone),
        RIG_TEST(a_changed_cluster_halts),
        RIG_TEST(an_offset_that_is_gone_halts),
        RIG_TEST(postgres_may_be_away),
    };
    return cmocka_run_group_tests(tests, rig_make_template, NULL);
}
