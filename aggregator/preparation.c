/* SPDX-License-Identifier: Apache-2.0
 * preparation: see the header. */
#include "aggregator/preparation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aggregator/backoff.h"
#include "aggregator/migrate.h"
#include "aggregator/store.h"
#include "base/log.h"

enum { ASK_MIN_MS = 250, ASK_MAX_MS = 10000 };

struct preparation {
    struct uv_loop_s *loop;
    struct preparation_options options;
    struct preparation_events events;
    void *context;
    struct log log;
    struct backoff backoff;
    uv_timer_t timer;
    uv_work_t work;
    bool is_asking;
    bool is_stopping;
    bool is_closed; /* the timer */
    char missing[600];

    /* The answer; written by the pool's thread while is_asking. */
    enum status status;
    struct why why;
    struct migrate_report report;
    char group[PREPARATION_GROUP_MAX];
};

/* On a thread of the pool. */
static void ask(uv_work_t *work)
{
    struct preparation *preparation = work->data;
    const struct preparation_options *options = &preparation->options;
    const char *owner = options->owner_conninfo[0] != '\0' ? options->owner_conninfo : options->conninfo;
    preparation->status = migrate_run(owner, &preparation->report, &preparation->why);
    if (preparation->status != STATUS_OK)
        return;
    if (options->group[0] != '\0')
        snprintf(preparation->group, sizeof preparation->group, "%s", options->group);
    else
        preparation->status = store_group_read(options->conninfo, preparation->group,
                                               sizeof preparation->group, &preparation->why);
}

static void start_asking(struct preparation *preparation);

static void on_timer(uv_timer_t *timer)
{
    start_asking(timer->data);
}

static void wait_and_ask(struct preparation *preparation)
{
    snprintf(preparation->missing, sizeof preparation->missing, "waiting for Postgres: %s",
             preparation->why.text);
    log_warning(&preparation->log, "waiting", "%s", preparation->why.text);
    uv_timer_start(&preparation->timer, on_timer, (uint64_t)backoff_next(&preparation->backoff), 0);
}

static void release(struct preparation *preparation)
{
    if (preparation->is_closed && !preparation->is_asking)
        free(preparation);
}

static void report_ready(struct preparation *preparation)
{
    const struct migrate_report *report = &preparation->report;
    if (report->from_version < report->to_version)
        log_info(&preparation->log, "migrated", "schema brought from version %d to %d", report->from_version,
                 report->to_version);
    preparation->events.on_ready(preparation->context, preparation->group);
}

static void on_asked(uv_work_t *work, int status)
{
    struct preparation *preparation = work->data;
    (void)status;
    preparation->is_asking = false;
    if (preparation->is_stopping)
        release(preparation);
    else if (preparation->status == STATUS_OK)
        report_ready(preparation);
    else if (preparation->status == STATUS_CONFLICT)
        preparation->events.on_refused(preparation->context, preparation->why.text);
    else
        wait_and_ask(preparation);
}

static void start_asking(struct preparation *preparation)
{
    preparation->is_asking = true;
    preparation->work.data = preparation;
    MUST(uv_queue_work(preparation->loop, &preparation->work, ask, on_asked) == 0);
}

struct preparation *preparation_start(struct uv_loop_s *loop, const struct preparation_options *options,
                                      const struct preparation_events *events, void *context)
{
    struct preparation *preparation = must_calloc(1, sizeof *preparation);
    preparation->loop = loop;
    preparation->options = *options;
    preparation->events = *events;
    preparation->context = context;
    preparation->log = log_new("preparation");
    preparation->backoff = (struct backoff){.min_ms = ASK_MIN_MS, .max_ms = ASK_MAX_MS};
    snprintf(preparation->missing, sizeof preparation->missing, "waiting for Postgres");
    MUST(uv_timer_init(loop, &preparation->timer) == 0);
    preparation->timer.data = preparation;
    start_asking(preparation);
    return preparation;
}

const char *preparation_missing(const struct preparation *preparation)
{
    return preparation->missing;
}

static void on_closed(uv_handle_t *handle)
{
    struct preparation *preparation = handle->data;
    preparation->is_closed = true;
    release(preparation);
}

void preparation_stop(struct preparation **preparation)
{
    struct preparation *stopping = *preparation;
    *preparation = NULL;
    if (stopping == NULL)
        return;
    stopping->is_stopping = true;
    uv_close((uv_handle_t *)&stopping->timer, on_closed);
}
