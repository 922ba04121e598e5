/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator: hits from a mock cluster become rows in a real Postgres, whatever happens
 * on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/aggregator/plant.h"

#define REJECTED "SELECT count(*) FROM rejected_hits"
#define NEXT     "SELECT sum(next_offset) FROM footfall.partitions"

static void hits_become_rows_and_sessions(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 1000);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "1000");
    plant_wait(plant, NEXT, "1000");
    plant_produce(plant, 1000, 1200);
    plant_wait_stored_once(plant, "1200");
    assert_int_equal(plant_measure(plant, METRICS_HITS), 1200);
    assert_int_equal(plant_measure(plant, METRICS_HELD), PLANT_PARTITIONS);
    assert_int_equal(plant_measure(plant, METRICS_LAG), 0);
    assert_null(aggregator_missing(plant->aggregators[0]));
    /* All hits of a visitor are within the gap: 50 sessions, wherever each hit was read. */
    plant_wait(plant, "SELECT count(*) FROM footfall.strays", "0");
    plant_wait(plant,
               "SELECT (SELECT count(*) FROM session_events_aggregated_ip)"
               "     + (SELECT count(*) FROM footfall.open_sessions)",
               "50");
}

static void a_restart_goes_on_where_it_stopped(void **state)
{
    struct plant *plant = *state;
    mock_kafka_hasten(plant->settings);
    plant_produce(plant, 0, 500);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "500");
    plant_stop(plant, 0);
    plant_produce(plant, 500, 800);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "800");
}

static void sessions_close_without_another_message(void **state)
{
    struct plant *plant = *state;
    plant->configuration.sessions_gap_ms = 1000;
    plant->configuration.sessions_lateness_ms = 100;
    plant_produce(plant, 0, 50);
    plant_start(plant, 0);
    plant_wait(plant, "SELECT count(*) FROM session_events_aggregated_ip", "50");
    plant_wait(plant, "SELECT count(*) FROM footfall.open_sessions", "0");
}

static void a_lost_connection_is_made_anew(void **state)
{
    struct plant *plant = *state;
    plant_start(plant, 0);
    for (int round = 0; round < 5; round++) {
        plant_produce(plant, round * 200, round * 200 + 200);
        plant_wait(plant, round == 0 ? "SELECT count(*) > 0 FROM processed_events" : "SELECT true", "t");
        postgres_do(plant->admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                  " WHERE application_name = 'footfall-aggregator'");
    }
    plant_wait_stored_once(plant, "1000");
    assert_true(plant_measure(plant, METRICS_RETRIES) > 0);
    plant_wait_metric(plant, METRICS_POSTGRES_UP, 1);
}

/* Rows of which this holds raise that error, with a text that is long in another language. */
static void refuse(struct plant *plant, const char *table, const char *condition, const char *sqlstate)
{
    postgres_do(plant->admin,
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF %s THEN RAISE EXCEPTION USING MESSAGE = 'n' || repeat('é', 400), ERRCODE = '%s'; END IF;"
                " RETURN new; END $$;"
                "CREATE TRIGGER refuse BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION refuse()",
                condition, sqlstate, table);
}

/* Class 22, as a value that Postgres does not take would raise it. */
static void refuse_poison(struct plant *plant)
{
    refuse(plant, "processed_events", "new.url LIKE '%poison%'", "22P05");
}

static void what_postgres_refuses_is_found_and_rejected(void **state)
{
    struct plant *plant = *state;
    refuse_poison(plant);
    plant_produce(plant, 0, 300);
    mock_kafka_produce(plant->kafka, 1, plant_value(300, "poison"));
    plant_produce(plant, 301, 600);
    mock_kafka_produce(plant->kafka, 2, plant_value(600, "poison"));
    mock_kafka_produce(plant->kafka, 2, plant_value(601, "poison"));
    plant_produce(plant, 602, 800);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "797");
    plant_wait(plant, REJECTED, "3");
    plant_wait(plant, "SELECT count(*) FROM rejected_hits WHERE reason LIKE '%22P05%' AND raw::text <> ''",
               "3");
    plant_wait(plant, NEXT, "800");
    assert_int_equal(plant_measure(plant, METRICS_REJECTS_REFUSED), 3);
    plant_produce(plant, 800, 900);
    plant_wait_stored_once(plant, "897");
}

/* Batches stay small after the search, and nothing more comes that would make them grow. */
static void sessions_close_after_a_search_that_nothing_follows(void **state)
{
    struct plant *plant = *state;
    plant->configuration.sessions_gap_ms = 1000;
    plant->configuration.sessions_lateness_ms = 100;
    refuse_poison(plant);
    plant_produce(plant, 0, 50);
    mock_kafka_produce(plant->kafka, 1, plant_value(50, "poison"));
    mock_kafka_flush(plant->kafka);
    plant_start(plant, 0);
    plant_wait(plant, REJECTED, "1");
    plant_wait(plant, "SELECT count(*) FROM footfall.strays", "0");
    plant_wait(plant, "SELECT sum(web_events) FROM session_events_aggregated_ip", "50");
}

