/* SPDX-License-Identifier: Apache-2.0
 * collector: see the header.
 *
 * A hit, from socket to reply:
 *   http server            bytes -> whole, bounded request -> route           4xx, 408, 503: answered there
 *   capture_beacon …     = beacon_read | page_read_form | mirror_read         400, 415
 *                          -> origin -> client_find -> visit_read
 *                          -> stamp_hit for each (url_host, sites_has)        400, 403
 *   intake_take          = ready? room? -> for each: seen_add -> numbering_fill -> hit_encode
 *                          -> publisher_send                                  503
 *   publisher            = producer_send … on_wake -> on_report -> intake_on_settled
 *   intake_on_settled    = seen_settle -> the last one of a request: replies_taken   204, 503
 * A fatal producer: publisher.start_anew -> intake_on_reset (all in flight: 503) -> another producer.
 * The end: listeners stop -> publisher_close -> admin_stop -> on_stopped. */
#include "collector/collector.h"

#include <stdlib.h>

#include "base/http/admin.h"
#include "base/log.h"
#include "collector/capture.h"
#include "collector/intake.h"
#include "collector/metrics.h"
#include "collector/publisher.h"
#include "collector/script.h"

enum {
    STOP_ANSWER_MS = 10000, /* for what is in flight when we are told to stop … */
    STOP_FLUSH_MS = 5000,   /* … and for what was answered when it was queued */
};

struct collector {
    struct uv_loop_s *loop;
    const struct collector_settings *values;
    const struct settings *settings;
    struct log log;
    struct metrics metrics;
    struct sites *sites;
    struct replies replies;
    ip_range trusted[COLLECTOR_MAX_TRUSTED];
    size_t trusted_count;
    struct intake *intake;
    struct publisher *publisher;
    struct capture *capture;
    struct http_server *public_listener;
    struct http_server *mirror_listener; /* NULL: off */
    struct admin *admin;                 /* NULL: off */
    bool is_stopping;
    int listeners_left; /* while stopping */
    collector_stopped_fn *on_stopped;
    void *stopped_context;
};

static const struct http_route public_routes[] = {
    {HTTP_GET, "/footfall.js", script_handle}, /* what pages load */
    {HTTP_POST, "/v1/hits", capture_beacon},   /* and what it sends */
    {HTTP_OPTIONS, "/v1/hits", capture_preflight},
    {HTTP_GET, "/v1/hit.gif", capture_pixel}, /* for pages without script */
    {HTTP_OPTIONS, "/v1/hit.gif", capture_preflight},
};

static const struct http_route mirror_routes[] = {
    {HTTP_GET, "/v1/mirror", capture_mirror},
};

struct collector *collector_new(struct uv_loop_s *loop, const struct collector_settings *values,
                                const struct settings *settings)
{
    struct collector *collector = must_calloc(1, sizeof(*collector));
    collector->loop = loop;
    collector->values = values;
    collector->settings = settings;
    collector->log = log_new("collector");
    return collector;
}

/* --- starting --- */

enum status collector_set_sites(struct collector *collector, slice hosts, struct why *why)
{
    struct sites *sites = sites_new(hosts, why);
    if (!sites)
        return STATUS_MALFORMED;
    sites_free(&collector->sites);
    collector->sites = sites;
    collector->replies.sites = sites;
    collector->metrics.values[METRIC_SITES] = (int64_t)sites_count(sites);
    return STATUS_OK;
}

static enum status start_publisher(struct collector *collector, struct why *why)
{
    const struct collector_settings *values = collector->values;
    collector->publisher = publisher_open(
        &(struct publisher_options){
            .loop = collector->loop,
            .brokers = values->kafka_brokers,
            .topic = values->kafka_topic,
            .partitions = (int)values->kafka_partitions,
            .settings = collector->settings,
            .on_settled = intake_on_settled,
            .on_reset = intake_on_reset,
            .context = collector->intake,
        },
        why);
    if (!collector->publisher)
        return STATUS_MALFORMED;
    intake_connect(collector->intake, collector->publisher);
    return STATUS_OK;
}

/* What the handlers need. */
static enum status start_inside(struct collector *collector, struct why *why)
{
    const struct collector_settings *values = collector->values;
    enum status status = collector_set_sites(collector, slice_of(values->sites_hosts), why);
    if (status == STATUS_OK)
        status = client_trust_read(slice_of(values->http_trusted_proxies), collector->trusted,
                                   COLLECTOR_MAX_TRUSTED, &collector->trusted_count, why);
    if (status != STATUS_OK)
        return status;
    collector->intake = intake_new(&(struct intake_options){
        .partitions = (int)values->kafka_partitions,
        .waits_for_kafka = values->journal_ack == ACK_KAFKA,
        .replies = &collector->replies,
        .metrics = &collector->metrics,
    });
    collector->capture = capture_new(&(struct capture_options){
        .replies = &collector->replies,
        .trust = {collector->trusted, collector->trusted_count},
        .intake = collector->intake,
        .metrics = &collector->metrics,
    });
    return start_publisher(collector, why);
}

