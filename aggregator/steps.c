/* SPDX-License-Identifier: Apache-2.0
 * steps: see the header. */
#include "aggregator/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void steps_init(struct steps *steps, struct database *database)
{
    *steps = (struct steps){.database = database};
}

bool steps_is_busy(const struct steps *steps)
{
    return steps->at != NULL;
}

static void finish(struct steps *steps)
{
    struct store_result result = steps->result;
    steps->at = NULL; /* the callback may start the next list */
    steps->on_done(steps->job, &result, steps->failed);
}

static void on_rolled_back(void *context, const struct database_reply *reply)
{
    struct steps *steps = context;
    if (reply->outcome == DATABASE_ERROR)
        database_drop(steps->database);
    finish(steps);
}

static void give_up(struct steps *steps)
{
    if (steps->failed != NULL && steps->failed->must_reconnect)
        database_drop(steps->database);
    static const struct database_statement rollback = {.sql = "ROLLBACK"};
    if (database_is_in_transaction(steps->database))
        database_query(steps->database, &rollback, on_rolled_back, steps);
    else
        finish(steps);
}

static void fail(struct steps *steps, const struct database_reply *reply)
{
    steps->failed = outcome_find(reply);
    steps_stop(steps, steps->failed->outcome, -1, "%s: %.*s%s", steps->at->name, SLICE_ARGS(reply->message),
               steps->failed->mend);
    memcpy(steps->result.sqlstate, reply->sqlstate, sizeof reply->sqlstate);
    give_up(steps);
}

/* Until a statement is under way or the list ends. */
static void advance(struct steps *steps, enum step_move move)
{
    while (move != STEP_WAIT) {
        if (move == STEP_NEXT)
            steps->at++;
        if (move == STEP_STOP) {
            give_up(steps);
            return;
        }
        if (steps->at->name == NULL) {
            finish(steps);
            return;
        }
        move = steps->at->send(steps->job);
    }
}

static void on_reply(void *context, const struct database_reply *reply)
{
    struct steps *steps = context;
    if (reply->outcome != DATABASE_OK)
        fail(steps, reply);
    else
        advance(steps, steps->at->take != NULL ? steps->at->take(steps->job, reply) : STEP_NEXT);
}

void steps_start(struct steps *steps, const struct step *list, void *job, steps_done_fn *on_done)
{
    MUST(!steps_is_busy(steps));
    steps->at = list;
    steps->job = job;
    steps->on_done = on_done;
    steps->failed = NULL;
    steps->result = (struct store_result){.outcome = STORE_DONE, .partition = -1};
    advance(steps, STEP_AGAIN);
}

enum step_move steps_query(struct steps *steps, const struct database_statement *statement)
{
    database_query(steps->database, statement, on_reply, steps);
    return STEP_WAIT;
}

enum step_move steps_command(struct steps *steps, const char *sql)
{
    return steps_query(steps, &(struct database_statement){.sql = sql});
}

enum step_move steps_copy(struct steps *steps, const struct database_copy *copy)
{
    database_copy(steps->database, copy, on_reply, steps);
    return STEP_WAIT;
}

void steps_again(struct steps *steps)
{
    MUST(steps_is_busy(steps));
    advance(steps, STEP_AGAIN);
}

enum step_move steps_connect(struct steps *steps)
{
    if (database_is_open(steps->database))
        return STEP_NEXT;
    database_open(steps->database, on_reply, steps);
    return STEP_WAIT;
}

enum step_move steps_stop(struct steps *steps, enum store_outcome outcome, int partition, const char *format,
                          ...)
{
    steps->result = (struct store_result){.outcome = outcome, .partition = partition};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(steps->result.reason, sizeof steps->result.reason, format, arguments);
    va_end(arguments);
    return STEP_STOP;
}