/* As `resume` does. */
static void resume(struct plant *plant, const char *change)
{
    postgres_do(plant->admin,
                "UPDATE footfall.partitions SET halted_at = NULL, halt_reason = NULL, owner = NULL,"
                " version = version + 1%s WHERE halted_at IS NOT NULL",
                change);
}

static const char newer[] =
    "{\"v\":2,\"url\":\"https://a.example/\",\"host\":\"a.example\",\"ip\":\"198.51.100.7\","
    "\"event_time\":\"2025-02-02T04:18:21Z\"}";

static void a_newer_hit_halts_its_partition_alone(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 100);
    mock_kafka_produce(plant->kafka, 1, newer);
    plant_produce(plant, 100, 200);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "175");
    plant_wait_metric(plant, METRICS_HALTED, 1);
    plant_wait(plant, "SELECT next_offset FROM footfall.partitions WHERE partition = 1", "25");
    plant_wait(plant, REJECTED, "0");
    plant_wait(plant,
               "SELECT partition FROM footfall.partitions"
               " WHERE halted_at IS NOT NULL AND halt_reason LIKE '%footfall-aggregator resume 1%'",
               "1");
    assert_int_equal(plant_measure(plant, METRICS_HALTS), 1);
}

static void a_halt_outlives_the_process_and_ends_while_it_runs(void **state)
{
    struct plant *plant = *state;
    mock_kafka_hasten(plant->settings);
    plant_produce(plant, 0, 100);
    mock_kafka_produce(plant->kafka, 1, newer);
    plant_produce(plant, 100, 200);
    plant_start(plant, 0);
    plant_wait(plant, "SELECT count(*) FROM footfall.partitions WHERE halted_at IS NOT NULL", "1");
    plant_wait_stored_once(plant, "175");
    plant_stop(plant, 0);
    plant_start(plant, 0);
    plant_wait_metric(plant, METRICS_HALTED, 1);
    resume(plant, ", next_offset = 26"); /* the newer hit is left out */
    plant_wait_stored_once(plant, "200");
    plant_wait_metric(plant, METRICS_HALTED, 0);
}

static void row_halts_its_partition_alone(struct plant *plant, const char *insert)
{
    postgres_do(plant->admin, "%s", insert);
    plant_produce(plant, 0, 100);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "75");
    plant_wait_metric(plant, METRICS_HALTED, 1);
}

/* A process that was told of the wrong brokers must not halt what another one does well: the row stays. */
static void a_changed_cluster_halts_until_it_fits(void **state)
{
    struct plant *plant = *state;
    row_halts_its_partition_alone(
        plant, "INSERT INTO footfall.partitions (topic, partition, next_offset, cluster_id, partition_count)"
               " VALUES ('hits', 0, -2, 'another', 4)");
    plant_wait(plant, "SELECT count(*) FROM footfall.partitions WHERE halted_at IS NOT NULL", "0");
    postgres_do(plant->admin, "UPDATE footfall.partitions SET cluster_id = NULL WHERE partition = 0");
    plant_wait_stored_once(plant, "100");
    plant_wait_metric(plant, METRICS_HALTED, 0);
}

static void an_offset_that_is_gone_halts(void **state)
{
    struct plant *plant = *state;
    row_halts_its_partition_alone(plant, "INSERT INTO footfall.partitions (topic, partition, next_offset)"
                                         " VALUES ('hits', 3, 5000)");
    plant_wait(plant,
               "SELECT partition FROM footfall.partitions WHERE halt_reason LIKE"
               " 'the log ends before offset 5000%resume 3 --accept-loss%'",
               "3");
    resume(plant, ", next_offset = 0");
    plant_wait_stored_once(plant, "100");
}

/* Class 23 is nobody's fault but a person's: everything up to that hit is stored, the others go on. */
static void what_breaks_a_constraint_halts_its_partition_alone(void **state)
{
    struct plant *plant = *state;
    refuse(plant, "processed_events", "new.url LIKE '%poison%'", "23505");
    plant_produce(plant, 0, 300);
    mock_kafka_produce(plant->kafka, 1, plant_value(300, "poison"));
    plant_produce(plant, 301, 800);
    plant_start(plant, 0);
    plant_wait(plant,
               "SELECT partition FROM footfall.partitions"
               " WHERE halt_reason LIKE 'offset 75, %no hit can cause this%resume 1%'",
               "1");
    plant_wait_stored_once(plant, "674");
    plant_wait_metric(plant, METRICS_HALTED, 1);
    plant_wait(plant, "SELECT next_offset FROM footfall.partitions WHERE partition = 1", "75");
    plant_wait(plant, REJECTED, "0");
    postgres_do(plant->admin, "DROP TRIGGER refuse ON processed_events");
    resume(plant, "");
    plant_wait_stored_once(plant, "800");
}

