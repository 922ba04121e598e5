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

static bool is_fixed(const struct kafka_property *properties, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (properties[i].fixed && strcmp(properties[i].name, name) == 0)
            return true;
    return false;
}

static bool set_passed(rd_kafka_conf_t *conf, const struct kafka_property *ours, size_t count,
                       const struct settings *settings, struct why *why)
{
    for (size_t i = 0; i < settings_passed_count(settings); i++) {
        struct setting_pair pair = settings_passed(settings, i);
        if (strcmp(pair.key, "bootstrap.servers") == 0 || strcmp(pair.key, "metadata.broker.list") == 0) {
            (void)why_say(why, STATUS_DENIED, "rdkafka.%s: set kafka.brokers instead", pair.key);
            return false;
        }
        if (is_fixed(ours, count, pair.key) || is_fixed(common, sizeof common / sizeof common[0], pair.key)) {
            (void)why_say(
                why, STATUS_DENIED,
                "rdkafka.%s = \"%s\" cannot be set: what Footfall promises depends on it; remove it",
                pair.key, pair.value);
            return false;
        }
        if (!set(conf, pair.key, pair.value, why))
            return false;
    }
    return true;
}

struct rd_kafka_conf_s *kafka_conf_new(const char *brokers, const struct kafka_property *ours, size_t count,
                                       const struct settings *settings, struct why *why)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set(conf, "bootstrap.servers", brokers, why) &&
        set_all(conf, common, sizeof common / sizeof common[0], why) && set_all(conf, ours, count, why) &&
        set_passed(conf, ours, count, settings, why))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

int kafka_wake_open(struct rd_kafka_queue_s *queue)
{
    static const uint64_t one =
        1; /* an eventfd takes 8 bytes and nothing else; librdkafka ignores the error */
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
