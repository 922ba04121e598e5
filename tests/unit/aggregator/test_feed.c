/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/feed against librdkafka's mock cluster, in this process: what reaches the events, and
 * what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <uv.h>

#include "aggregator/feed.h"
#include "base/log.h"
#include "proto/partition.h"
#include "tests/lib/mock_kafka.h"

enum {
    PARTITIONS = 3,
    DEADLINE_MS = 30000,
    LIST_OFFSETS_REQUEST = 2,
    HEARTBEAT_REQUEST = 12 /* of Kafka's protocol */
};
enum { ASSIGNED_CASES = 8 };

#define TOPIC "hits"

/* ---- A cluster, a producer, and a feed that writes down what it is told ---- */

struct member {
    struct feed *feed;
    bool is_ready; /* on_cluster came */
    bool is_assigned;
    int assigned_count, revoked_count;
    size_t partition_count;
    int partitions[PARTITIONS];
    int message_count, control_count, end_count, fault_count;
    int64_t last_offset[PARTITIONS];
    char last_value[64];
    char last_control[64];
    char fault[256];
    char cluster_id[128];
};

struct bench {
    uv_loop_t loop;
    uv_timer_t step;
    struct mock_kafka *kafka;
    struct settings *settings;
    struct feed_options options;
    struct member members[2];
};

static void on_assigned(void *context, const int *partitions, size_t count)
{
    struct member *member = context;
    assert_true(member->is_ready);
    assert_false(member->is_assigned);
    member->is_assigned = true;
    member->assigned_count++;
    member->partition_count = count;
    memcpy(member->partitions, partitions, count * sizeof *partitions);
}

static void on_revoked(void *context)
{
    struct member *member = context;
    assert_true(member->is_assigned);
    member->is_assigned = false;
    member->revoked_count++;
    member->partition_count = 0;
}

static void on_message(void *context, const struct feed_message *message)
{
    struct member *member = context;
    assert_true(message->written.ms > 1600000000000);
    member->message_count++;
    member->control_count += message->is_control;
    if (message->is_control)
        snprintf(member->last_control, sizeof member->last_control, "%.*s", SLICE_ARGS(message->control));
    member->last_offset[message->partition] = message->offset;
    snprintf(member->last_value, sizeof member->last_value, "%s%.*s", message->has_value ? "" : "none",
             SLICE_ARGS(message->value));
}

static void on_end(void *context, int partition)
{
    struct member *member = context;
    assert_in_range(partition, 0, PARTITIONS - 1);
    member->end_count++;
}

static void on_fault(void *context, const struct feed_fault *fault)
{
    struct member *member = context;
    member->fault_count++;
    snprintf(member->fault, sizeof member->fault, "%d %lld-%lld %s", fault->partition,
             (long long)fault->log.first, (long long)fault->log.end, fault->reason);
}

static void on_cluster(void *context, const char *cluster_id, int partition_count)
{
    struct member *member = context;
    assert_int_equal(partition_count, PARTITIONS);
    snprintf(member->cluster_id, sizeof member->cluster_id, "%s", cluster_id);
    member->is_ready = true;
}

static void on_wake(void *context)
{
    (void)context; /* wait_until polls at each turn */
}

static const struct feed_events events = {on_assigned, on_revoked, on_message, on_end,
                                          on_fault,    on_cluster, on_wake};

static void start(struct bench *bench, int which)
{
    struct why why;
    struct member *member = &bench->members[which];
    memset(member, 0, sizeof *member);
    member->feed = feed_start(&bench->loop, &bench->options, &events, member, &why);
    assert_non_null(member->feed);
}

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

static void turn(struct bench *bench)
{
    uv_run(&bench->loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 2; i++)
        if (bench->members[i].feed != NULL)
            feed_poll(bench->members[i].feed, 1000);
}

/* Turns the loop until the condition holds; it must within the deadline. */
#define wait_until(bench, condition)                                                                         \
    do {                                                                                                     \
        for (int64_t end = mono_now().ms + DEADLINE_MS; !(condition) && mono_now().ms < end;)                \
            turn(bench);                                                                                     \
        assert_true(condition);                                                                              \
    } while (0)

static void produce_many(struct bench *bench, int partition, int count)
{
    for (int i = 0; i < count; i++)
        mock_kafka_produce(bench->kafka, partition, "a hit");
    mock_kafka_flush(bench->kafka);
}

static struct bench *make(void)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    uv_loop_init(&bench->loop);
    uv_timer_init(&bench->loop, &bench->step);
    uv_timer_start(&bench->step, on_step, 5, 5); /* so that each turn ends */
    log_set_level(LOG_ERROR);
    bench->kafka = mock_kafka_start(TOPIC, PARTITIONS);
    bench->settings = settings_new(NULL, 0, NULL, "rdkafka");
    bench->options = (struct feed_options){
        .brokers = mock_kafka_brokers(bench->kafka),
        .topic = TOPIC,
        .group = "footfall-test",
        .instance = "",
        .settings = bench->settings,
    };
    return bench;
}

