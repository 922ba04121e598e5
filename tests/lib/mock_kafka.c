/* SPDX-License-Identifier: Apache-2.0
 * mock_kafka: see the header. */
#include "tests/lib/mock_kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

enum { DELIVERY_DEADLINE_MS = 60000 };

struct mock_kafka {
    const char *topic;
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
};

static void drop_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

struct mock_kafka *mock_kafka_start(const char *topic, int partition_count)
{
    struct mock_kafka *kafka = must_calloc(1, sizeof *kafka);
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    MUST(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", reason, sizeof reason) == RD_KAFKA_CONF_OK);
    MUST(rd_kafka_conf_set(conf, "linger.ms", "0", reason, sizeof reason) == RD_KAFKA_CONF_OK);
    rd_kafka_conf_set_log_cb(conf, drop_log);
    kafka->topic = topic;
    kafka->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    MUST(kafka->producer != NULL);
    kafka->cluster = rd_kafka_handle_mock_cluster(kafka->producer);
    mock_kafka_add_topic(kafka, topic, partition_count);
    return kafka;
}

void mock_kafka_add_topic(struct mock_kafka *kafka, const char *topic, int partition_count)
{
    MUST(rd_kafka_mock_topic_create(kafka->cluster, topic, partition_count, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void mock_kafka_stop(struct mock_kafka **kafka)
{
    rd_kafka_destroy((*kafka)->producer);
    free(*kafka);
    *kafka = NULL;
}

const char *mock_kafka_brokers(const struct mock_kafka *kafka)
{
    return rd_kafka_mock_cluster_bootstraps(kafka->cluster);
}

struct rd_kafka_mock_cluster_s *mock_kafka_cluster(const struct mock_kafka *kafka)
{
    return kafka->cluster;
}

static void set(struct settings *settings, const char *assignment)
{
    struct why why;
    MUST(settings_set(settings, assignment, &why) == STATUS_OK);
}

void mock_kafka_hasten(struct settings *settings)
{
    set(settings, "rdkafka.session.timeout.ms=3000");
    set(settings, "rdkafka.heartbeat.interval.ms=500");
}

static void produce(struct mock_kafka *kafka, int partition, const char *value, const char *header)
{
    size_t len = value != NULL ? strlen(value) : 0;
    rd_kafka_resp_err_t error =
        rd_kafka_producev(kafka->producer, RD_KAFKA_V_TOPIC(kafka->topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_VALUE((char *)value, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_HEADER(header, "{}", 2), RD_KAFKA_V_END);
    MUST(error == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void mock_kafka_produce(struct mock_kafka *kafka, int partition, const char *value)
{
    produce(kafka, partition, value, "traceparent");
}

void mock_kafka_produce_control(struct mock_kafka *kafka, int partition, const char *value)
{
    produce(kafka, partition, value, "footfall-control");
}

void mock_kafka_flush(struct mock_kafka *kafka)
{
    MUST(rd_kafka_flush(kafka->producer, DELIVERY_DEADLINE_MS) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* ---- Reading ---- */

static rd_kafka_t *start_reader(struct mock_kafka *kafka)
{
    char reason[256];
    const char *const properties[][2] = {{"group.id", "mock_kafka"},
                                         {"bootstrap.servers", mock_kafka_brokers(kafka)},
                                         {"enable.partition.eof", "true"},
                                         {"enable.auto.commit", "false"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        MUST(rd_kafka_conf_set(conf, properties[i][0], properties[i][1], reason, sizeof reason) ==
             RD_KAFKA_CONF_OK);
    rd_kafka_conf_set_log_cb(conf, drop_log);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    MUST(reader != NULL);
    return reader;
}

static void read_from_the_beginning(rd_kafka_t *reader, const char *topic, int partition_count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partition_count);
    for (int i = 0; i < partition_count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    MUST(rd_kafka_assign(reader, list) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

size_t mock_kafka_read(struct mock_kafka *kafka, const char *topic, int partition_count,
                       mock_kafka_take_fn *take, void *context)
{
    size_t count = 0;
    rd_kafka_t *reader = start_reader(kafka);
    read_from_the_beginning(reader, topic, partition_count);
    for (int ended = 0; ended < partition_count;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, DELIVERY_DEADLINE_MS);
        MUST(message != NULL);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ended++;
        } else {
            MUST(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
            take(context, message->partition, (slice){message->key, message->key_len},
                 (slice){message->payload, message->len});
            count++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return count;
}
