/* SPDX-License-Identifier: Apache-2.0
 * metrics: the collector's counters and gauges, one table with their explanation.
 *
 * METRIC_x is the place of a value in struct metrics; plain integers owned by the loop thread. What the HTTP
 * servers count is copied in when the metrics are written. */
#ifndef COLLECTOR_METRICS_H
#define COLLECTOR_METRICS_H

#include "base/metric.h"
#include "proto/hit.h"

struct http_counters;

/* place, name (without prefix), label, kind, help */
#define METRICS_LIST(X)                                                                                      \
    X(HITS_BEACON, "hits_taken_total", "source=\"beacon\"", COUNTER, HELP_TAKEN)                             \
    X(HITS_PIXEL, "hits_taken_total", "source=\"pixel\"", COUNTER, HELP_TAKEN)                               \
    X(HITS_MIRROR, "hits_taken_total", "source=\"mirror\"", COUNTER, HELP_TAKEN)                             \
    X(HITS_DELIVERED, "hits_delivered_total", NULL, COUNTER, "Hits that Kafka has confirmed.")               \
    X(HITS_FAILED, "hits_failed_total", "answered=\"503\"", COUNTER, HELP_FAILED)                            \
    X(HITS_LOST, "hits_failed_total", "answered=\"204\"", COUNTER, HELP_FAILED)                              \
    X(HITS_REPEATED, "hits_repeated_total", NULL, COUNTER, "Hits with an id that was there already.")        \
    X(MIRROR_PASSED_OVER, "mirror_passed_over_total", NULL, COUNTER,                                         \
      "Mirrored requests that are no page views: a method other than GET.")                                  \
    X(REFUSED_MALFORMED, "requests_refused_total", "reason=\"malformed\"", COUNTER, HELP_REFUSED)            \
    X(REFUSED_SITE, "requests_refused_total", "reason=\"site\"", COUNTER, HELP_REFUSED)                      \
    X(REFUSED_FULL, "requests_refused_total", "reason=\"full\"", COUNTER, HELP_REFUSED)                      \
    X(REFUSED_UNAVAILABLE, "requests_refused_total", "reason=\"unavailable\"", COUNTER, HELP_REFUSED)        \
    X(IN_FLIGHT, "hits_in_flight", NULL, GAUGE,                                                              \
      "Hits on their way to Kafka, and repeats that wait for one.")                                          \
    X(IN_FLIGHT_BYTES, "hits_in_flight_bytes", NULL, GAUGE, "Bytes of the hits on their way to Kafka.")      \
    X(IDS_REMEMBERED, "ids_remembered", NULL, GAUGE, "Ids in the window that finds repeats.")                \
    X(KAFKA_READY, "kafka_ready", NULL, GAUGE, "1 when the topic was reached and is as the settings say.")   \
    X(PRODUCERS, "kafka_producers_total", NULL, COUNTER,                                                     \
      "Producers made: 1 at start, one more after each fatal error.")                                        \
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
/* mirror: NULL when that listener is off. */
void metrics_take_http(struct metrics *metrics, const struct http_counters *public_listener,
                       const struct http_counters *mirror);

#endif