static int set_up(void **state)
{
    *state = make();
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < 2; i++)
        feed_stop(&bench->members[i].feed);
    uv_close((uv_handle_t *)&bench->step, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    settings_free(&bench->settings);
    mock_kafka_stop(&bench->kafka);
    free(bench);
    return 0;
}

/* The mock group takes three seconds for a first assignment: cases that begin with an assigned member wait
 * for it together. */
static struct bench *assigned[ASSIGNED_CASES];
static size_t assigned_left;

static bool all_are_assigned(void)
{
    for (size_t i = 0; i < ASSIGNED_CASES; i++)
        if (!assigned[i]->members[0].is_assigned)
            return false;
    return true;
}

static int assign_all(void **state)
{
    (void)state;
    for (; assigned_left < ASSIGNED_CASES; assigned_left++) {
        assigned[assigned_left] = make();
        start(assigned[assigned_left], 0);
    }
    for (int64_t end = mono_now().ms + DEADLINE_MS; !all_are_assigned() && mono_now().ms < end;)
        for (size_t i = 0; i < ASSIGNED_CASES; i++)
            turn(assigned[i]);
    return all_are_assigned() ? 0 : -1;
}

static int take_assigned(void **state)
{
    assert_true(assigned_left > 0);
    *state = assigned[--assigned_left];
    return 0;
}

/* ---- Tests ---- */

static void the_cluster_is_told_before_the_first_assignment(void **state)
{
    struct bench *bench = *state;
    assert_true(bench->members[0].is_assigned); /* on_assigned asserts the order */
    assert_int_equal(bench->members[0].partition_count, PARTITIONS);
    assert_true(strlen(bench->members[0].cluster_id) > 0);
    assert_true(feed_is_connected(bench->members[0].feed));
}

static void nothing_is_read_before_it_is_asked_for(void **state)
{
    struct bench *bench = *state;
    produce_many(bench, 1, 10);
    feed_read_at(bench->members[0].feed, (struct feed_position[]){{2, -2}}, 1);
    wait_until(bench, bench->members[0].end_count > 0);
    assert_int_equal(bench->members[0].message_count, 0);
}

static void reading_begins_at_the_given_offsets_and_tells_the_end(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    produce_many(bench, 0, 10);
    produce_many(bench, 1, 10);
    feed_read_at(member->feed, (struct feed_position[]){{0, -2}, {1, 7}}, 2);
    wait_until(bench, member->end_count == 2);
    assert_int_equal(member->message_count, 13);
    assert_int_equal(member->last_offset[0], 9);
    assert_int_equal(member->last_offset[1], 9);
    assert_int_equal(feed_lag(member->feed, 0, 4), 6);
    assert_int_equal(feed_lag(member->feed, 0, -2), 10);
    assert_int_equal(feed_lag(member->feed, 0, 10), 0);

    produce_many(bench, 1, 1); /* the end is told again after each time that something came */
    wait_until(bench, member->message_count == 14);
    wait_until(bench, member->end_count == 3);
}

static void another_list_replaces_the_first(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    produce_many(bench, 0, 10);
    feed_read_at(member->feed, (struct feed_position[]){{0, -2}}, 1);
    wait_until(bench, member->end_count == 1);
    assert_int_equal(member->message_count, 10);
    feed_read_at(member->feed, (struct feed_position[]){{0, 5}, {2, -2}}, 2);
    wait_until(bench, member->end_count == 3);
    assert_int_equal(member->message_count, 15);
    feed_read_at(member->feed, NULL, 0);
    produce_many(bench, 0, 5);
    feed_read_at(member->feed, (struct feed_position[]){{2, -2}}, 1);
    wait_until(bench, member->end_count == 4);
    assert_int_equal(member->message_count, 15);
    assert_int_equal(member->revoked_count, 0);
}

static void values_and_control_records_are_told_apart(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    feed_read_at(member->feed, (struct feed_position[]){{0, -2}}, 1);
    mock_kafka_produce_control(bench->kafka, 0, "a hit"); /* with a value it is a hit, whatever its headers */
    wait_until(bench, member->message_count == 1);
    assert_string_equal(member->last_value, "a hit");
    assert_int_equal(member->control_count, 0);
    mock_kafka_produce_control(bench->kafka, 0, NULL);
    wait_until(bench, member->message_count == 2);
    assert_string_equal(member->last_value, "none");
    assert_string_equal(member->last_control, "{}"); /* the header's bytes */
    assert_int_equal(member->control_count, 1);
    mock_kafka_produce(bench->kafka, 0, NULL);
    wait_until(bench, member->message_count == 3);
    assert_int_equal(member->control_count, 1);
}

static void an_offset_out_of_range_is_a_fault(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    produce_many(bench, 2, 3);
    feed_read_at(member->feed, (struct feed_position[]){{2, 1000}}, 1);
    wait_until(bench, member->fault_count == 1);
    assert_non_null(strstr(member->fault, "2 0-3 ")); /* with what there is */
    assert_int_equal(member->message_count, 0);
}

