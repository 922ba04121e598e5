/* SPDX-License-Identifier: Apache-2.0
 * retention: see the header. */
#include "aggregator/retention.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/backoff.h"
#include "aggregator/result.h"
#include "aggregator/steps.h"
#include "base/failpoint.h"
#include "base/log.h"

/* What is due comes once a day; late hits of dropped days come at any time. */
enum { EVERY_MS = 600000 };
/* After a pass that left something. A gap between two readers is found the sooner the more often it tries; each
 * attempt may hold hits up for a tenth of a second. */
enum { RETRY_MIN_MS = 5000, RETRY_MAX_MS = 300000 };
/* Sessions or rejects a statement: some 10 ms, for which a batch may wait that takes one of these back. */
enum { AT_ONCE = 1000 };
#define AT_ONCE_TEXT "1000"

enum { TEXT_MAX = 40 }; /* a date, a time; with its zero */

struct retention {
    struct retention_options options;
    struct database *database;
    struct steps steps;
    struct log log;
    struct backoff backoff;
    int64_t every_ms;
    char days_text[24];
    mono_ms now;           /* of the last tick */
    mono_ms next_at;       /* 0: the start */
    mono_ms completed_at;  /* when nothing due was left, or the start */
    int64_t due_count;     /* days, when last looked at */
    char stayed[TEXT_MAX]; /* the day that could not be dropped last: the others are tried first */

    /* Of the pass under way. */
    char today[TEXT_MAX];
    char cutoff[TEXT_MAX];
    char last_end[TEXT_MAX]; /* of the sessions dropped so far */
    bool is_left;            /* a day stays */
    int64_t day_count, session_count, reject_count;

    void (*on_closed)(void *context);
    void *closed_context;
};

struct retention *retention_new(struct uv_loop_s *loop, const struct retention_options *options)
{
    MUST(options->days > 0);
    struct retention *retention = must_calloc(1, sizeof *retention);
    retention->options = *options;
    retention->database = database_new(loop, options->conninfo);
    retention->log = log_new("retention");
    retention->backoff = (struct backoff){.min_ms = FAILPOINT_NUMBER("retention_retry_ms", RETRY_MIN_MS),
                                          .max_ms = RETRY_MAX_MS};
    retention->every_ms = FAILPOINT_NUMBER("retention_every_ms", EVERY_MS);
    retention->completed_at = mono_now();
    snprintf(retention->days_text, sizeof retention->days_text, "%lld", (long long)options->days);
    snprintf(retention->stayed, sizeof retention->stayed, "-infinity");
    steps_init(&retention->steps, retention->database);
    return retention;
}

static void on_database_closed(void *context)
{
    struct retention *retention = context;
    void (*on_closed)(void *) = retention->on_closed;
    void *closed_context = retention->closed_context;
    free(retention);
    if (on_closed != NULL)
        on_closed(closed_context);
}

void retention_close(struct retention **retention, void (*on_closed)(void *context), void *context)
{
    struct retention *closing = *retention;
    *retention = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    database_close(&closing->database, on_database_closed, closing);
}

bool retention_is_busy(const struct retention *retention)
{
    return steps_is_busy(&retention->steps);
}

/* ---- One pass ---- */

static void keep_text(char *out, slice text)
{
    MUST(text.len < TEXT_MAX);
    snprintf(out, TEXT_MAX, "%.*s", SLICE_ARGS(text));
}

static enum step_move connect(void *job)
{
    struct retention *retention = job;
    return steps_connect(&retention->steps);
}

static enum step_move ask_cutoff(void *job)
{
    struct retention *retention = job;
    struct database_statement statement = {
        .sql = "SELECT to_char(least(timestamp 'epoch' + $1::int8 * interval '1 s', now() AT TIME ZONE 'UTC')"
               "               - $2::int4 * interval '1 day', 'YYYY-MM-DD')"};
    snprintf(retention->today, sizeof retention->today, "%lld", (long long)(wall_now().ms / 1000));
    database_statement_add_text(&statement, retention->today);
    database_statement_add_text(&statement, retention->days_text);
    return steps_query(&retention->steps, &statement);
}

static enum step_move take_cutoff(void *job, const struct database_reply *reply)
{
    struct retention *retention = job;
    keep_text(retention->cutoff, result_text(reply->result, 0, 0));
    return STEP_NEXT;
}

/* One day a statement, which is a transaction. */
static enum step_move drop_day(void *job)
{
    struct retention *retention = job;
    struct database_statement statement = {
        .sql = "SELECT day::text, due, footfall.drop_day(day)"
               "  FROM (SELECT day, count(*) OVER () AS due FROM footfall.days WHERE day < $1::date"
               "         ORDER BY day <= $2::date, day LIMIT 1) AS first"};
    database_statement_add_text(&statement, retention->cutoff);
    database_statement_add_text(&statement, retention->stayed);
    return steps_query(&retention->steps, &statement);
}