static enum status start_listeners(struct collector *collector, struct why *why)
{
    const struct collector_settings *values = collector->values;
    struct http_server_options options = {
        .listen = values->http_listen,
        .reuse_port = values->http_reuse_port,
        .prefix = slice_of(values->http_prefix),
        .routes = public_routes,
        .route_count = sizeof(public_routes) / sizeof(public_routes[0]),
        .context = collector->capture,
        .limits = values->http_limits,
        .exempt = collector->trusted,
        .exempt_count = collector->trusted_count,
    };
    collector->public_listener = http_server_start(collector->loop, &options, "http.listen", why);
    if (!collector->public_listener)
        return STATUS_UNAVAILABLE;
    if (values->mirror_listen[0] == '\0')
        return STATUS_OK;
    options.listen = values->mirror_listen;
    options.reuse_port = false;
    options.prefix = (slice){NULL, 0};
    options.routes = mirror_routes;
    options.route_count = sizeof(mirror_routes) / sizeof(mirror_routes[0]);
    collector->mirror_listener = http_server_start(collector->loop, &options, "mirror.listen", why);
    return collector->mirror_listener ? STATUS_OK : STATUS_UNAVAILABLE;
}

static bool is_ready(void *context, const char **reason)
{
    const struct collector *collector = context;
    *reason = "the collector is stopping";
    return !collector->is_stopping && publisher_is_ready(collector->publisher, reason);
}

static void write_metrics(void *context, struct buf *out)
{
    struct collector *collector = context;
    struct publisher_counters counters = publisher_counters(collector->publisher);
    int64_t *values = collector->metrics.values;
    const char *reason;
    values[METRIC_IN_FLIGHT_BYTES] = counters.in_flight_bytes;
    values[METRIC_PRODUCERS] = counters.producers_total;
    values[METRIC_KAFKA_READY] = publisher_is_ready(collector->publisher, &reason);
    intake_write_metrics(collector->intake);
    metrics_take_http(&collector->metrics, http_server_counters(collector->public_listener),
                      collector->mirror_listener ? http_server_counters(collector->mirror_listener) : NULL);
    metric_write(out, metrics_rows, values, METRICS_COUNT);
}

enum status collector_start(struct collector *collector, struct why *why)
{
    enum status status = start_inside(collector, why);
    if (status == STATUS_OK)
        status = start_listeners(collector, why);
    if (status != STATUS_OK)
        return status;
    const struct admin_options options = {
        .listen = collector->values->admin_listen,
        .is_ready = is_ready,
        .write_metrics = write_metrics,
        .context = collector,
    };
    return admin_start(collector->loop, &options, &collector->admin, why);
}

int collector_port(const struct collector *collector)
{
    return http_server_port(collector->public_listener);
}

int collector_admin_port(const struct collector *collector)
{
    return collector->admin ? admin_port(collector->admin) : 0;
}

/* --- stopping --- */

static void on_admin_stopped(void *context)
{
    struct collector *collector = context;
    collector->on_stopped(collector->stopped_context);
}

static void on_publisher_closed(void *context)
{
    struct collector *collector = context;
    int64_t lost = collector->metrics.values[METRIC_HITS_LOST];
    if (lost > 0)
        log_warning(&collector->log, "hits_lost", "%lld hits that were answered 204 did not reach Kafka",
                    (long long)lost);
    if (collector->admin)
        admin_stop(collector->admin, on_admin_stopped, collector);
    else
        on_admin_stopped(collector);
}

static void on_listener_stopped(void *context)
{
    struct collector *collector = context;
    if (--collector->listeners_left > 0)
        return;
    if (collector->publisher)
        publisher_close(collector->publisher, STOP_FLUSH_MS, on_publisher_closed, collector);
    else
        on_publisher_closed(collector);
}

void collector_stop(struct collector *collector, collector_stopped_fn *on_stopped, void *context)
{
    MUST(!collector->is_stopping);
    collector->is_stopping = true;
    collector->on_stopped = on_stopped;
    collector->stopped_context = context;
    collector->listeners_left = 1; /* ourselves, so that nobody is the last one too early */
    struct http_server *listeners[] = {collector->public_listener, collector->mirror_listener};
    for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
        if (!listeners[i])
            continue;
        collector->listeners_left++;
        http_server_stop(listeners[i], STOP_ANSWER_MS, on_listener_stopped, collector);
    }
    on_listener_stopped(collector);
}

void collector_free(struct collector **collector)
{
    struct collector *freed = *collector;
    if (!freed)
        return;
    if (freed->public_listener)
        http_server_free(&freed->public_listener);
    if (freed->mirror_listener)
        http_server_free(&freed->mirror_listener);
    admin_free(&freed->admin);
    publisher_free(&freed->publisher);
    capture_free(&freed->capture);
    intake_free(&freed->intake);
    sites_free(&freed->sites);
    free(freed);
    *collector = NULL;
}
