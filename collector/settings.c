/* SPDX-License-Identifier: Apache-2.0
 * settings: see the header. */
#include "collector/settings.h"

#include <string.h>

#include "collector/client.h"
#include "collector/sites.h"
#include "proto/partition.h"

#define KIB              INT64_C(1024)
#define MIB              (1024 * KIB)
#define GIB              (1024 * MIB)
#define MAX_SITES_BYTES  (4 * MIB)
#define MAX_SECONDS(n)   (INT64_C(1000) * (n))
#define VALUE(member)    offsetof(struct collector_settings, member)
#define LIMIT(member)    offsetof(struct collector_settings, http_limits.member)
#define NO_RANGE         0, 0, NULL
#define RANGE_OF(lo, hi) (lo), (hi), NULL

const struct setting_row collector_setting_rows[] = {
    {"http", "listen", SETTING_LISTEN, VALUE(http_listen), "127.0.0.1:7110", NO_RANGE,
     "Where pages post their hits; a front proxy with TLS stands before it."},
    {"http", "prefix", SETTING_TEXT, VALUE(http_prefix), "", RANGE_OF(0, 128),
     "Path before all routes, such as /stats, so that a site can serve them under its own name."},
    {"http", "reuse_port", SETTING_BOOL, VALUE(http_reuse_port), "false", NO_RANGE,
     "Lets several collectors on one machine share http.listen."},
    {"http", "trusted_proxies", SETTING_LIST, VALUE(http_trusted_proxies), "", NO_RANGE,
     "Addresses and ranges whose X-Forwarded-For is believed, such as 127.0.0.1, 10.0.0.0/8."},
    {"http", "max_connections", SETTING_INT, LIMIT(max_connections), "10000", RANGE_OF(1, 1000000),
     "Connections at one time; more are closed at once."},
    {"http", "max_connections_per_address", SETTING_INT, LIMIT(max_connections_per_address), "256",
     RANGE_OF(1, 1000000), "Connections of one address (IPv6: one /64); trusted proxies are exempt."},
    {"http", "max_head", SETTING_SIZE, LIMIT(max_head_bytes), "8KiB", RANGE_OF(1 * KIB, 64 * KIB),
     "Longest request line and headers together: 431."},
    {"http", "max_url", SETTING_SIZE, LIMIT(max_url_bytes), "4KiB", RANGE_OF(256, 32 * KIB),
     "Longest URL of a request: 414."},
    {"http", "max_body", SETTING_SIZE, LIMIT(max_body_bytes), "16KiB", RANGE_OF(1 * KIB, HTTP_MAX_BODY_BYTES),
     "Longest body: 413."},
    {"http", "head_deadline", SETTING_DURATION, LIMIT(head_deadline_ms), "5s", RANGE_OF(100, MAX_SECONDS(60)),
     "In which the headers must have come: 408."},
    {"http", "request_deadline", SETTING_DURATION, LIMIT(request_deadline_ms), "10s",
     RANGE_OF(100, MAX_SECONDS(120)), "In which headers and body must have come: 408."},
    {"http", "answer_deadline", SETTING_DURATION, LIMIT(answer_deadline_ms), "30s",
     RANGE_OF(MAX_SECONDS(21), MAX_SECONDS(300)),
     "Longest wait for an answer: 503; more than the 20 s that journal.ack = kafka may wait."},
    {"http", "stall_deadline", SETTING_DURATION, LIMIT(stall_ms), "5s", RANGE_OF(100, MAX_SECONDS(60)),
     "A peer that reads nothing of its replies so long is closed."},
    {"http", "idle_deadline", SETTING_DURATION, LIMIT(idle_ms), "15s", RANGE_OF(100, MAX_SECONDS(3600)),
     "A connection without a request so long is closed."},
    {"http", "max_requests", SETTING_INT, LIMIT(max_requests), "1000", RANGE_OF(1, 1000000000),
     "Requests on one connection; then it is closed politely."},
    {"http", "max_life", SETTING_DURATION, LIMIT(max_life_ms), "5min", RANGE_OF(100, MAX_SECONDS(86400)),
     "A connection older than this is closed politely."},
    {"http", "max_memory", SETTING_SIZE, LIMIT(max_memory_bytes), "1GiB", RANGE_OF(16 * MIB, 64 * GIB),
     "Start is refused when the limits above could take more than this."},
    {"mirror", "listen", SETTING_LISTEN, VALUE(mirror_listen), "", NO_RANGE,
     "Unix socket for a web server's mirrored requests (unix:/run/footfall/mirror.sock); empty: off."},
    {"admin", "listen", SETTING_LISTEN, VALUE(admin_listen), "127.0.0.1:7111", NO_RANGE,
     "For operators: /healthz, /readyz, /metrics; empty: off."},
    {"sites", "hosts", SETTING_LIST, VALUE(sites_hosts), "", RANGE_OF(0, MAX_SITES_BYTES),
     "Hosts whose page views are taken: example.com, *.example.org; read again on SIGHUP."},
    {"kafka", "brokers", SETTING_LIST, VALUE(kafka_brokers), "127.0.0.1:9092", NO_RANGE,
     "Brokers to begin with, host:port."},
    {"kafka", "topic", SETTING_TEXT, VALUE(kafka_topic), "hits", RANGE_OF(0, 249),
     "Topic the hits go to; it must exist."},
    {"kafka", "partitions", SETTING_INT, VALUE(kafka_partitions), "12", RANGE_OF(1, PARTITIONS_MAX),
     "Partitions the topic has; a difference stops publishing."},
    {"journal", "directory", SETTING_TEXT, VALUE(journal_directory), "/var/lib/footfall/journal", NO_RANGE,
     "Where the journal lives: an absolute path."},
    {"journal", "ack", SETTING_CHOICE, VALUE(journal_ack), "disk", 0, 0, "disk|os|memory|kafka",
     "When a hit is answered 204: disk, when it is safe on this disk; os, when it is written; memory, at "
     "once; kafka, when Kafka has confirmed it (mirrored requests: as disk)."},
    {"journal", "max_bytes", SETTING_SIZE, VALUE(journal_max_bytes), "8GiB",
     RANGE_OF(64 * MIB, 1024 * 1024 * GIB), "Most that the journal may take of the disk."},
    {"journal", "min_free_bytes", SETTING_SIZE, VALUE(journal_min_free_bytes), "1GiB",
     RANGE_OF(0, 1024 * 1024 * GIB), "What the journal leaves free on the disk."},
};
const size_t collector_setting_count = sizeof(collector_setting_rows) / sizeof(collector_setting_rows[0]);

