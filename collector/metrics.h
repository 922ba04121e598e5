/* SPDX-License-Identifier: Apache-2.0
 * metrics: the collector's counters and gauges, one table with their explanation.
 *
 * METRIC_x is the place of a value in struct metrics; plain integers owned by the loop thread. What the HTTP
 * servers, the journal and the publisher count is copied in when the metrics are written. */
#ifndef COLLECTOR_METRICS_H
#define COLLECTOR_METRICS_H

#include "base/metric.h"
#include "proto/hit.h"

struct http_counters;
struct journal_figures;
struct keeper_counters;
struct publisher_counters;

/* place, name (without prefix), label, kind, help */
#define METRICS_LIST(X)                                                                                      \
    X(HITS_BEACON, "hits_taken_total", "source=\"beacon\"", COUNTER, HELP_TAKEN)                             \
    X(HITS_PIXEL, "hits_taken_total", "source=\"pixel\"", COUNTER, HELP_TAKEN)                               \
    X(HITS_MIRROR, "hits_taken_total", "source=\"mirror\"", COUNTER, HELP_TAKEN)                             \
    X(HITS_DELIVERED, "hits_delivered_total", NULL, COUNTER, "Hits that Kafka has confirmed.")               \
    X(HITS_REFUSED, "hits_refused_by_kafka_total", NULL, COUNTER,                                            \
      "Hits that Kafka refused for good: kept in quarantine/refused of the journal.")                        \
    X(HITS_REPEATED, "hits_repeated_total", NULL, COUNTER, "Hits with an id that was there already.")        \
    X(MIRROR_PASSED_OVER, "mirror_passed_over_total", NULL, COUNTER,                                         \
      "Mirrored requests that are no page views: a method other than GET.")                                  \
    X(REFUSED_MALFORMED, "requests_refused_total", "reason=\"malformed\"", COUNTER, HELP_REFUSED)            \
    X(REFUSED_SITE, "requests_refused_total", "reason=\"site\"", COUNTER, HELP_REFUSED)                      \
    X(REFUSED_FULL, "requests_refused_total", "reason=\"full\"", COUNTER, HELP_REFUSED)                      \
    X(REFUSED_UNAVAILABLE, "requests_refused_total", "reason=\"unavailable\"", COUNTER, HELP_REFUSED)        \
    X(REFUSED_UNCONFIRMED, "requests_refused_total", "reason=\"unconfirmed\"", COUNTER, HELP_REFUSED)        \
    X(WAITING, "requests_waiting", NULL, GAUGE, "Requests that wait until their hits are safe.")             \
    X(IN_FLIGHT, "hits_in_flight", NULL, GAUGE, "Records handed to the Kafka client and not confirmed.")     \
    X(IN_FLIGHT_BYTES, "hits_in_flight_bytes", NULL, GAUGE, "Bytes of these records.")                       \
    X(IDS_REMEMBERED, "ids_remembered", NULL, GAUGE, "Ids in the window that finds repeats.")                \
    X(KAFKA_READY, "kafka_ready", NULL, GAUGE,                                                               \
      "1 when the topic was reached and is as the settings say; 0 again after minutes without a broker.")    \
    X(PRODUCERS, "kafka_producers_total", NULL, COUNTER,                                                     \
      "Producers made: 1 at start, one more after each failure.")                                            \
    X(JOURNAL_TAKES, "journal_takes_hits", NULL, GAUGE,                                                      \
      "1 while the journal has room and a file to write to; 0: hits are answered 503.")                      \
    X(JOURNAL_PENDING, "journal_pending", NULL, GAUGE, "Entries that Kafka has not confirmed.")              \
    X(JOURNAL_OLDEST, "journal_oldest_pending_seconds", NULL, GAUGE_SECONDS, "Age of the oldest of these.")  \
    X(JOURNAL_SEGMENTS, "journal_segments", NULL, GAUGE, "Segment files.")                                   \
    X(JOURNAL_BYTES, "journal_bytes", NULL, GAUGE, "Disk space of segments and quarantine.")                 \
    X(JOURNAL_ROOM, "journal_room_bytes", NULL, GAUGE, "Left until journal.max_bytes.")                      \
    X(JOURNAL_FULL_IN, "journal_full_in_seconds", NULL, GAUGE_SECONDS,                                       \
      "Until journal.max_bytes if Kafka took nothing, at the rate of about the last minute; a year at "      \
      "most.")                                                                                               \
    X(JOURNAL_APPENDED, "journal_appended_total", NULL, COUNTER, "Hits appended.")                           \
    X(JOURNAL_APPENDED_BYTES, "journal_appended_bytes_total", NULL, COUNTER, "Bytes of these.")              \
    X(JOURNAL_SYNCS, "journal_syncs_total", NULL, COUNTER, "fdatasync calls.")                               \
    X(JOURNAL_SYNC_TIME, "journal_sync_seconds_total", NULL, COUNTER_SECONDS, "Time they took.")             \
    X(JOURNAL_SYNC_LONGEST, "journal_sync_longest_seconds", NULL, GAUGE_SECONDS,                             \
      "The longest since the start.")                                                                        \
    X(JOURNAL_SYNC_ERRORS, "journal_sync_errors_total", NULL, COUNTER, "fdatasync calls that failed.")       \
    X(JOURNAL_WRITE_ERRORS, "journal_write_errors_total", NULL, COUNTER, "Writes that failed.")              \
    X(JOURNAL_RECOVERING, "journal_recovering", NULL, GAUGE,                                                 \
      "1 while segments of earlier starts are still being read.")                                            \
    X(JOURNAL_RECOVERED, "journal_recovered_total", NULL, COUNTER, "Entries of earlier starts found.")       \
    X(JOURNAL_TORN, "journal_torn_tails_total", NULL, COUNTER, "Segments whose end was cut off.")            \
    X(JOURNAL_DAMAGED, "journal_damaged_segments_total", NULL, COUNTER, "Segments with damage inside.")      \
    X(JOURNAL_MISSING, "journal_missing_segments_total", NULL, COUNTER, "Segments that were gone.")          \
    X(JOURNAL_SKIPPED, "journal_skipped_total", NULL, COUNTER, "Stream numbers announced as lost.")          \
    X(JOURNAL_UNANNOUNCED, "journal_unannounced_total", NULL, COUNTER,                                       \
      "Losses that could not be announced; they show as holes of their streams.")                            \
    X(JOURNAL_QUARANTINED, "journal_quarantined_total", NULL, COUNTER, "Damaged segments put aside.")        \
    X(SITES, "sites", NULL, GAUGE, "Entries of the allow-list of hosts.")                                    \
    X(CONNECTIONS_PUBLIC, "connections", "listener=\"public\"", GAUGE, HELP_CONNECTIONS)                     \
    X(CONNECTIONS_MIRROR, "connections", "listener=\"mirror\"", GAUGE, HELP_CONNECTIONS)                     \
    X(ACCEPTED_PUBLIC, "connections_total", "listener=\"public\"", COUNTER, HELP_ACCEPTED)                   \
    X(ACCEPTED_MIRROR, "connections_total", "listener=\"mirror\"", COUNTER, HELP_ACCEPTED)                   \
    X(OVER_PUBLIC, "connections_refused_total", "listener=\"public\"", COUNTER, HELP_OVER)                   \
    X(OVER_MIRROR, "connections_refused_total", "listener=\"mirror\"", COUNTER, HELP_OVER)                   \
    X(REQUESTS_PUBLIC, "requests_total", "listener=\"public\"", COUNTER, HELP_REQUESTS)                      \
    X(REQUESTS_MIRROR, "requests_total", "listener=\"mirror\"", COUNTER, HELP_REQUESTS)                      \
    X(REPLIES_2XX, "replies_total", "class=\"2xx\"", COUNTER, HELP_REPLIES)                                  \
    X(REPLIES_3XX, "replies_total", "class=\"3xx\"", COUNTER, HELP_REPLIES)                                  \
    X(REPLIES_4XX, "replies_total", "class=\"4xx\"", COUNTER, HELP_REPLIES)                                  \
    X(REPLIES_5XX, "replies_total", "class=\"5xx\"", COUNTER, HELP_REPLIES)                                  \
    X(MALFORMED_HTTP, "http_malformed_total", NULL, COUNTER, "Connections closed because of bad HTTP.")      \
    X(DEADLINES, "http_deadlines_total", NULL, COUNTER, "Requests that did not come whole in time: 408.")    \
    X(UNANSWERED, "http_unanswered_total", NULL, COUNTER, "Requests answered 503 at the answer deadline.")   \
    X(STALLED, "http_stalled_total", NULL, COUNTER, "Connections closed because replies were not read.")

enum metrics_place {
#define X(place, name, label, kind, help) METRIC_##place,
    METRICS_LIST(X)
#undef X
        METRICS_COUNT
};

struct metrics {
    int64_t values[METRICS_COUNT];
};

extern const struct metric_row metrics_rows[METRICS_COUNT];

void metrics_count_taken(struct metrics *metrics, enum hit_source source);
void metrics_take_journal(struct metrics *metrics, const struct journal_figures *figures,
                          const struct keeper_counters *keeper);
void metrics_take_publisher(struct metrics *metrics, const struct publisher_counters *publisher);
/* mirror: NULL when that listener is off. */
void metrics_take_http(struct metrics *metrics, const struct http_counters *public_listener,
                       const struct http_counters *mirror);

#endif