/* As of a topic that has just been made anew: it has no leaders yet. */
static void a_fault_waits_for_an_answer_that_says_something(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    produce_many(bench, 2, 3);
    rd_kafka_mock_push_request_errors(mock_kafka_cluster(bench->kafka), LIST_OFFSETS_REQUEST, 2,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    feed_read_at(member->feed, (struct feed_position[]){{2, 1000}}, 1);
    wait_until(bench, feed_has_faults(member->feed));
    for (int64_t end = mono_now().ms + DEADLINE_MS; mono_now().ms < end && member->fault_count == 0;) {
        feed_ask_ends(member->feed); /* as the aggregator does now and then */
        turn(bench);
    }
    assert_non_null(strstr(member->fault, "2 0-3 "));
    assert_false(feed_has_faults(member->feed));
}

static void a_second_member_takes_its_share_and_gives_it_back(void **state)
{
    struct bench *bench = *state;
    struct member *first = &bench->members[0];
    struct member *second = &bench->members[1];
    mock_kafka_hasten(bench->settings);
    start(bench, 0);
    wait_until(bench, first->is_assigned);
    start(bench, 1);
    wait_until(bench, second->is_assigned && first->revoked_count > 0 &&
                          first->partition_count + second->partition_count == PARTITIONS);
    assert_true(first->partition_count > 0 && second->partition_count > 0);
    feed_stop(&second->feed);
    wait_until(bench, first->is_assigned && first->partition_count == PARTITIONS);
}

static void a_fatal_client_is_replaced(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    mock_kafka_hasten(bench->settings);
    start(bench, 0);
    wait_until(bench, member->is_assigned);
    rd_kafka_mock_push_request_errors(mock_kafka_cluster(bench->kafka), HEARTBEAT_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    wait_until(bench, member->revoked_count == 1);
    wait_until(bench, member->is_assigned);
    produce_many(bench, 0, 3);
    feed_read_at(member->feed, (struct feed_position[]){{0, -2}}, 1);
    wait_until(bench, member->message_count == 3);
}

static void brokers_that_come_back_are_noticed(void **state)
{
    struct bench *bench = *state;
    struct member *member = &bench->members[0];
    feed_read_at(member->feed, (struct feed_position[]){{0, -2}}, 1);
    rd_kafka_mock_broker_set_down(mock_kafka_cluster(bench->kafka), 1);
    wait_until(bench, !feed_is_connected(member->feed));
    rd_kafka_mock_broker_set_up(mock_kafka_cluster(bench->kafka), 1);
    wait_until(bench, feed_is_connected(member->feed));
    produce_many(bench, 0, 3);
    wait_until(bench, member->message_count == 3);
}

static void a_topic_that_is_not_there_is_waited_for(void **state)
{
    struct bench *bench = *state;
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(bench->kafka), TOPIC,
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    start(bench, 0);
    wait_until(bench, !feed_is_connected(bench->members[0].feed));
    assert_false(bench->members[0].is_ready);
    rd_kafka_mock_topic_set_error(mock_kafka_cluster(bench->kafka), TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_until(bench, bench->members[0].is_assigned);
}

static void a_topic_with_too_many_partitions_is_not_read(void **state)
{
    struct bench *bench = *state;
    bench->options.topic = "wide";
    rd_kafka_mock_topic_create(mock_kafka_cluster(bench->kafka), "wide", PARTITIONS_MAX + 1, 1);
    start(bench, 0);
    wait_until(bench, !feed_is_connected(bench->members[0].feed) || bench->members[0].is_ready);
    assert_false(bench->members[0].is_ready);
}

static void what_must_not_be_changed_is_refused(void **state)
{
    struct bench *bench = *state;
    struct why why;
    assert_int_equal(settings_set(bench->settings, "rdkafka.enable.auto.commit=true", &why), STATUS_OK);
    assert_null(feed_start(&bench->loop, &bench->options, &events, &bench->members[0], &why));
    assert_non_null(strstr(why.text, "enable.auto.commit"));
}

#define TEST(name)          cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ASSIGNED_TEST(name) cmocka_unit_test_setup_teardown(name, take_assigned, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASSIGNED_TEST(the_cluster_is_told_before_the_first_assignment),
        ASSIGNED_TEST(nothing_is_read_before_it_is_asked_for),
        ASSIGNED_TEST(reading_begins_at_the_given_offsets_and_tells_the_end),
        ASSIGNED_TEST(another_list_replaces_the_first),
        ASSIGNED_TEST(values_and_control_records_are_told_apart),
        ASSIGNED_TEST(an_offset_out_of_range_is_a_fault),
        ASSIGNED_TEST(a_fault_waits_for_an_answer_that_says_something),
        TEST(a_second_member_takes_its_share_and_gives_it_back),
        TEST(a_fatal_client_is_replaced),
        ASSIGNED_TEST(brokers_that_come_back_are_noticed),
        TEST(a_topic_that_is_not_there_is_waited_for),
        TEST(a_topic_with_too_many_partitions_is_not_read),
        TEST(what_must_not_be_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, assign_all, NULL);
}
