/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/enriched against librdkafka's mock cluster: what is confirmed lies in the topic, and what
 * fails is said and leaves nothing behind. */
#include "aggregator/enriched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <uv.h>

#include "aggregator/configuration.h"
#include "base/log.h"
#include "proto/partition.h"
#include "aggregator/batch.h"
#include "tests/lib/mock_kafka.h"

#define TOPIC "processed_events"
enum { PARTITIONS = 3, HITS = 500, VISITORS = 20, PRODUCE = 0 /* Kafka's number for it */, BROKER = 1 };

struct rig {
    uv_loop_t loop;
    struct mock_kafka *kafka;
    struct settings *settings;
    struct configuration configuration;
    struct batch *batch;
    struct enriched *enriched;
    int change_count;

    /* What is read back: how often each hit, by offset, and where each visitor. */
    int seen[HITS];
    int partition_of[VISITORS];
};

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size);

static rd_kafka_t *last_producer; /* that of the rig's enriched, as soon as it has one */

rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
    rd_kafka_t *handle = __real_rd_kafka_new(type, conf, text, size);
    if (type == RD_KAFKA_PRODUCER)
        last_producer = handle;
    return handle;
}

static void note_change(void *context)
{
    struct rig *rig = context;
    rig->change_count++;
}

static int set_up(void **state)
{
    struct rig *rig = must_calloc(1, sizeof *rig);
    log_set_level(LOG_ERROR + 1);
    uv_loop_init(&rig->loop);
    rig->kafka = mock_kafka_start("hits", 1);
    rig->settings = settings_new(configuration_rows, configuration_row_count, &rig->configuration, "rdkafka");
    rig->batch = batch_new("hits", 1);
    rig->enriched = enriched_new(
        &(struct enriched_options){&rig->loop, mock_kafka_brokers(rig->kafka), TOPIC, rig->settings});
    enriched_watch(rig->enriched, note_change, rig);
    *state = rig;
    return 0;
}

static void note_closed(void *context)
{
    *(bool *)context = true;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    bool is_closed = false;
    enriched_close(&rig->enriched, note_closed, &is_closed);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    batch_free(&rig->batch);
    settings_free(&rig->settings);
    mock_kafka_stop(&rig->kafka);
    free(rig);
    return 0;
}

/* Hit number n stood at offset n; every tenth is a duplicate. */
static void fill_batch(struct rig *rig, int count)
{
    struct place place;
    memset(&place, 0, sizeof place);
    place.geodata = SLICE("{}");
    for (int number = 0; number < count; number++) {
        char ip[16];
        struct hit hit = {.url = SLICE("https://a.example/"),
                          .host = SLICE("a.example"),
                          .event_time = {1738469901123 + number}};
        snprintf(ip, sizeof ip, "198.51.100.%d", number % VISITORS);
        assert_int_equal(ip_read(slice_of(ip), &hit.ip), STATUS_OK);
        batch_add_hit(rig->batch, &(struct batch_position){0, number, hit.event_time}, &hit, &place);
        rig->batch->hits[number].is_duplicate = number % 10 == 0;
    }
}

static enum status wait(struct rig *rig, enum status (*ask)(struct enriched *))
{
    enum status status;
    while ((status = ask(rig->enriched)) == STATUS_AGAIN) {
        int changes = rig->change_count;
        while (rig->change_count == changes)
            uv_run(&rig->loop, UV_RUN_ONCE);
    }
    return status;
}

static enum status publish(struct rig *rig)
{
    enum status status = wait(rig, enriched_reach);
    if (status != STATUS_OK)
        return status;
    enriched_send(rig->enriched, rig->batch);
    status = wait(rig, enriched_confirm);
    enriched_forget(rig->enriched);
    return status;
}

static void take(void *context, int partition, slice key, slice value)
{
    struct rig *rig = context;
    int64_t offset;
    assert_memory_equal(key.data, "0-", 2);
    assert_int_equal(slice_to_int64(slice_from(key, 2), 0, HITS - 1, &offset), STATUS_OK);
    assert_memory_equal(value.data, "{\"ip\":\"198.51.100.", strlen("{\"ip\":\"198.51.100."));
    rig->seen[offset]++;
    int *visitors = &rig->partition_of[offset % VISITORS];
    assert_true(*visitors == 0 || *visitors == partition + 1);
    *visitors = partition + 1;
}

/* Each hit that is no duplicate so often, no other. */
static void assert_in_topic(struct rig *rig, int count, int least, int most)
{
    memset(rig->seen, 0, sizeof rig->seen);
    mock_kafka_read(rig->kafka, TOPIC, PARTITIONS, take, rig);
    for (int number = 0; number < HITS; number++) {
        bool is_wanted = number < count && number % 10 != 0;
        assert_in_range(rig->seen[number], is_wanted ? least : 0, is_wanted ? most : 0);
    }
}

static void new_hits_lie_in_the_topic_once_confirmed(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 1, 1);
    assert_int_equal(enriched_confirmed_total(rig->enriched), HITS * 9 / 10);
    char key[PARTITION_KEY_MAX];
    size_t len = partition_key_write(rig->batch->hits[7].host, rig->batch->hits[7].ip, key);
    assert_int_equal(rig->partition_of[7], partition_of_key((slice){key, len}, PARTITIONS) + 1);
    assert_int_equal(publish(rig), STATUS_OK); /* the same producer goes on */
    assert_in_topic(rig, HITS, 2, 2);
}

static void duplicates_alone_are_confirmed_at_once(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, 1);
    assert_int_equal(wait(rig, enriched_reach), STATUS_OK);
    enriched_send(rig->enriched, rig->batch);
    assert_int_equal(enriched_confirm(rig->enriched), STATUS_OK);
    enriched_forget(rig->enriched);
}