/* Of one of fifty visitors, while hits go on coming: the home of its session halts. */
static void a_session_that_breaks_a_constraint_halts_its_partition_alone(void **state)
{
    struct plant *plant = *state;
    plant->configuration.sessions_gap_ms = 1000;
    plant->configuration.sessions_lateness_ms = 100;
    refuse(plant, "session_events_aggregated_ip", "new.ip = '198.51.100.7'", "23505");
    plant_produce(plant, 0, 50);
    plant_start(plant, 0);
    for (int number = 50; number < 1000; number++)
        mock_kafka_produce(plant->kafka, number % PLANT_PARTITIONS, plant_value(49, "more"));
    plant_wait(plant, "SELECT count(*) FROM footfall.partitions WHERE halt_reason LIKE '%closed_sessions%'",
               "1");
    plant_wait_metric(plant, METRICS_HALTED, 1);
    plant_wait(
        plant,
        "SELECT count(*) FROM footfall.open_sessions o JOIN footfall.partitions p USING (topic, partition)"
        " WHERE p.halted_at IS NULL",
        "0");
    plant_wait(plant,
               "SELECT string_agg(partition::text, ' ') = (SELECT string_agg(DISTINCT partition::text, ' ')"
               "                                             FROM footfall.open_sessions)"
               "  FROM footfall.partitions WHERE halted_at IS NOT NULL",
               "t");
    postgres_do(plant->admin, "DROP TRIGGER refuse ON session_events_aggregated_ip");
    resume(plant, "");
    plant_wait(plant, "SELECT count(DISTINCT ip) || ' ' || sum(web_events) FROM session_events_aggregated_ip",
               "50 1000");
}

/* Over one percent of a partition's messages are no hits; all are kept. */
static void too_many_rejects_halt_their_partition_alone(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 4 * 1200);
    for (int i = 0; i < 13; i++)
        mock_kafka_produce(plant->kafka, 2, "no hit");
    for (int i = 0; i < 12; i++)
        mock_kafka_produce(plant->kafka, 3, "no hit"); /* not more than one percent */
    plant_produce(plant, 4800, 4900);
    plant_start(plant, 0);
    plant_wait_stored_once(plant, "4875");
    plant_wait(plant, REJECTED, "25");
    plant_wait(plant,
               "SELECT partition FROM footfall.partitions WHERE halt_reason LIKE"
               " '13 of its last 1213 messages cannot be hits%at offset 1212%resume 2%'",
               "2");
    plant_wait_metric(plant, METRICS_HALTED, 1);
    resume(plant, "");
    plant_wait_stored_once(plant, "4900");
    plant_wait_metric(plant, METRICS_HALTED, 0);
}

static void postgres_may_be_away(void **state)
{
    struct plant *plant = *state;
    plant_produce(plant, 0, 100);
    struct pg_conn *elsewhere = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    postgres_do(elsewhere, "ALTER DATABASE " PLANT_DATABASE " ALLOW_CONNECTIONS false");
    plant_start(plant, 0);
    plant_wait_metric(plant, METRICS_POSTGRES_UP, 0);
    assert_string_equal(aggregator_missing(plant->aggregators[0]), "waiting for Postgres");
    assert_int_equal(plant_measure(plant, METRICS_WANTED), PLANT_PARTITIONS);
    plant_wait_metric(plant, METRICS_LAG, 100);
    plant_produce(plant, 100, 150);
    plant_wait_metric(plant, METRICS_LAG, 150); /* also of what nobody reads now */
    postgres_do(elsewhere, "ALTER DATABASE " PLANT_DATABASE " ALLOW_CONNECTIONS true");
    postgres_disconnect(elsewhere);
    plant_wait_stored_once(plant, "150");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANT_TEST(hits_become_rows_and_sessions),
        PLANT_TEST(a_restart_goes_on_where_it_stopped),
        PLANT_TEST(sessions_close_without_another_message),
        PLANT_TEST(a_lost_connection_is_made_anew),
        PLANT_TEST(what_postgres_refuses_is_found_and_rejected),
        PLANT_TEST(sessions_close_after_a_search_that_nothing_follows),
        PLANT_TEST(a_newer_hit_halts_its_partition_alone),
        PLANT_TEST(a_halt_outlives_the_process_and_ends_while_it_runs),
        PLANT_TEST(a_changed_cluster_halts_until_it_fits),
        PLANT_TEST(an_offset_that_is_gone_halts),
        PLANT_TEST(what_breaks_a_constraint_halts_its_partition_alone),
        PLANT_TEST(a_session_that_breaks_a_constraint_halts_its_partition_alone),
        PLANT_TEST(too_many_rejects_halt_their_partition_alone),
        PLANT_TEST(postgres_may_be_away),
    };
    return cmocka_run_group_tests(tests, plant_make_template, NULL);
}
