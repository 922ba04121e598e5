/* SPDX-License-Identifier: Apache-2.0
 * sim_statements: carries out the aggregator's own SQL on sim_postgres.
 *
 * A statement is known by how its text begins; one that is not known ends the test. What decides whether a hit
 * counts once is taken from the text itself: which columns the fence compares, whether it locks, whether
 * stored rows are looked for. So a mutant is a piece of text that is replaced (struct sim_edit) before it is
 * read. Everything else is what the statement means, written down by hand in sim_claims.c and sim_batches.c;
 * the tests with a real server say that Postgres means the same. One thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_STATEMENTS_H
#define TESTS_UNIT_AGGREGATOR_SIM_STATEMENTS_H

#include "tests/unit/aggregator/sim_call.h"

/* WAITS: nothing has happened yet, but that locks of rows may have been taken. */
enum sim_verdict sim_statements_run(struct sim_call *call);
/* Waiting for the row of a partition is what this one is for. */
bool sim_statements_may_wait(const char *sql);
/* It has nothing to do with anybody else: no turn is spent on it. */
bool sim_statements_is_private(const char *sql);

struct sim_edit {
    const char *text;
    const char *instead;
};
/* For all that follows; a NULL text ends them. Borrowed. */
void sim_statements_edit(const struct sim_edit *edits);

/* sim_claims.c */
enum sim_verdict sim_make_row(struct sim_call *call);
enum sim_verdict sim_own_row(struct sim_call *call);
enum sim_verdict sim_keep_halt(struct sim_call *call);
enum sim_verdict sim_read_changes(struct sim_call *call);
enum sim_verdict sim_find_holes(struct sim_call *call);
enum sim_verdict sim_end_holder(struct sim_call *call);
enum sim_verdict sim_check_fence(struct sim_call *call);
enum sim_verdict sim_move_fence(struct sim_call *call);
enum sim_verdict sim_peek_strays(struct sim_call *call);

/* sim_batches.c */
enum sim_verdict sim_load_streams(struct sim_call *call);
enum sim_verdict sim_save_sets(struct sim_call *call);
enum sim_verdict sim_save_audit(struct sim_call *call);
enum sim_verdict sim_take_strays(struct sim_call *call);
enum sim_verdict sim_take_stored(struct sim_call *call);
enum sim_verdict sim_forget_changes(struct sim_call *call);
enum sim_verdict sim_copy_hits(struct sim_call *call);
enum sim_verdict sim_copy_closed(struct sim_call *call);
enum sim_verdict sim_copy_changes(struct sim_call *call);
enum sim_verdict sim_copy_strays(struct sim_call *call);
enum sim_verdict sim_copy_sums(struct sim_call *call);

#endif