static void a_batch_larger_than_the_queue_goes_through(void **state)
{
    struct rig *rig = *state;
    struct why why;
    assert_int_equal(settings_set(rig->settings, "rdkafka.queue.buffering.max.messages=10", &why), STATUS_OK);
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 1, 1);
}

static void a_topic_that_is_not_there_is_named(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(rig->kafka), TOPIC,
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    fill_batch(rig, 10);
    assert_int_equal(publish(rig), STATUS_UNAVAILABLE);
    assert_non_null(strstr(enriched_reason(rig->enriched), "enriched.topic = " TOPIC ": "));
    assert_non_null(strstr(enriched_reason(rig->enriched), ": create it, or name another"));
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(rig->kafka), TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, 10, 1, 1);
}

static void a_refusal_fails_the_batch_and_the_next_one_is_sent_anew(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    rd_kafka_mock_push_request_errors(mock_kafka_cluster(rig->kafka), PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(publish(rig), STATUS_UNAVAILABLE);
    assert_non_null(strstr(enriched_reason(rig->enriched), "uthorization"));
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 1, 2);
}

static void too_large_says_what_mends_it(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, 10);
    rd_kafka_mock_push_request_errors(mock_kafka_cluster(rig->kafka), PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(publish(rig), STATUS_UNAVAILABLE);
    assert_non_null(strstr(enriched_reason(rig->enriched), "max.message.bytes"));
}

/* Nothing of an outage waits in the client and comes later. */
static void silent_brokers_fail_the_batch(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(wait(rig, enriched_reach), STATUS_OK);
    rd_kafka_mock_broker_set_down(mock_kafka_cluster(rig->kafka), BROKER);
    assert_int_equal(publish(rig), STATUS_UNAVAILABLE);
    assert_true(rig->change_count >= 2); /* pulses, too */
    assert_int_equal(publish(rig), STATUS_UNAVAILABLE);
    rd_kafka_mock_broker_set_up(mock_kafka_cluster(rig->kafka), BROKER);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 1, 1);
}

static void slow_brokers_are_waited_for(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, 10);
    assert_int_equal(wait(rig, enriched_reach), STATUS_OK);
    int changes = rig->change_count;
    rd_kafka_mock_broker_push_request_error_rtts(mock_kafka_cluster(rig->kafka), BROKER, PRODUCE, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, ENRICHED_PULSE_MS * 5 / 4);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_true(rig->change_count > changes);
    assert_in_topic(rig, 10, 1, 1);
}

/* Its reports are nobody's. */
static void a_batch_that_was_given_up_does_not_confirm_the_next(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(publish(rig), STATUS_OK); /* from now on a batch is sent at once */
    enriched_send(rig->enriched, rig->batch);
    enriched_forget(rig->enriched);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_int_equal(enriched_confirmed_total(rig->enriched), 3 * HITS * 9 / 10);
    assert_in_topic(rig, HITS, 3, 3);
}

static void make_fatal(void)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    assert_int_equal(rd_kafka_test_fatal_error(last_producer, error, "a test"), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* While no batch is on its way nobody needs to know. */
static void after_a_fatal_error_another_producer_goes_on(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(publish(rig), STATUS_OK);
    make_fatal();
    for (rd_kafka_t *fatal = last_producer; last_producer == fatal;) {
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        assert_int_equal(wait(rig, enriched_reach), STATUS_OK);
    }
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 2, 2);
}

static void a_fatal_error_fails_the_batch_on_its_way(void **state)
{
    struct rig *rig = *state;
    mock_kafka_add_topic(rig->kafka, TOPIC, PARTITIONS);
    fill_batch(rig, HITS);
    assert_int_equal(wait(rig, enriched_reach), STATUS_OK);
    for (int i = 0; i < PARTITIONS; i++) /* nothing is confirmed before it */
        rd_kafka_mock_broker_push_request_error_rtts(mock_kafka_cluster(rig->kafka), BROKER, PRODUCE, 1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, 1000);
    enriched_send(rig->enriched, rig->batch);
    make_fatal();
    assert_int_equal(wait(rig, enriched_confirm), STATUS_UNAVAILABLE);
    enriched_forget(rig->enriched);
    assert_int_equal(publish(rig), STATUS_OK);
    assert_in_topic(rig, HITS, 1, 2);
}

static void what_librdkafka_refuses_is_said_at_the_start(void **state)
{
    struct rig *rig = *state;
    struct why why;
    struct enriched_options options = {NULL, "broker:9092", TOPIC, rig->settings};
    assert_int_equal(enriched_check(&options, &why), STATUS_OK);
    assert_int_equal(settings_set(rig->settings, "rdkafka.acks=1", &why), STATUS_OK);
    assert_int_not_equal(enriched_check(&options, &why), STATUS_OK);
    assert_non_null(strstr(why.text, "rdkafka.acks"));
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(new_hits_lie_in_the_topic_once_confirmed),
        RIG_TEST(duplicates_alone_are_confirmed_at_once),
        RIG_TEST(a_batch_larger_than_the_queue_goes_through),
        RIG_TEST(a_topic_that_is_not_there_is_named),
        RIG_TEST(a_refusal_fails_the_batch_and_the_next_one_is_sent_anew),
        RIG_TEST(too_large_says_what_mends_it),
        RIG_TEST(silent_brokers_fail_the_batch),
        RIG_TEST(slow_brokers_are_waited_for),
        RIG_TEST(a_batch_that_was_given_up_does_not_confirm_the_next),
        RIG_TEST(after_a_fatal_error_another_producer_goes_on),
        RIG_TEST(a_fatal_error_fails_the_batch_on_its_way),
        RIG_TEST(what_librdkafka_refuses_is_said_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
