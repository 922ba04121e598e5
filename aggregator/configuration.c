/* SPDX-License-Identifier: Apache-2.0
 * configuration: see the header. */
#include "aggregator/configuration.h"

#include <string.h>

#include "aggregator/fetcher.h"

#define SECOND_MS INT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)

#define VALUE(name) .offset = offsetof(struct configuration, name)

const struct setting_row configuration_rows[] = {
    {"kafka", "brokers", SETTING_TEXT, VALUE(kafka_brokers), .fallback = "127.0.0.1:9092",
     .help = "Bootstrap list of the Kafka cluster, host:port, comma separated."},
    {"kafka", "topic", SETTING_TEXT, VALUE(kafka_topic), .fallback = "hits", .max = 249,
     .help = "Topic of the hits."},
    {"kafka", "group", SETTING_TEXT, VALUE(kafka_group), .fallback = "", .max = 200,
     .help =
         "Consumer group; empty: footfall- and an id that is kept in the database, so that two deployments"
         " never share one."},
    {"kafka", "instance", SETTING_TEXT, VALUE(kafka_instance), .fallback = "", .max = 200,
     .help = "Name of this process as a static member of the group, unique in it; empty: a dynamic member."},
    {"postgres", "conninfo", SETTING_SECRET, VALUE(postgres_conninfo), .fallback = "dbname=footfall",
     .help = "How to reach Postgres: a libpq connection string or URI."},
    {"postgres", "owner_conninfo", SETTING_SECRET, VALUE(postgres_owner_conninfo), .fallback = "",
     .help = "The same for the role that owns the tables and applies migrations; empty: postgres.conninfo."},
    {"postgres", "synchronous_commit", SETTING_CHOICE, VALUE(postgres_synchronous_commit), .fallback = "on",
     .choices = "on|off",
     .help =
         "off: batches do not wait for Postgres' disk. A crash of its server takes the last ones back, and"
         " they are read again from Kafka."},
    {"events", "max_age", SETTING_DURATION, VALUE(events_max_age_ms), .fallback = "730d", .min = HOUR_MS,
     .max = 36500 * DAY_MS,
     .help = "A hit whose time lies further back than this, seen from when Kafka got it, is rejected."},
    {"retention", "days", SETTING_INT, VALUE(retention_days), .fallback = "0", .min = 0, .max = 36500,
     .help =
         "Hits, stored sessions and rejects that are so many days old go, with the end of their day (UTC);"
         " rollups stay. 0: all is kept."},
    {"sessions", "gap", SETTING_DURATION, VALUE(sessions_gap_ms), .fallback = "5min", .min = SECOND_MS,
     .max = DAY_MS,
     .help = "Hits of one visitor and host that are at most so far apart are one session. Must never change"
             " for a database that holds sessions."},
    {"sessions", "lateness", SETTING_DURATION, VALUE(sessions_lateness_ms), .fallback = "15s", .min = 0,
     .max = HOUR_MS,
     .help = "A session is stored so long after its end; a hit that is later amends the stored row."},
    {"sessions", "max_open", SETTING_INT, VALUE(sessions_max_open), .fallback = "1000000", .min = 1000,
     .max = 100000000,
     .help = "Open sessions in memory, for each partition; beyond it the oldest are stored early."},
    {"enriched", "topic", SETTING_TEXT, VALUE(enriched_topic), .fallback = "", .max = 249,
     .help = "Topic that gets each hit with its place, for others to read, before the hit is stored; empty: "
             "none."},
    {"geo", "databases", SETTING_LIST, VALUE(geo_databases), .fallback = "",
     .help = "MMDB files with places of addresses, tried in order; read again when they are replaced, and on "
             "SIGHUP."},
    {"ip2location", "url", SETTING_TEXT, VALUE(ip2location_url), .fallback = "https://api.ip2location.io/",
     .min = 1, .max = 1000,
     .help = "Service that is asked where an address is: https, unless it is on this host."},
    {"ip2location", "enabled", SETTING_CHOICE, VALUE(ip2location_enabled), .fallback = "auto",
     .choices = "auto|true|false",
     .help = "Whether it is asked; auto: when there is a key. Without a key it allows 1,000 requests a day."},
    {"ip2location", "key", SETTING_SECRET, VALUE(ip2location_key), .fallback = "",
     .help = "Key of the service; better kept in a file."},
    {"ip2location", "key_file", SETTING_TEXT, VALUE(ip2location_key_file), .fallback = "",
     .help = "File whose first line is the key; read again on SIGHUP."},
    {"ip2location", "key_in", SETTING_CHOICE, VALUE(ip2location_key_in), .fallback = "query",
     .choices = "query|header",
     .help = "How the key is sent: as part of the URL, or as Authorization: Bearer."},
    {"ip2location", "bulk", SETTING_BOOL, VALUE(ip2location_bulk), .fallback = "false",
     .help = "Whether it is asked of many addresses in one request, each of them a call; paid plans only."},
    {"ip2location", "bulk_url", SETTING_TEXT, VALUE(ip2location_bulk_url),
     .fallback = "https://bulk.ip2location.io/", .min = 1, .max = 1000,
     .help = "Service that is then asked instead of ip2location.url."},
    {"ip2location", "ca_file", SETTING_TEXT, VALUE(ip2location_ca_file), .fallback = "",
     .help = "PEM file of the authorities that its certificate may come from; empty: those of the system."},
    {"ip2location", "daily_budget", SETTING_INT, VALUE(ip2location_daily_budget), .fallback = "1000",
     .min = 1, .max = 1000000000,
     .help = "Requests a day (UTC), of all aggregators on this database together."},
    {"ip2location", "monthly_budget", SETTING_INT, VALUE(ip2location_monthly_budget), .fallback = "50000",
     .min = 1, .max = 1000000000, .help = "The same for a month; a free key allows 50,000."},
    {"ip2location", "keep", SETTING_DURATION, VALUE(ip2location_keep_ms), .fallback = "7d", .min = SECOND_MS,
     .max = 3650 * DAY_MS, .help = "An address is not asked of again for so long."},
    {"ip2location", "ipv6_prefix", SETTING_INT, VALUE(ip2location_ipv6_prefix), .fallback = "64", .min = 32,
     .max = 128,
     .help = "IPv6 addresses are told apart, and given to the service, by so many of their first bits."},
    {"admin", "listen", SETTING_LISTEN, VALUE(admin_listen), .fallback = "127.0.0.1:7121",
     .help = "Where /healthz, /readyz and /metrics are answered; empty: nowhere."},
    {"log", "level", SETTING_CHOICE, VALUE(log_level), .fallback = "info",
     .choices = "debug|info|warning|error", .help = "Lines below this level are not written."},
};
const size_t configuration_row_count = sizeof configuration_rows / sizeof configuration_rows[0];

