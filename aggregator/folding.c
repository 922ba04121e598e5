/* SPDX-License-Identifier: Apache-2.0
 * folding: see the header. */
#include "aggregator/folding.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/backoff.h"
#include "aggregator/result.h"
#include "aggregator/steps.h"
#include "base/failpoint.h"
#include "base/log.h"

/* A sum of the same page or place is changed once a fold, so a fold is the cheaper the more it takes; but who
 * looks at the views adds up what waits. */
enum { EVERY_MS = 30000, DUE_COUNT = 100000 };

/* At once: about a second, far from statement_timeout; fewer for a while when a fold failed, since it may have
 * been too much. */
enum { AT_MOST = 100000, AT_LEAST = 1000 };

enum { RETRY_MIN_MS = 1000, RETRY_MAX_MS = 60000 };

struct folding {
    struct folding_options options;
    struct database *database;
    struct steps steps;
    struct log log;
    struct backoff backoff;
    int64_t every_ms;
    mono_ms now;           /* of the last tick */
    mono_ms next_at;       /* what waits is folded then; 0: the start */
    size_t appended_count; /* by us, and no fold that took all was begun since */
    bool is_retry;         /* nothing is tried before next_at */
    int64_t at_most;       /* sums at once */

    /* Of the fold under way. */
    size_t seen_count; /* of appended_count, when it began: it may not see what is appended meanwhile */
    bool is_ours;
    int64_t folded_count;
    char at_most_text[24];

    void (*on_closed)(void *context);
    void *closed_context;
};

struct folding *folding_new(struct uv_loop_s *loop, const struct folding_options *options)
{
    struct folding *folding = must_calloc(1, sizeof *folding);
    folding->options = *options;
    folding->database = database_new(loop, options->conninfo);
    folding->log = log_new("folding");
    folding->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    folding->every_ms = FAILPOINT_NUMBER("fold_every_ms", EVERY_MS);
    folding->appended_count = 1; /* others may have left some */
    folding->at_most = AT_MOST;
    steps_init(&folding->steps, folding->database);
    return folding;
}

static void on_database_closed(void *context)
{
    struct folding *folding = context;
    void (*on_closed)(void *) = folding->on_closed;
    void *closed_context = folding->closed_context;
    free(folding);
    if (on_closed != NULL)
        on_closed(closed_context);
}

void folding_close(struct folding **folding, void (*on_closed)(void *context), void *context)
{
    struct folding *closing = *folding;
    *folding = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    database_close(&closing->database, on_database_closed, closing);
}

bool folding_is_busy(const struct folding *folding)
{
    return steps_is_busy(&folding->steps);
}

void folding_note_appended(struct folding *folding, size_t sum_count)
{
    folding->appended_count += sum_count;
}

/* ---- One fold ---- */

static enum step_move connect(void *job)
{
    struct folding *folding = job;
    return steps_connect(&folding->steps);
}

static enum step_move begin(void *job)
{
    struct folding *folding = job;
    return steps_command(&folding->steps, "BEGIN");
}

static enum step_move fold(void *job)
{
    struct folding *folding = job;
    struct database_statement statement = {.sql = "SELECT footfall.fold_rollups($1::int8)"};
    snprintf(folding->at_most_text, sizeof folding->at_most_text, "%lld", (long long)folding->at_most);
    database_statement_add_text(&statement, folding->at_most_text);
    return steps_query(&folding->steps, &statement);
}

static enum step_move note_folded(void *job, const struct database_reply *reply)
{
    struct folding *folding = job;
    folding->is_ours = !result_is_null(reply->result, 0, 0);
    folding->folded_count = folding->is_ours ? result_int64(reply->result, 0, 0) : 0;
    FAILPOINT("inside_fold");
    return STEP_NEXT;
}

static enum step_move commit(void *job)
{
    struct folding *folding = job;
    struct database_statement statement = {.sql = "COMMIT", .failpoint = "after_fold"};
    return steps_query(&folding->steps, &statement);
}

static const struct step fold_steps[] = {
    {"fold_connect", connect, NULL}, {"fold_begin", begin, NULL}, {"fold", fold, note_folded},
    {"fold_commit", commit, NULL},   {NULL, NULL, NULL},
};

static void wait_ms(struct folding *folding, int64_t ms)
{
    folding->next_at = (mono_ms){folding->now.ms + ms};
}

static void ask_for(struct folding *folding, int64_t at_most)
{
    folding->at_most = at_most < AT_LEAST ? AT_LEAST : at_most > AT_MOST ? AT_MOST : at_most;
}

static void note_failed(struct folding *folding, const struct store_result *result)
{
    ask_for(folding, folding->at_most / 2);
    metrics_add(folding->options.metrics, METRICS_FOLD_FAILURES, 1);
    folding->is_retry = true;
    wait_ms(folding, backoff_next(&folding->backoff));
    log_warning(&folding->log, "fold_retry", "the rollups stay right, but slower: %s", result->reason);
}

static void on_done(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct folding *folding = job;
    (void)failed;
    if (result->outcome != STORE_DONE) {
        note_failed(folding, result);
        return;
    }
    backoff_reset(&folding->backoff);
    metrics_add(folding->options.metrics, METRICS_SUMS_FOLDED, folding->folded_count);
    bool took_all = folding->folded_count < folding->at_most;
    if (!took_all)
        ask_for(folding, 2 * folding->at_most);
    folding->is_retry = !folding->is_ours; /* whoever is at it takes ours, too */
    if (folding->is_ours && took_all)
        folding->appended_count -= folding->seen_count;
    wait_ms(folding, took_all ? folding->every_ms : 0);
}

void folding_tick(struct folding *folding, mono_ms now)
{
    folding->now = now;
    bool is_time = now.ms >= folding->next_at.ms;
    bool is_due =
        is_time ? folding->appended_count > 0 : !folding->is_retry && folding->appended_count >= DUE_COUNT;
    if (!is_due || folding_is_busy(folding))
        return;
    folding->seen_count = folding->appended_count;
    steps_start(&folding->steps, fold_steps, folding, on_done);
}
