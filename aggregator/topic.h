/* SPDX-License-Identifier: Apache-2.0
 * topic: what the broker says of the topic: its cluster, its number of partitions, where their logs begin and
 * end.
 *
 * Every question blocks, for a second at most; feed_client asks on a thread of libuv's pool, `resume` on the
 * only one there is. librdkafka's handle may be shared by threads. */
#ifndef AGGREGATOR_TOPIC_H
#define AGGREGATOR_TOPIC_H

#include "aggregator/loss.h"
#include "base/settings.h"

struct rd_kafka_s;

enum { TOPIC_CLUSTER_ID_MAX = 127 };

struct topic_facts {
    char cluster_id[TOPIC_CLUSTER_ID_MAX + 1];
    int partition_count; /* 0: no answer; reason says why */
    char reason[400];    /* a topic's name has up to 249 bytes */
};

void topic_ask(struct rd_kafka_s *handle, const char *topic, struct topic_facts *facts);
/* False: no answer. */
bool topic_ask_log(struct rd_kafka_s *handle, const char *topic, int partition, struct loss_log *log);

/* How long the topic keeps its records, as its retention.ms says; -1: for ever. False: no answer, or no right to
 * ask (DescribeConfigs). */
bool topic_ask_retention(struct rd_kafka_s *handle, const char *topic, int64_t *retention_ms);

struct topic_access { /* all borrowed */
    const char *brokers;
    const char *topic;
    const struct settings *settings; /* for [rdkafka] */
};
/* A client of its own, for commands: tries for TOPIC_OPEN_MS until a broker answers. UNAVAILABLE: none did.
 * NULL handle unless OK; else for topic_close. */
enum { TOPIC_OPEN_MS = 15000 };
enum status topic_open(const struct topic_access *access, struct rd_kafka_s **handle,
                       struct topic_facts *facts, struct why *why) MUST_CHECK;
void topic_close(struct rd_kafka_s **handle); /* accepts NULL, leaves NULL */

#endif
