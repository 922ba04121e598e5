/* SPDX-License-Identifier: Apache-2.0
 * mock_kafka: librdkafka's mock cluster in this process, with one topic and a producer.
 *
 * One broker on loopback; consumer groups work: the first assignment takes three seconds, each later one a
 * second less than the session timeout. Any failure stops the program: a test that cannot produce is no test.
 * One thread. */
#ifndef TESTS_LIB_MOCK_KAFKA_H
#define TESTS_LIB_MOCK_KAFKA_H

#include "base/slice.h"

struct rd_kafka_mock_cluster_s;
struct settings;
struct mock_kafka;

struct mock_kafka *mock_kafka_start(const char *topic, int partition_count);
void mock_kafka_stop(struct mock_kafka **kafka);
const char *mock_kafka_brokers(const struct mock_kafka *kafka);
/* For errors, brokers that go down … */
struct rd_kafka_mock_cluster_s *mock_kafka_cluster(const struct mock_kafka *kafka);

/* For a client of these settings: a later assignment takes two seconds. One that is held up for longer than
 * that may lose its partitions for a while. */
void mock_kafka_hasten(struct settings *settings);

/* value NULL: a record without one. */
void mock_kafka_produce(struct mock_kafka *kafka, int partition, const char *value);
/* Its only header is footfall-control. */
void mock_kafka_produce_control(struct mock_kafka *kafka, int partition, const char *value);
/* Until all is delivered. */
void mock_kafka_flush(struct mock_kafka *kafka);

/* Another topic. */
void mock_kafka_add_topic(struct mock_kafka *kafka, const char *topic, int partition_count);
/* Gives every record that a topic of one broker has now; returns how many. */
typedef void mock_kafka_take_fn(void *context, int partition, slice key, slice value);
size_t mock_kafka_read(struct mock_kafka *kafka, const char *topic, int partition_count,
                       mock_kafka_take_fn *take, void *context);

#endif
