/* SPDX-License-Identifier: Apache-2.0
 * collector: see the header.
 *
 * A hit, from socket to reply:
 *   http server            bytes -> whole, bounded request -> route           4xx, 408, 503: answered there
 *   capture_beacon …     = beacon_read | page_read_form | mirror_read         400, 415
 *                          -> origin -> client_find -> visit_read
 *                          -> stamp_hit for each (url_host, sites_has)        400, 403
 *   intake_take          = room? -> for each: seen_add -> hit_encode -> journal_append          503
 *   keeper, once a turn  = journal_flush -> sync (pool) -> upkeep (pool) -> on_progress
 *   on_progress          = intake_answer                                      204, 503 when it takes too long
 *                          -> publisher_fill
 * and on to Kafka:
 *   publisher_fill       = while there is room: journal_read -> producer_send
 *   on_report            = journal_acknowledge -> keeper_wake                 it failed: another producer,
 *                                                                             journal_rewind
 * The end: listeners stop -> keeper_drain (deadline) -> publisher_close -> keeper_close -> admin_stop
 * -> on_stopped. What Kafka has not confirmed by then stays in the journal for the next start.
 */
#include "collector/collector.h"

#include <stdlib.h>

#include "base/http/admin.h"
#include "base/log.h"
#include "collector/capture.h"
#include "collector/intake.h"
#include "collector/keeper.h"
#include "collector/metrics.h"
#include "collector/publisher.h"
#include "collector/script.h"

enum {
    STOP_ANSWER_MS = 10000, /* for requests that wait when we are told to stop … */
    STOP_DRAIN_MS = 5000,   /* … and for what Kafka has not confirmed */
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
    struct keeper *keeper;
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

static void on_found(void *context, const struct journal_entry *entry)
{
    struct collector *collector = context;
    intake_found(collector->intake, entry);
}

static void on_progress(void *context)
{
    struct collector *collector = context;
    intake_answer(collector->intake);
    publisher_fill(collector->publisher);
}

static enum status start_keeper(struct collector *collector, struct why *why)
{
    const struct collector_settings *values = collector->values;
    collector->keeper = keeper_open(
        &(struct keeper_options){
            .loop = collector->loop,
            .directory = values->journal_directory,
            .topic = values->kafka_topic,
            .partitions = (int)values->kafka_partitions,
            .max_bytes = (uint64_t)values->journal_max_bytes,
            .min_free_bytes = (uint64_t)values->journal_min_free_bytes,
            .syncs_at_once = values->journal_ack == ACK_DISK,
            .publishes_unsynced = values->journal_ack != ACK_DISK,
            .on_found = on_found,
            .on_progress = on_progress,
            .context = collector,
        },
        why);
    if (!collector->keeper)
        return STATUS_UNAVAILABLE;
    intake_connect(collector->intake, collector->keeper);
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
            .keeper = collector->keeper,
        },
        why);
    return collector->publisher ? STATUS_OK : STATUS_MALFORMED;
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
        .ack = (enum collector_ack)values->journal_ack,
        .max_requests = (size_t)values->http_limits.max_connections,
        .replies = &collector->replies,
        .metrics = &collector->metrics,
    });
    collector->capture = capture_new(&(struct capture_options){
        .replies = &collector->replies,
        .trust = {collector->trusted, collector->trusted_count},
        .intake = collector->intake,
        .metrics = &collector->metrics,
    });
    status = start_keeper(collector, why);
    return status == STATUS_OK ? start_publisher(collector, why) : status;
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

static bool takes_hits(const struct collector *collector)
{
    enum status status = journal_has_room(keeper_journal(collector->keeper), 1);
    return status == STATUS_OK;
}

static bool is_ready(void *context, const char **reason)
{
    const struct collector *collector = context;
    *reason = "the collector is stopping";
    if (collector->is_stopping)
        return false;
    *reason =
        "the journal takes no hits: journal.directory is full or cannot be written; its log lines say more";
    return takes_hits(collector) && publisher_is_ready(collector->publisher, reason);
}

static void write_metrics(void *context, struct buf *out)
{
    struct collector *collector = context;
    if (keeper_journal(collector->keeper)) {
        struct journal_figures figures;
        journal_figures(keeper_journal(collector->keeper), wall_now(), &figures);
        struct keeper_counters keeper = keeper_counters(collector->keeper);
        metrics_take_journal(&collector->metrics, &figures, &keeper);
    }
    struct publisher_counters publisher = publisher_counters(collector->publisher);
    metrics_take_publisher(&collector->metrics, &publisher);
    intake_write_metrics(collector->intake);
    metrics_take_http(&collector->metrics, http_server_counters(collector->public_listener),
                      collector->mirror_listener ? http_server_counters(collector->mirror_listener) : NULL);
    metric_write(out, metrics_rows, collector->metrics.values, METRICS_COUNT);
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

static void on_keeper_closed(void *context)
{
    struct collector *collector = context;
    if (collector->admin)
        admin_stop(collector->admin, on_admin_stopped, collector);
    else
        on_admin_stopped(collector);
}

static void on_publisher_closed(void *context)
{
    struct collector *collector = context;
    if (collector->keeper)
        keeper_close(collector->keeper, on_keeper_closed, collector);
    else
        on_keeper_closed(collector);
}

static void on_drained(void *context)
{
    struct collector *collector = context;
    struct journal_figures figures;
    journal_figures(keeper_journal(collector->keeper), wall_now(), &figures);
    if (!journal_is_drained(keeper_journal(collector->keeper)))
        log_warning(
            &collector->log, "journal_kept",
            "%lld entries that Kafka has not confirmed stay in the journal: the next start sends them",
            (long long)figures.pending);
    publisher_close(collector->publisher, on_publisher_closed, collector);
}

static void on_listener_stopped(void *context)
{
    struct collector *collector = context;
    if (--collector->listeners_left > 0)
        return;
    if (collector->publisher)
        keeper_drain(collector->keeper, STOP_DRAIN_MS, on_drained, collector);
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
    keeper_free(&freed->keeper);
    capture_free(&freed->capture);
    intake_free(&freed->intake);
    sites_free(&freed->sites);
    free(freed);
    *collector = NULL;
}
