/* SPDX-License-Identifier: Apache-2.0
 * kafka: how both programs set up librdkafka: our defaults, then section [rdkafka] of the settings, checked
 * together.
 *
 * Gives a configuration that the publisher or the feed completes with its own callbacks. What must not be
 * changed (enable.idempotence, acks, enable.auto.commit, partition.assignment.strategy …) is refused with a
 * sentence. librdkafka's log lines and errors come out through our log by way of the client's event queue.
 * Start-up only; loop thread. */
#ifndef PROTO_KAFKA_H
#define PROTO_KAFKA_H

#include "base/log.h"
#include "base/settings.h"

struct rd_kafka_conf_s;
struct rd_kafka_s;
struct rd_kafka_queue_s;

struct kafka_property {
    const char *name;
    const char *value;
    bool fixed; /* may not be changed in [rdkafka], under any of its names */
};

/* brokers: bootstrap list. NULL and *why when a property is refused. The caller passes the result to
 * rd_kafka_new. */
struct rd_kafka_conf_s *kafka_conf_new(const char *brokers, const struct kafka_property *ours, size_t count,
                                       const struct settings *settings, struct why *why);

/* A descriptor that is readable at first and whenever the queue turns from empty to non-empty: watched by
 * uv_poll. On wake the owner reads it empty (kafka_wake_clear) and polls the queue until NULL. Closed with
 * kafka_wake_close, before the queue is destroyed. */
int kafka_wake_open(struct rd_kafka_queue_s *queue);
void kafka_wake_clear(int fd);
void kafka_wake_close(struct rd_kafka_queue_s *queue, int fd);

#endif
