/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/kafka: which properties are set, which may not be changed, and that a queue wakes its owner.
 */
#include "proto/kafka.h"

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

static const struct kafka_property ours[] = {
    {"enable.idempotence", "true", true},
    {"acks", "all", true},
    {"linger.ms", "1", false},
};

/* Section [rdkafka] with one line, or empty. */
static rd_kafka_conf_t *conf_with(const char *assignment, struct why *why)
{
    struct settings *settings = settings_new(NULL, 0, NULL, "rdkafka");
    if (assignment != NULL)
        assert_int_equal(settings_set(settings, assignment, why), STATUS_OK);
    rd_kafka_conf_t *conf = kafka_conf_new("127.0.0.1:1", ours, sizeof ours / sizeof ours[0], settings, why);
    settings_free(&settings);
    return conf;
}

static void assert_value(rd_kafka_conf_t *conf, const char *name, const char *expected)
{
    char value[256];
    size_t len = sizeof value;
    assert_int_equal(rd_kafka_conf_get(conf, name, value, &len), RD_KAFKA_CONF_OK);
    assert_string_equal(value, expected);
}

static void defaults_then_ours_then_the_settings(void **state)
{
    (void)state;
    struct why why;
    rd_kafka_conf_t *conf = conf_with(NULL, &why);
    assert_value(conf, "bootstrap.servers", "127.0.0.1:1");
    assert_value(conf, "allow.auto.create.topics", "false");
    assert_value(conf, "socket.nagle.disable", "true");
    assert_value(conf, "acks", "-1");
    assert_value(conf, "linger.ms", "1");
    rd_kafka_conf_destroy(conf);
    conf = conf_with("rdkafka.linger.ms=20", &why);
    assert_value(conf, "linger.ms", "20");
    rd_kafka_conf_destroy(conf);
}

static void what_may_not_be_changed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *assignment, *named;
    } cases[] = {
        {"rdkafka.enable.idempotence=false", "rdkafka.enable.idempotence"},
        {"rdkafka.acks=1", "rdkafka.acks"},
        {"rdkafka.request.required.acks=1", "rdkafka.request.required.acks"}, /* another name of the same */
        {"rdkafka.allow.auto.create.topics=true", "rdkafka.allow.auto.create.topics"},
        {"rdkafka.log.queue=false", "rdkafka.log.queue"},
        {"rdkafka.bootstrap.servers=192.0.2.1", "set kafka.brokers instead"},
        {"rdkafka.metadata.broker.list=192.0.2.1", "set kafka.brokers instead"},
        {"rdkafka.no.such.property=1", "rdkafka.no.such.property"},
        {"rdkafka.linger.ms=-7", "rdkafka.linger.ms"},
        {"rdkafka.linger.ms=soon", "rdkafka.linger.ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct why why = {.text = ""};
        assert_null(conf_with(cases[i].assignment, &why));
        assert_non_null(strstr(why.text, cases[i].named));
    }
}

static void saying_a_fixed_value_again_is_no_change(void **state)
{
    (void)state;
    struct why why;
    rd_kafka_conf_t *conf = conf_with("rdkafka.request.required.acks=-1", &why);
    assert_non_null(conf);
    rd_kafka_conf_destroy(conf);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1;
}

static size_t drain(rd_kafka_queue_t *queue)
{
    size_t count = 0;
    for (rd_kafka_event_t *event; (event = rd_kafka_queue_poll(queue, 0)) != NULL; count++)
        rd_kafka_event_destroy(event);
    return count;
}

/* A report for the queue, without any broker: a message for a topic that nobody knows, and thrown away. */
static void make_report(rd_kafka_t *handle)
{
    assert_int_equal(
        rd_kafka_producev(handle, RD_KAFKA_V_TOPIC("hits"), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void a_queue_wakes_its_owner_each_time(void **state)
{
    (void)state;
    struct why why;
    rd_kafka_conf_t *conf = conf_with(NULL, &why);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.text, sizeof why.text);
    assert_non_null(handle);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(handle);
    int fd = kafka_wake_open(queue);
    assert_true(is_readable(fd, 0)); /* at first, for what may be there already */
    kafka_wake_clear(fd);
    drain(queue);
    for (int wake_count = 0; wake_count < 3; wake_count++) {
        make_report(handle);
        for (size_t count = 0; count == 0; count = drain(queue)) {
            assert_true(is_readable(fd, DEADLINE_MS));
            kafka_wake_clear(fd);
        }
    }
    kafka_wake_close(queue, fd);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
}

static void clearing_what_is_clear_does_not_block(void **state)
{
    (void)state;
    struct why why;
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why.text, sizeof why.text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    int fd = kafka_wake_open(queue);
    kafka_wake_clear(fd);
    kafka_wake_clear(fd);
    assert_false(is_readable(fd, 0));
    kafka_wake_close(queue, fd);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_then_ours_then_the_settings),
        cmocka_unit_test(what_may_not_be_changed_is_refused),
        cmocka_unit_test(saying_a_fixed_value_again_is_no_change),
        cmocka_unit_test(a_queue_wakes_its_owner_each_time),
        cmocka_unit_test(clearing_what_is_clear_does_not_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
