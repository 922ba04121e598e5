/* SPDX-License-Identifier: Apache-2.0
 * topic: see the header. */
#include "aggregator/topic.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#include "base/clock.h"
#include "proto/kafka.h"
#include "proto/partition.h"

enum { ASK_TIMEOUT_MS = 1000 };

static void read_topic(struct topic_facts *facts, const char *name, const rd_kafka_metadata_topic_t *topic)
{
    if (topic->err || topic->partition_cnt == 0)
        snprintf(facts->reason, sizeof facts->reason, "kafka.topic %s: %s", name,
                 rd_kafka_err2str(topic->err ? topic->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
    else if (topic->partition_cnt > PARTITIONS_MAX)
        snprintf(facts->reason, sizeof facts->reason, "kafka.topic %s has %d partitions, more than %d", name,
                 topic->partition_cnt, PARTITIONS_MAX);
    else
        facts->partition_count = topic->partition_cnt;
}

void topic_ask(rd_kafka_t *handle, const char *topic, struct topic_facts *facts)
{
    *facts = (struct topic_facts){.partition_count = 0};
    rd_kafka_topic_t *asked = rd_kafka_topic_new(handle, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t error = rd_kafka_metadata(handle, 0, asked, &metadata, ASK_TIMEOUT_MS);
    char *id = error ? NULL : rd_kafka_clusterid(handle, ASK_TIMEOUT_MS);
    if (id == NULL)
        snprintf(facts->reason, sizeof facts->reason, "no broker of kafka.brokers answers: %s",
                 rd_kafka_err2str(error ? error : RD_KAFKA_RESP_ERR__TIMED_OUT));
    else if (metadata->topic_cnt == 1)
        read_topic(facts, topic, &metadata->topics[0]);
    snprintf(facts->cluster_id, sizeof facts->cluster_id, "%s", id ? id : "");
    rd_kafka_mem_free(handle, id);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(asked);
}

bool topic_ask_log(rd_kafka_t *handle, const char *topic, int partition, struct loss_log *log)
{
    return rd_kafka_query_watermark_offsets(handle, topic, partition, &log->first, &log->end,
                                            ASK_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- For commands ---- */

static rd_kafka_t *new_client(const struct topic_access *access, struct why *why)
{
    static const struct kafka_property ours[] = {{"client.id", "footfall-aggregator", false},
                                                 {"allow.auto.create.topics", "false", true}};
    rd_kafka_conf_t *conf = kafka_conf_new(access->brokers, ours, 2, access->settings, why);
    if (conf == NULL)
        return NULL;
    char reason[256];
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        why_say(why, STATUS_UNAVAILABLE, "cannot start the Kafka client: %s", reason);
    }
    return handle;
}

enum status topic_open(const struct topic_access *access, rd_kafka_t **handle, struct topic_facts *facts,
                       struct why *why)
{
    *handle = new_client(access, why);
    if (*handle == NULL)
        return STATUS_MALFORMED;
    int64_t until = mono_now().ms + TOPIC_OPEN_MS;
    do {
        topic_ask(*handle, access->topic, facts);
    } while (facts->partition_count == 0 && mono_now().ms < until);
    if (facts->partition_count > 0)
        return STATUS_OK;
    topic_close(handle);
    return why_say(why, STATUS_UNAVAILABLE, "%s", facts->reason);
}

void topic_close(rd_kafka_t **handle)
{
    if (*handle != NULL)
        rd_kafka_destroy(*handle);
    *handle = NULL;
}