/* Hits and sessions must be there for as long as hits in order may come that belong with them. */
static enum status check_retention(const struct configuration *configuration, struct why *why)
{
    int64_t needed_ms = DAY_MS + configuration->sessions_gap_ms + configuration->sessions_lateness_ms;
    int64_t needed_days = (needed_ms + DAY_MS - 1) / DAY_MS;
    if (configuration->retention_days == 0 || configuration->retention_days >= needed_days)
        return STATUS_OK;
    return why_say(
        why, STATUS_RANGE,
        "retention.days = %lld would drop sessions that still grow: a page may send a hit a day late,"
        " and with sessions.gap and sessions.lateness that needs %lld days; set it to %lld or more,"
        " or to 0 to keep all",
        (long long)configuration->retention_days, (long long)needed_days, (long long)needed_days);
}

enum status configuration_check(const void *values, struct why *why)
{
    const struct configuration *configuration = values;
    if (configuration->kafka_brokers[0] == '\0')
        return why_say(why, STATUS_MISSING, "kafka.brokers is empty: name at least one broker, host:port");
    if (configuration->kafka_topic[0] == '\0')
        return why_say(why, STATUS_MISSING, "kafka.topic is empty");
    if (strcmp(configuration->enriched_topic, configuration->kafka_topic) == 0)
        return why_say(
            why, STATUS_CONFLICT,
            "enriched.topic = %s is kafka.topic, too: what is published would be read again; name another",
            configuration->enriched_topic);
    enum status status = check_retention(configuration, why);
    if (status == STATUS_OK)
        status = fetcher_check("ip2location.url", configuration->ip2location_url, why);
    if (status != STATUS_OK)
        return status;
    return fetcher_check("ip2location.bulk_url", configuration->ip2location_bulk_url, why);
}
