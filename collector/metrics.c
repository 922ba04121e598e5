/* SPDX-License-Identifier: Apache-2.0
 * metrics: see the header. */
#include "collector/metrics.h"

#include "base/http/http.h"

/* Of names that stand more than once. */
#define HELP_TAKEN "Hits handed to the Kafka client."
#define HELP_FAILED                                                                                          \
    "Hits that Kafka did not confirm, by what their sender was told: 204 means that they are lost."
#define HELP_REFUSED     "Requests with hits that were answered 4xx or 503."
#define HELP_CONNECTIONS "Connections open now."
#define HELP_ACCEPTED    "Connections accepted."
#define HELP_OVER        "Connections over a limit, closed at once."
#define HELP_REQUESTS    "Whole, well-formed requests."
#define HELP_REPLIES     "Replies of both listeners by status class."

const struct metric_row metrics_rows[METRICS_COUNT] = {
#define X(place, name, label, kind, help)                                                                    \
    [METRIC_##place] = {"footfall_collector_" name, label, METRIC_##kind, METRIC_PLAIN, help},
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
