/* SPDX-License-Identifier: Apache-2.0
 * service: see the header. */
#include "aggregator/service.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <uv.h>

#include "aggregator/aggregator.h"
#include "aggregator/locating.h"
#include "aggregator/places.h"
#include "aggregator/preparation.h"
#include "aggregator/reloading.h"
#include "base/http/admin.h"
#include "base/log.h"
#include "base/program.h"

struct service {
    const struct configuration *configuration;
    const struct settings *settings;
    struct log log;
    struct metrics metrics;
    struct places *places;
    struct reloading *reloading;
    struct ip2location_key key;
    uv_loop_t loop;
    uv_signal_t signals[3];
    struct admin *admin;
    struct preparation *preparation;
    char group[PREPARATION_GROUP_MAX];
    struct aggregator *aggregator; /* NULL while it is prepared */
    bool is_stopping;
    int exit_code;
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};

/* ---- Admin listener ---- */

static bool is_ready(void *context, const char **reason)
{
    struct service *service = context;
    if (service->is_stopping)
        *reason = "stopping";
    else if (service->aggregator != NULL)
        *reason = aggregator_missing(service->aggregator);
    else
        *reason = preparation_missing(service->preparation);
    return *reason == NULL;
}

static void measure_places(struct service *service)
{
    static const enum metrics_id ids[] = {
        [GEO_NONE] = METRICS_PLACES_NONE,
        [GEO_PRIVATE] = METRICS_PLACES_PRIVATE,
        [GEO_MMDB] = METRICS_PLACES_MMDB,
        [GEO_API] = METRICS_PLACES_API,
    };
    const struct places_counts *counts = places_counts(service->places);
    for (size_t i = 0; i < GEO_SOURCE_COUNT; i++)
        metrics_set(&service->metrics, ids[i], counts->answers[i]);
}

static void write_metrics(void *context, struct buf *out)
{
    struct service *service = context;
    if (service->aggregator != NULL)
        aggregator_measure(service->aggregator);
    measure_places(service);
    metrics_write(&service->metrics, out);
}

/* ---- Stop ---- */

static void on_admin_stopped(void *context)
{
    (void)context; /* the loop ends by itself when nothing is left in it */
}

static void stop_admin(struct service *service)
{
    if (service->admin != NULL)
        admin_stop(service->admin, on_admin_stopped, service);
    reloading_stop(&service->reloading);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof signal_numbers[0]; i++)
        uv_close((uv_handle_t *)&service->signals[i], NULL);
}

static void on_aggregator_stopped(void *context)
{
    struct service *service = context;
    service->aggregator = NULL;
    log_info(&service->log, "stopped", "the transaction under way is finished, the group is left");
    stop_admin(service);
}

static void stop(struct service *service, int exit_code)
{
    if (service->is_stopping)
        return;
    service->is_stopping = true;
    service->exit_code = exit_code;
    preparation_stop(&service->preparation);
    if (service->aggregator != NULL)
        aggregator_stop(service->aggregator, on_aggregator_stopped, service);
    else
        stop_admin(service);
}

static void reload_key(struct service *service)
{
    struct ip2location_key key;
    struct why why;
    if (locating_read_key(service->configuration, &key, &why) != STATUS_OK) {
        metrics_add(&service->metrics, METRICS_KEY_RELOADS_FAILED, 1);
        log_error(&service->log, "reload_failed", "the key in use stays: %s", why.text);
        return;
    }
    metrics_add(&service->metrics, METRICS_KEY_RELOADS, 1);
    service->key = key;
    if (service->aggregator != NULL)
        aggregator_set_key(service->aggregator, &service->key);
}

static void reload(struct service *service)
{
    if (service->reloading != NULL)
        reloading_now(service->reloading);
    reload_key(service);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct service *service = signal->data;
    if (number == SIGHUP)
        reload(service);
    else
        stop(service, 0);
}

/* ---- Start ---- */

static void on_ready(void *context, const char *group)
{
    struct service *service = context;
    struct why why;
    snprintf(service->group, sizeof service->group, "%s", group);
    preparation_stop(&service->preparation);
    service->aggregator = aggregator_start(&service->loop,
                                           &(struct aggregator_options){
                                               .configuration = service->configuration,
                                               .settings = service->settings,
                                               .group = service->group,
                                               .places = service->places,
                                               .metrics = &service->metrics,
                                               .key = &service->key,
                                           },
                                           &why);
    if (service->aggregator != NULL) {
        log_info(&service->log, "started", "consumer group %s", service->group);
        return;
    }
    log_error(&service->log, "refused", "%s", why.text);
    stop(service, program_refusal(&why));
}

static void on_refused(void *context, const char *reason)
{
    struct service *service = context;
    log_error(&service->log, "refused", "%s", reason);
    stop(service, EX_CONFIG);
}

static void start_signals(struct service *service)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof signal_numbers[0]; i++) {
        MUST(uv_signal_init(&service->loop, &service->signals[i]) == 0);
        service->signals[i].data = service;
        MUST(uv_signal_start(&service->signals[i], on_signal, signal_numbers[i]) == 0);
    }
}

static void start(struct service *service)
{
    const struct configuration *configuration = service->configuration;
    static const struct preparation_events events = {on_ready, on_refused};
    start_signals(service);
    service->reloading =
        reloading_start(&service->loop, configuration->geo_databases, service->places, &service->metrics);
    service->preparation = preparation_start(&service->loop,
                                             &(struct preparation_options){
                                                 .conninfo = configuration->postgres_conninfo,
                                                 .owner_conninfo = configuration->postgres_owner_conninfo,
                                                 .group = configuration->kafka_group,
                                             },
                                             &events, service);
}

static enum status open_parts(struct service *service, struct why *why)
{
    if (locating_read_key(service->configuration, &service->key, why) != STATUS_OK)
        return STATUS_MALFORMED;
    service->places = places_open(service->configuration->geo_databases, why);
    if (service->places == NULL)
        return STATUS_UNAVAILABLE;
    struct admin_options options = {
        .listen = service->configuration->admin_listen,
        .is_ready = is_ready,
        .write_metrics = write_metrics,
        .context = service,
    };
    return admin_start(&service->loop, &options, &service->admin, why);
}

int service_run(const struct configuration *configuration, const struct settings *settings)
{
    struct service service = {
        .configuration = configuration, .settings = settings, .log = log_new("service")};
    struct why why;
    log_set_level((enum log_level)configuration->log_level);
    MUST(uv_loop_init(&service.loop) == 0);
    if (open_parts(&service, &why) == STATUS_OK) {
        start(&service);
    } else {
        log_error(&service.log, "refused", "%s", why.text);
        service.exit_code = program_refusal(&why);
    }
    uv_run(&service.loop, UV_RUN_DEFAULT);
    admin_free(&service.admin);
    places_close(&service.places);
    MUST(uv_loop_close(&service.loop) == 0);
    return service.exit_code;
}
