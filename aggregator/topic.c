/* SPDX-License-Identifier: Apache-2.0
 * topic: see the header. */
#include "aggregator/topic.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/kafka.h"
#include "proto/partition.h"

enum { ASK_TIMEOUT_MS = 1000, RETENTION_TIMEOUT_MS = 5000 };

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

/* ---- How long it keeps records ---- */

static bool find_retention(const rd_kafka_DescribeConfigs_result_t *result, int64_t *retention_ms)
{
    size_t resource_count, entry_count;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(result, &resource_count);
    if (resource_count != 1 || rd_kafka_ConfigResource_error(resources[0]))
        return false;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms") == 0)
            return slice_to_int64(slice_of(rd_kafka_ConfigEntry_value(entries[i])), -1, INT64_MAX,
                                  retention_ms) == STATUS_OK;
    return false;
}

static void ask_config(rd_kafka_t *handle, const char *topic, rd_kafka_queue_t *answers)
{
    char reason[256];
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    MUST(!rd_kafka_AdminOptions_set_request_timeout(options, RETENTION_TIMEOUT_MS, reason, sizeof reason));
    rd_kafka_DescribeConfigs(handle, &asked, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(asked);
}

bool topic_ask_retention(rd_kafka_t *handle, const char *topic, int64_t *retention_ms)
{
    rd_kafka_queue_t *answers = rd_kafka_queue_new(handle);
    ask_config(handle, topic, answers);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(answers, 2 * RETENTION_TIMEOUT_MS);
    const rd_kafka_DescribeConfigs_result_t *result =
        answer != NULL ? rd_kafka_event_DescribeConfigs_result(answer) : NULL;
    bool is_found = result != NULL && !rd_kafka_event_error(answer) && find_retention(result, retention_ms);
    if (answer != NULL)
        rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(answers);
    return is_found;
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