static void note_stayed(struct retention *retention, slice day, slice reason)
{
    keep_text(retention->stayed, day);
    retention->is_left = true;
    log_warning(&retention->log, "day_stays",
                "the hits of %.*s cannot be dropped yet, somebody may be reading: %.*s", SLICE_ARGS(day),
                SLICE_ARGS(reason));
}

static enum step_move note_day(void *job, const struct database_reply *reply)
{
    struct retention *retention = job;
    const struct pg_result *result = reply->result;
    retention->due_count = result_count(result) > 0 ? result_int64(result, 0, 1) : 0;
    if (retention->due_count == 0 || result_is_null(result, 0, 2)) /* another is at it */
        return STEP_NEXT;
    if (result_text(result, 0, 2).len > 0) {
        note_stayed(retention, result_text(result, 0, 0), result_text(result, 0, 2));
        return STEP_NEXT;
    }
    retention->day_count++;
    metrics_add(retention->options.metrics, METRICS_DAYS_DROPPED, 1);
    return STEP_AGAIN;
}

static enum step_move drop_sessions(void *job)
{
    struct retention *retention = job;
    struct database_statement statement = {
        .sql = "SELECT dropped, last_end::text"
               "  FROM footfall.drop_sessions($1::date, $2::timestamp, " AT_ONCE_TEXT ")"};
    database_statement_add_text(&statement, retention->cutoff);
    database_statement_add_text(&statement, retention->last_end);
    return steps_query(&retention->steps, &statement);
}

static enum step_move note_sessions(void *job, const struct database_reply *reply)
{
    struct retention *retention = job;
    int64_t dropped = result_is_null(reply->result, 0, 0) ? 0 : result_int64(reply->result, 0, 0);
    if (dropped > 0)
        keep_text(retention->last_end, result_text(reply->result, 0, 1));
    retention->session_count += dropped;
    metrics_add(retention->options.metrics, METRICS_SESSIONS_DROPPED, dropped);
    return dropped == AT_ONCE ? STEP_AGAIN : STEP_NEXT;
}

static enum step_move drop_rejects(void *job)
{
    struct retention *retention = job;
    struct database_statement statement = {.sql = "SELECT footfall.drop_rejects($1::date, " AT_ONCE_TEXT ")"};
    database_statement_add_text(&statement, retention->cutoff);
    return steps_query(&retention->steps, &statement);
}

static enum step_move note_rejects(void *job, const struct database_reply *reply)
{
    struct retention *retention = job;
    int64_t dropped = result_is_null(reply->result, 0, 0) ? 0 : result_int64(reply->result, 0, 0);
    retention->reject_count += dropped;
    metrics_add(retention->options.metrics, METRICS_REJECTS_DROPPED, dropped);
    return dropped == AT_ONCE ? STEP_AGAIN : STEP_NEXT;
}

static const struct step retention_steps[] = {
    {"retention_connect", connect, NULL},
    {"retention_cutoff", ask_cutoff, take_cutoff},
    {"retention_days", drop_day, note_day},
    {"retention_sessions", drop_sessions, note_sessions},
    {"retention_rejects", drop_rejects, note_rejects},
    {NULL, NULL, NULL},
};

static void report(const struct retention *retention)
{
    if (retention->day_count + retention->session_count + retention->reject_count > 0)
        log_info(&retention->log, "dropped",
                 "of before %s: the hits of %lld days, %lld sessions, %lld rejects", retention->cutoff,
                 (long long)retention->day_count, (long long)retention->session_count,
                 (long long)retention->reject_count);
}

static void on_done(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct retention *retention = job;
    (void)failed;
    report(retention);
    if (result->outcome != STORE_DONE)
        log_warning(&retention->log, "retention_retry", "old rows stay for now: %s", result->reason);
    if (result->outcome != STORE_DONE || retention->is_left) {
        metrics_add(retention->options.metrics, METRICS_RETENTION_FAILURES, 1);
        retention->next_at = (mono_ms){retention->now.ms + backoff_next(&retention->backoff)};
        return;
    }
    backoff_reset(&retention->backoff);
    retention->completed_at = retention->now;
    retention->next_at = (mono_ms){retention->now.ms + retention->every_ms};
}

void retention_tick(struct retention *retention, mono_ms now)
{
    retention->now = now;
    if (now.ms < retention->next_at.ms || retention_is_busy(retention))
        return;
    retention->is_left = false;
    retention->day_count = retention->session_count = retention->reject_count = 0;
    snprintf(retention->last_end, sizeof retention->last_end, "-infinity");
    steps_start(&retention->steps, retention_steps, retention, on_done);
}

void retention_measure(const struct retention *retention, mono_ms now)
{
    metrics_set(retention->options.metrics, METRICS_DAYS_DUE, retention->due_count);
    metrics_set(retention->options.metrics, METRICS_RETENTION_AGE, now.ms - retention->completed_at.ms);
}
