/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/aggregator with `enriched.topic`: no hit is committed before the topic has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "tests/unit/aggregator/plant.h"

#define TOPIC "processed_events"
enum { PRODUCE = 0 /* Kafka's number for it */, BROKER = 1, PARTITIONS = 2 };

static void start(struct plant *plant)
{
    plant->configuration.enriched_topic = TOPIC;
    plant_start(plant, 0);
}

static void wait_failed(struct plant *plant, int64_t count)
{
    for (int64_t end = mono_now().ms + PLANT_DEADLINE_MS;
         mono_now().ms < end && plant_measure(plant, METRICS_ENRICHED_FAILURES) < count;)
        uv_run(&plant->loop, UV_RUN_ONCE);
    assert_true(plant_measure(plant, METRICS_ENRICHED_FAILURES) >= count);
}

/* ---- Comparing the topic with the table ---- */

static void copy_into_table(void *context, int partition, slice key, slice value)
{
    struct plant *plant = context;
    (void)partition;
    postgres_do(plant->admin, "INSERT INTO messages VALUES ('%.*s', $$%.*s$$)", (int)key.len, key.data,
                (int)value.len, value.data);
}

#define ROWS                                                                                                 \
    "SELECT kafka_partition || '-' || kafka_offset, ip, to_char(event_timestamp, 'YYYY-MM-DD "               \
    "HH24:MI:SS.MS'),"                                                                                       \
    " referrer, host, url, geodata FROM processed_events"
#define MESSAGES                                                                                             \
    "SELECT key, value->>'ip', value->>'event_timestamp', value->>'referrer', value->>'host', "              \
    "value->>'url',"                                                                                         \
    " value->>'geodata' FROM messages"

/* Every row has its message, with equal fields, and there is no other. Returns how many there are. */
static size_t assert_same(struct plant *plant)
{
    postgres_do(plant->admin, "DROP TABLE IF EXISTS messages; CREATE TABLE messages (key text, value jsonb)");
    size_t count = mock_kafka_read(plant->kafka, TOPIC, PARTITIONS, copy_into_table, plant);
    assert_string_equal(
        postgres_ask(plant->admin, "SELECT count(*) FROM (" ROWS " EXCEPT " MESSAGES ") AS missing"), "0");
    assert_string_equal(
        postgres_ask(plant->admin, "SELECT count(*) FROM (" MESSAGES " EXCEPT " ROWS ") AS invented"), "0");
    return count;
}

static void every_row_has_its_message(void **state)
{
    struct plant *plant = *state;
    mock_kafka_add_topic(plant->kafka, TOPIC, PARTITIONS);
    plant_produce(plant, 0, 1000);
    mock_kafka_produce(plant->kafka, 0, "no hit");
    mock_kafka_produce(plant->kafka, 0, NULL);
    start(plant);
    plant_wait_stored_once(plant, "1000");
    assert_int_equal(assert_same(plant), 1000);
    assert_int_equal(plant_measure(plant, METRICS_ENRICHED), 1000);
    assert_int_equal(plant_measure(plant, METRICS_ENRICHED_FAILURES), 0);
}

static void hits_wait_for_a_topic_that_is_not_there(void **state)
{
    struct plant *plant = *state;
    mock_kafka_add_topic(plant->kafka, TOPIC, PARTITIONS);
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(plant->kafka), TOPIC,
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    plant_produce(plant, 0, 100);
    start(plant);
    wait_failed(plant, 3);
    assert_string_equal(postgres_ask(plant->admin, "SELECT count(*) FROM processed_events"), "0");
    assert_string_equal(aggregator_missing(plant->aggregators[0]), "waiting for enriched.topic");
    assert_int_equal(plant_measure(plant, METRICS_POSTGRES_UP), 1);
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(plant->kafka), TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    plant_wait_stored_once(plant, "100");
    assert_int_equal(assert_same(plant), 100);
    assert_null(aggregator_missing(plant->aggregators[0]));
}

/* The topic refuses them inside the transaction. */
static void hits_that_are_not_delivered_are_not_stored(void **state)
{
    struct plant *plant = *state;
    mock_kafka_add_topic(plant->kafka, TOPIC, PARTITIONS);
    plant_produce(plant, 0, 100);
    rd_kafka_mock_push_request_errors(
        mock_kafka_cluster(plant->kafka), PRODUCE, 3, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    start(plant);
    wait_failed(plant, 1);
    assert_string_equal(postgres_ask(plant->admin, "SELECT count(*) FROM processed_events"), "0");
    plant_wait_stored_once(plant, "100");
    assert_true(assert_same(plant) >= 100);
}

/* It would be ended as idle else. Two partitions, confirmed one after the other: there is progress. */
static void a_slow_delivery_keeps_the_transaction(void **state)
{
    struct plant *plant = *state;
    mock_kafka_add_topic(plant->kafka, TOPIC, PARTITIONS);
    plant_produce(plant, 0, 100);
    rd_kafka_mock_broker_push_request_error_rtts(mock_kafka_cluster(plant->kafka), BROKER, PRODUCE, 2,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 2500, RD_KAFKA_RESP_ERR_NO_ERROR,
                                                 5000);
    start(plant);
    plant_wait(plant,
               "SELECT count(*) FROM pg_stat_activity"
               " WHERE query = 'SELECT 1' AND state = 'idle in transaction'",
               "1");
    plant_wait_stored_once(plant, "100");
    assert_true(assert_same(plant) >= 100);
}

static void a_stop_while_nothing_is_delivered_ends(void **state)
{
    struct plant *plant = *state;
    mock_kafka_add_topic(plant->kafka, TOPIC, PARTITIONS);
    plant_produce(plant, 0, 100);
    rd_kafka_mock_broker_push_request_error_rtts(mock_kafka_cluster(plant->kafka), BROKER, PRODUCE, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 60000);
    start(plant);
    plant_wait(plant,
               "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND"
               " query LIKE 'UPDATE footfall.partitions%'",
               "1");
    plant_stop(plant, 0);
    assert_string_equal(postgres_ask(plant->admin, "SELECT count(*) FROM processed_events"), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANT_TEST(every_row_has_its_message),
        PLANT_TEST(hits_wait_for_a_topic_that_is_not_there),
        PLANT_TEST(hits_that_are_not_delivered_are_not_stored),
        PLANT_TEST(a_slow_delivery_keeps_the_transaction),
        PLANT_TEST(a_stop_while_nothing_is_delivered_ends),
    };
    return cmocka_run_group_tests(tests, plant_make_template, NULL);
}
