/* SPDX-License-Identifier: Apache-2.0
 * metrics: see the header. */
#include "collector/metrics.h"

#include "base/http/http.h"
#include "collector/keeper.h"
#include "collector/publisher.h"

/* Of names that stand more than once. */
#define HELP_TAKEN       "Hits taken into the journal."
#define HELP_REFUSED     "Requests with hits that were answered 4xx or 503."
#define HELP_CONNECTIONS "Connections open now."
#define HELP_ACCEPTED    "Connections accepted."
#define HELP_OVER        "Connections over a limit, closed at once."
#define HELP_REQUESTS    "Whole, well-formed requests."
#define HELP_REPLIES     "Replies of both listeners by status class."

#define KIND_COUNTER         METRIC_COUNTER, METRIC_PLAIN
#define KIND_COUNTER_SECONDS METRIC_COUNTER, METRIC_MS_AS_SECONDS
#define KIND_GAUGE           METRIC_GAUGE, METRIC_PLAIN
#define KIND_GAUGE_SECONDS   METRIC_GAUGE, METRIC_MS_AS_SECONDS

const struct metric_row metrics_rows[METRICS_COUNT] = {
#define X(place, name, label, kind, help)                                                                    \
    [METRIC_##place] = {"footfall_collector_" name, label, KIND_##kind, help},
    METRICS_LIST(X)
#undef X
};

void metrics_count_taken(struct metrics *metrics, enum hit_source source)
{
    static const enum metrics_place places[] = {
        [HIT_BEACON] = METRIC_HITS_BEACON,
        [HIT_PIXEL] = METRIC_HITS_PIXEL,
        [HIT_MIRROR] = METRIC_HITS_MIRROR,
    };
    MUST((size_t)source < sizeof(places) / sizeof(places[0]));
    metrics->values[places[source]]++;
}

void metrics_take_http(struct metrics *metrics, const struct http_counters *public_listener,
                       const struct http_counters *mirror)
{
    static const struct http_counters none;
    const struct http_counters *p = public_listener, *m = mirror ? mirror : &none;
    int64_t *values = metrics->values;
    values[METRIC_CONNECTIONS_PUBLIC] = p->connections_open;
    values[METRIC_CONNECTIONS_MIRROR] = m->connections_open;
    values[METRIC_ACCEPTED_PUBLIC] = p->connections_total;
    values[METRIC_ACCEPTED_MIRROR] = m->connections_total;
    values[METRIC_OVER_PUBLIC] = p->connections_refused_total;
    values[METRIC_OVER_MIRROR] = m->connections_refused_total;
    values[METRIC_REQUESTS_PUBLIC] = p->requests_total;
    values[METRIC_REQUESTS_MIRROR] = m->requests_total;
    for (int class = 2; class <= 5; class ++)
        values[METRIC_REPLIES_2XX + class - 2] = p->replies_total[class] + m->replies_total[class];
    values[METRIC_MALFORMED_HTTP] = p->rejected_total + m->rejected_total;
    values[METRIC_DEADLINES] = p->deadlines_total + m->deadlines_total;
    values[METRIC_UNANSWERED] = p->unanswered_total + m->unanswered_total;
    values[METRIC_STALLED] = p->stalled_total + m->stalled_total;
}

static int64_t full_in_ms(uint64_t room_bytes, int64_t bytes_a_second)
{
    const int64_t year_s = 365 * INT64_C(86400);
    int64_t seconds = bytes_a_second > 0 ? (int64_t)room_bytes / bytes_a_second : year_s;
    return 1000 * (seconds < year_s ? seconds : year_s);
}

void metrics_take_journal(struct metrics *metrics, const struct journal_figures *figures,
                          const struct keeper_counters *keeper)
{
    int64_t *values = metrics->values;
    values[METRIC_JOURNAL_TAKES] = figures->state == STATUS_OK;
    values[METRIC_JOURNAL_PENDING] = figures->pending;
    values[METRIC_JOURNAL_OLDEST] = figures->oldest_pending_ms;
    values[METRIC_JOURNAL_SEGMENTS] = figures->segments;
    values[METRIC_JOURNAL_BYTES] = (int64_t)figures->bytes;
    values[METRIC_JOURNAL_ROOM] = (int64_t)figures->room_bytes;
    values[METRIC_JOURNAL_FULL_IN] =
        figures->state == STATUS_FULL ? 0 : full_in_ms(figures->room_bytes, keeper->append_bytes_a_second);
    values[METRIC_JOURNAL_APPENDED] = figures->appended;
    values[METRIC_JOURNAL_APPENDED_BYTES] = (int64_t)figures->appended_bytes;
    values[METRIC_JOURNAL_SYNCS] = figures->syncs;
    values[METRIC_JOURNAL_SYNC_TIME] = keeper->sync_us_total / 1000;
    values[METRIC_JOURNAL_SYNC_LONGEST] = keeper->sync_us_longest / 1000;
    values[METRIC_JOURNAL_SYNC_ERRORS] = figures->sync_errors;
    values[METRIC_JOURNAL_WRITE_ERRORS] = figures->write_errors;
    values[METRIC_JOURNAL_RECOVERING] = figures->is_recovering;
    values[METRIC_JOURNAL_RECOVERED] = figures->recovered;
    values[METRIC_JOURNAL_TORN] = figures->torn_tails;
    values[METRIC_JOURNAL_DAMAGED] = figures->damaged_segments;
    values[METRIC_JOURNAL_MISSING] = figures->missing_segments;
    values[METRIC_JOURNAL_SKIPPED] = figures->skipped;
    values[METRIC_JOURNAL_UNANNOUNCED] = figures->unannounced;
    values[METRIC_JOURNAL_QUARANTINED] = figures->quarantined;
}

void metrics_take_publisher(struct metrics *metrics, const struct publisher_counters *publisher)
{
    int64_t *values = metrics->values;
    values[METRIC_HITS_DELIVERED] = publisher->delivered_total;
    values[METRIC_HITS_REFUSED] = publisher->refused_total;
    values[METRIC_IN_FLIGHT] = publisher->in_flight;
    values[METRIC_IN_FLIGHT_BYTES] = publisher->in_flight_bytes;
    values[METRIC_PRODUCERS] = publisher->producers_total;
    values[METRIC_KAFKA_READY] = publisher->is_connected;
}
