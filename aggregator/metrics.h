/* SPDX-License-Identifier: Apache-2.0
 * metrics: what the aggregator counts: one table of names and help, one array of values.
 *
 * Counted by whoever decides (intake, aggregator), read by the admin listener. Loop thread only. */
#ifndef AGGREGATOR_METRICS_H
#define AGGREGATOR_METRICS_H

#include "base/metric.h"

/* id, name, label, kind, unit, help; rows of one name stand together. */
#define METRICS_LIST(X)                                                                                      \
    X(MESSAGES, "messages_total", NULL, COUNTER, PLAIN, "Kafka records taken, hits or not")                  \
    X(HITS, "hits_total", NULL, COUNTER, PLAIN, "Hits stored, each once")                                    \
    X(DUPLICATES, "duplicates_total", NULL, COUNTER, PLAIN, "Hits left out, stored before")                  \
    REJECTS(X, TOO_BIG, "too_big")                                                                           \
    REJECTS(X, NOT_JSON, "not_json")                                                                         \
    REJECTS(X, NO_IP, "no_ip")                                                                               \
    REJECTS(X, NO_HOST, "no_host")                                                                           \
    REJECTS(X, NO_URL, "no_url")                                                                             \
    REJECTS(X, NO_TIME, "no_time")                                                                           \
    REJECTS(X, BAD_FIELD, "bad_field")                                                                       \
    REJECTS(X, TOO_OLD, "too_old")                                                                           \
    REJECTS(X, AHEAD, "ahead")                                                                               \
    REJECTS(X, NO_VALUE, "no_value")                                                                         \
    REJECTS(X, BAD_CONTROL, "bad_control")                                                                   \
    REJECTS(X, REFUSED, "refused")                                                                           \
    X(SESSIONS_OPEN, "sessions_open", NULL, GAUGE, PLAIN, "Sessions in memory")                              \
    X(SESSIONS_CLOSED, "sessions_closed_total", NULL, COUNTER, PLAIN,                                        \
      "Rows of sessions stored; a late hit stores one again")                                                \
    X(SESSION_CHANGES, "session_changes_total", NULL, COUNTER, PLAIN, "Changes of open sessions stored")     \
    X(STRAYS, "strays_total", NULL, COUNTER, PLAIN,                                                          \
      "Parts of sessions read outside their home partition and handed over")                                 \
    X(SUMS, "rollup_sums_total", NULL, COUNTER, PLAIN, "Sums of hits appended for the rollups")              \
    X(SUMS_FOLDED, "rollup_sums_folded_total", NULL, COUNTER, PLAIN, "Those moved into the rollups' tables") \
    X(FOLD_FAILURES, "rollup_fold_failures_total", NULL, COUNTER, PLAIN, "Attempts at that which failed")    \
    X(DAYS_DROPPED, "retention_tables_dropped_total", NULL, COUNTER, PLAIN,                                  \
      "Days of processed_events dropped, since they are older than retention.days")                          \
    X(SESSIONS_DROPPED, "retention_sessions_dropped_total", NULL, COUNTER, PLAIN,                            \
      "Stored sessions deleted for the same reason")                                                         \
    X(REJECTS_DROPPED, "retention_rejects_dropped_total", NULL, COUNTER, PLAIN, "Rejects deleted so")        \
    X(RETENTION_FAILURES, "retention_failures_total", NULL, COUNTER, PLAIN,                                  \
      "Passes that left something that was due")                                                             \
    X(DAYS_DUE, "retention_tables_due", NULL, GAUGE, PLAIN,                                                  \
      "Days that were to be dropped and were still there when last looked at")                               \
    X(RETENTION_AGE, "retention_age_seconds", NULL, GAUGE, MS_AS_SECONDS,                                    \
      "Time since a pass left nothing, or since the start; 0: nothing is ever dropped")                      \
    X(HOLES, "stream_holes", NULL, GAUGE, PLAIN, "Numbers missing of streams that have ended")               \
    X(HOLED, "streams_with_holes", NULL, GAUGE, PLAIN, "Streams that have ended and lack numbers")           \
    X(BATCHES, "batches_total", NULL, COUNTER, PLAIN, "Transactions committed")                              \
    X(BATCH_TIME, "batch_seconds_total", NULL, COUNTER, MS_AS_SECONDS, "Time spent in them")                 \
    X(BATCH_AGE, "last_batch_age_seconds", NULL, GAUGE, MS_AS_SECONDS,                                       \
      "Time since the last one, or since the start")                                                         \
    X(RETRIES, "batch_failures_total", "outcome=\"retry\"", COUNTER, PLAIN,                                  \
      "Claims and transactions that failed, by what followed")                                               \
    X(FENCED, "batch_failures_total", "outcome=\"fenced\"", COUNTER, PLAIN, "")                              \
    X(BAD_DATA, "batch_failures_total", "outcome=\"bad_data\"", COUNTER, PLAIN, "")                          \
    X(HALTS, "batch_failures_total", "outcome=\"halt\"", COUNTER, PLAIN, "")                                 \
    X(ENRICHED, "enriched_messages_total", NULL, COUNTER, PLAIN,                                             \
      "Messages that enriched.topic has confirmed, doubles too")                                             \
    X(ENRICHED_FAILURES, "enriched_failures_total", NULL, COUNTER, PLAIN,                                    \
      "Batches given up and tried again, since it did not")                                                  \
    X(CLAIMS, "claims_total", NULL, COUNTER, PLAIN, "Partitions claimed in Postgres")                        \
    X(ASSIGNMENTS, "assignments_total", NULL, COUNTER, PLAIN, "Assignments by the consumer group")           \
    X(REVOCATIONS, "revocations_total", NULL, COUNTER, PLAIN, "Revocations by the consumer group")           \
    X(HELD, "partitions_held", NULL, GAUGE, PLAIN, "Partitions claimed now")                                 \
    X(WANTED, "partitions_unclaimed", NULL, GAUGE, PLAIN, "Partitions assigned and not claimed now")         \
    X(HALTED, "partitions_halted", NULL, GAUGE, PLAIN, "Partitions that wait for a person")                  \
    X(LAG, "lag_messages", NULL, GAUGE, PLAIN, "Records of our partitions that are not stored yet")          \
    PLACES(X, NONE, "none")                                                                                  \
    PLACES(X, PRIVATE, "private")                                                                            \
    PLACES(X, MMDB, "mmdb")                                                                                  \
    PLACES(X, API, "api")                                                                                    \
    X(DATABASES_BUILT, "geo_databases_built_timestamp_seconds", NULL, GAUGE, MS_AS_SECONDS,                  \
      "When the oldest file of geo.databases was built; 0: there is none")                                   \
    X(RELOADS, "geo_databases_reloads_total", "outcome=\"done\"", COUNTER, PLAIN,                            \
      "Times that they were read again")                                                                     \
    X(RELOADS_FAILED, "geo_databases_reloads_total", "outcome=\"failed\"", COUNTER, PLAIN, "")               \
    IP2LOCATION(X, PLACE, "place")                                                                           \
    IP2LOCATION(X, UNKNOWN, "unknown")                                                                       \
    IP2LOCATION(X, BAD_ADDRESS, "bad_address")                                                               \
    IP2LOCATION(X, REFUSED, "refused")                                                                       \
    IP2LOCATION(X, MISCONFIGURED, "misconfigured")                                                           \
    IP2LOCATION(X, BUSY, "busy")                                                                             \
    IP2LOCATION(X, FAILED, "failed")                                                                         \
    IP2LOCATION(X, MALFORMED, "malformed")                                                                   \
    IP2LOCATION(X, UNREACHED, "unreached")                                                                   \
    X(IP2LOCATION_TIME, "ip2location_request_seconds_total", NULL, COUNTER, MS_AS_SECONDS,                   \
      "Time until they were answered or given up")                                                           \
    X(IP2LOCATION_UNASKED, "ip2location_unasked_total", NULL, COUNTER, PLAIN,                                \
      "Addresses that the service could not be asked of; the MMDB answered")                                 \
    X(IP2LOCATION_UP, "ip2location_up", NULL, GAUGE, PLAIN,                                                  \
      "1 while the service is asked: it answers, takes the key, and the budget has calls left")              \
    X(KEY_RELOADS, "ip2location_key_reloads_total", "outcome=\"done\"", COUNTER, PLAIN,                      \
      "Times that the key was read again")                                                                   \
    X(KEY_RELOADS_FAILED, "ip2location_key_reloads_total", "outcome=\"failed\"", COUNTER, PLAIN, "")         \
    X(LOCATIONS_LOADED, "ip_locations_loaded_total", NULL, COUNTER, PLAIN,                                   \
      "Answers of the service that were found in footfall.ip_locations")                                     \
    X(LOCATIONS_STORED, "ip_locations_stored_total", NULL, COUNTER, PLAIN, "Answers kept there")             \
    X(LOCATIONS_CACHED, "ip_locations_cached", NULL, GAUGE, PLAIN,                                           \
      "Addresses in the memory cache of answers")                                                            \
    X(PLACE_WAITS, "place_wait_seconds_total", NULL, COUNTER, MS_AS_SECONDS,                                 \
      "Time that batches waited for the service")                                                            \
    X(KAFKA_UP, "kafka_up", NULL, GAUGE, PLAIN, "1 while a broker is reached")                               \
    X(POSTGRES_UP, "postgres_up", NULL, GAUGE, PLAIN, "1 while Postgres takes what we send")

#define REJECTS(X, id, reason)                                                                               \
    X(REJECTS_##id, "rejects_total", "reason=\"" reason "\"", COUNTER, PLAIN,                                \
      "Records that cannot be hits, kept in rejected_hits")
#define PLACES(X, id, source)                                                                                \
    X(PLACES_##id, "places_total", "source=\"" source "\"", COUNTER, PLAIN, "Addresses located, by who knew")

#define IP2LOCATION(X, id, outcome)                                                                          \
    X(IP2LOCATION_##id, "ip2location_requests_total", "outcome=\"" outcome "\"", COUNTER, PLAIN,             \
      "Addresses that ip2location.io was asked of, by what came of them")

enum metrics_id {
#define X(id, name, label, kind, unit, help) METRICS_##id,
    METRICS_LIST(X)
#undef X
        METRICS_COUNT
};

struct metrics {
    int64_t values[METRICS_COUNT];
};

void metrics_add(struct metrics *metrics, enum metrics_id id, int64_t value);
void metrics_set(struct metrics *metrics, enum metrics_id id, int64_t value);
/* Adds all of `from`, which then is zero. */
void metrics_move(struct metrics *metrics, struct metrics *from);
void metrics_write(const struct metrics *metrics, struct buf *out);

#endif
