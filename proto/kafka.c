/* SPDX-License-Identifier: Apache-2.0
 * kafka: see the header. */
#include "proto/kafka.h"

#include <librdkafka/rdkafka.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What both programs want of librdkafka; reasons stand beside what is not plain. */
static const struct kafka_property common[] = {
    {"client.id", "footfall", false},
    {"allow.auto.create.topics", "false", true}, /* a typing error must not become a topic */
    {"topic.metadata.refresh.interval.ms", "30000", false},
    {"socket.keepalive.enable", "true", false},
    {"socket.nagle.disable", "true", false},
    {"reconnect.backoff.max.ms", "5000", false},
    {"log.connection.close", "false", false}, /* idle connections are closed by brokers all day */
    {"log.queue", "true", true},              /* log lines come out on the loop */
};

/* ours come after the common ones and may replace them. */
struct properties {
    const struct kafka_property *ours;
    size_t count;
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct why *why)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return true;
    (void)why_say(why, STATUS_MALFORMED, "rdkafka.%s: librdkafka refuses it: %s", name, reason);
    return false;
}

static bool set_all(rd_kafka_conf_t *conf, const struct kafka_property *properties, size_t count,
                    struct why *why)
{
    for (size_t i = 0; i < count; i++)
        if (!set(conf, properties[i].name, properties[i].value, why))
            return false;
    return true;
}

static bool deny(const struct setting_pair *pair, struct why *why)
{
    (void)why_say(why, STATUS_DENIED,
                  "rdkafka.%s = \"%s\" cannot be set: what Footfall promises depends on it; remove the line",
                  pair->key, pair->value);
    return false;
}

enum { MAX_VALUE = 4096 + 1 }; /* the longest text of the settings */

static bool is_same(rd_kafka_conf_t *a, rd_kafka_conf_t *b, const char *name)
{
    char of_a[MAX_VALUE], of_b[MAX_VALUE];
    size_t len_a = sizeof of_a, len_b = sizeof of_b;
    if (rd_kafka_conf_get(a, name, of_a, &len_a) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_get(b, name, of_b, &len_b) != RD_KAFKA_CONF_OK)
        return false;
    return strcmp(of_a, of_b) == 0;
}

/* Compared by value, since properties have other names too (acks is request.required.acks). */
static bool are_fixed_same(rd_kafka_conf_t *conf, rd_kafka_conf_t *before,
                           const struct kafka_property *properties, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (properties[i].fixed && !is_same(conf, before, properties[i].name))
            return false;
    return true;
}

/* before: the configuration without section [rdkafka]. */
static bool set_passed(rd_kafka_conf_t *conf, rd_kafka_conf_t *before, const struct properties *properties,
                       const struct settings *settings, struct why *why)
{
    for (size_t i = 0; i < settings_passed_count(settings); i++) {
        struct setting_pair pair = settings_passed(settings, i);
        if (!set(conf, pair.key, pair.value, why))
            return false;
        if (!is_same(conf, before, "bootstrap.servers")) {
            (void)why_say(why, STATUS_DENIED, "rdkafka.%s cannot be set: set kafka.brokers instead",
                          pair.key);
            return false;
        }
        if (!are_fixed_same(conf, before, common, sizeof common / sizeof common[0]) ||
            !are_fixed_same(conf, before, properties->ours, properties->count))
            return deny(&pair, why);
    }
    return true;
}

static bool set_ours(rd_kafka_conf_t *conf, const char *brokers, const struct properties *properties,
                     struct why *why)
{
    return set(conf, "bootstrap.servers", brokers, why) &&
           set_all(conf, common, sizeof common / sizeof common[0], why) &&
           set_all(conf, properties->ours, properties->count, why);
}

struct rd_kafka_conf_s *kafka_conf_new(const char *brokers, const struct kafka_property *ours, size_t count,
                                       const struct settings *settings, struct why *why)
{
    const struct properties properties = {ours, count};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool is_good = set_ours(conf, brokers, &properties, why);
    if (is_good) {
        rd_kafka_conf_t *before = rd_kafka_conf_dup(conf);
        is_good = set_passed(conf, before, &properties, settings, why);
        rd_kafka_conf_destroy(before);
    }
    if (is_good)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

int kafka_wake_open(struct rd_kafka_queue_s *queue)
{
    /* An eventfd takes 8 bytes and nothing else; librdkafka would not notice that the write fails. */
    static const uint64_t one = 1;
    /* Readable at first: what is in the queue already will never turn it from empty to non-empty. */
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    MUST(fd >= 0);
    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof one);
    return fd;
}

void kafka_wake_clear(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* EAGAIN: it was clear */
}

void kafka_wake_close(struct rd_kafka_queue_s *queue, int fd)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
    close(fd);
}