static enum status check_prefix(const char *prefix, struct why *why)
{
    size_t len = strlen(prefix);
    if (len == 0 || (prefix[0] == '/' && prefix[len - 1] != '/' && strpbrk(prefix, "?# ") == NULL))
        return STATUS_OK;
    return why_say(why, STATUS_MALFORMED,
                   "http.prefix = %s: write a path such as /stats, with a / before it and none behind",
                   prefix);
}

static enum status check_listeners(const struct collector_settings *settings, struct why *why)
{
    if (settings->http_listen[0] == '\0')
        return why_say(why, STATUS_MISSING, "http.listen is empty: say where pages post their hits");
    if (settings->mirror_listen[0] != '\0' && strncmp(settings->mirror_listen, "unix:", 5) != 0)
        return why_say(why, STATUS_DENIED,
                       "mirror.listen = %s: what comes there is believed, so it must be a unix socket: "
                       "unix:/run/footfall/mirror.sock",
                       settings->mirror_listen);
    return STATUS_OK;
}

static enum status check_topic(const char *topic, struct why *why)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(topic);
    if (len == 0 || strspn(topic, good) != len)
        return why_say(why, STATUS_MALFORMED,
                       "kafka.topic = %s: a topic's name is made of letters, digits, '.', '_' and '-'",
                       topic);
    return STATUS_OK;
}

static enum status check_journal(const struct collector_settings *settings, struct why *why)
{
    if (settings->journal_directory[0] != '/')
        return why_say(why, STATUS_MALFORMED, "journal.directory = %s: write an absolute path",
                       settings->journal_directory);
    return STATUS_OK;
}

static enum status check_lists(const struct collector_settings *settings, struct why *why)
{
    ip_range ranges[COLLECTOR_MAX_TRUSTED];
    size_t count;
    struct sites *sites = sites_new(slice_of(settings->sites_hosts), why);
    if (!sites)
        return STATUS_MALFORMED;
    sites_free(&sites);
    return client_trust_read(slice_of(settings->http_trusted_proxies), ranges, COLLECTOR_MAX_TRUSTED, &count,
                             why);
}

enum status collector_settings_check(const void *values, struct why *why)
{
    const struct collector_settings *settings = values;
    enum status status = check_listeners(settings, why);
    if (status == STATUS_OK)
        status = check_prefix(settings->http_prefix, why);
    if (status == STATUS_OK)
        status = check_lists(settings, why);
    if (status == STATUS_OK && settings->kafka_brokers[0] == '\0')
        status = why_say(why, STATUS_MISSING, "kafka.brokers is empty: name brokers, host:port");
    if (status == STATUS_OK)
        status = check_topic(settings->kafka_topic, why);
    if (status == STATUS_OK)
        status = check_journal(settings, why);
    return status;
}
