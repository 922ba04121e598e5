/* SPDX-License-Identifier: Apache-2.0
 * steps: runs a list of named steps over the database, each at most one statement, and ends with one result.
 *
 * claiming and writing are such lists. A step's `send` sends a statement (steps_query, steps_command,
 * steps_copy), does pure work, or finds nothing to do; its `take` reads the answer. What a failed statement
 * means is looked up in the outcome table, here and nowhere else; after a failure or a stop an open
 * transaction is rolled back before on_done is called. Loop thread only. */
#ifndef AGGREGATOR_STEPS_H
#define AGGREGATOR_STEPS_H

#include "aggregator/database.h"
#include "aggregator/outcome.h"

enum step_move {
    STEP_WAIT,  /* of send: a statement is under way, or something else that ends with steps_again */
    STEP_NEXT,  /* go on with the next step */
    STEP_AGAIN, /* of take: the same step once more */
    STEP_STOP,  /* from steps_stop: the result says why */
};

struct step {
    const char *name; /* for the result's reason; NULL ends the list */
    enum step_move (*send)(void *job);
    enum step_move (*take)(void *job, const struct database_reply *reply); /* NULL: any success is NEXT */
};

/* failed: the row of the outcome table when a statement failed, else NULL. */
typedef void steps_done_fn(void *job, const struct store_result *result, const struct outcome *failed);

struct steps {
    struct database *database;
    const struct step *at; /* NULL: nothing is under way */
    void *job;
    steps_done_fn *on_done;
    struct store_result result;
    const struct outcome *failed;
};

void steps_init(struct steps *steps, struct database *database);
bool steps_is_busy(const struct steps *steps);
void steps_start(struct steps *steps, const struct step *list, void *job, steps_done_fn *on_done);

/* For use in `send`; they return STEP_WAIT. Borrow as database_query and database_copy do. */
enum step_move steps_query(struct steps *steps, const struct database_statement *statement);
enum step_move steps_command(struct steps *steps, const char *sql);
enum step_move steps_copy(struct steps *steps, const struct database_copy *copy);
/* Calls the `send` once more that waits without a statement. */
void steps_again(struct steps *steps);
/* Connects when there is no connection, else STEP_NEXT. */
enum step_move steps_connect(struct steps *steps);
/* Ends the list with this result; partition -1: none in particular. */
enum step_move steps_stop(struct steps *steps, enum store_outcome outcome, int partition, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

#endif
