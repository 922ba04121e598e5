/* SPDX-License-Identifier: Apache-2.0
 * taking: rows that a batch takes out of Postgres because they belong together with what it holds: strays
 * whose home is claimed here, and stored sessions that a late hit touches.
 *
 * Rows are deleted and returned in the batch's transaction: when it fails they are still there. Fills
 * statements and gives the rows that come back to merge; sends nothing. Loop thread. */
#ifndef AGGREGATOR_TAKING_H
#define AGGREGATOR_TAKING_H

#include "aggregator/fence.h"
#include "aggregator/merge.h"

enum { TAKING_MAX_STRAYS = 5000 }; /* a batch; the rest waits for the next one */

/* True: *statement takes strays of the claims that have some. */
bool taking_ask_strays(const struct fence_claims *held, struct arrays *arrays,
                       struct database_statement *statement);
/* Which claims have strays is known afterwards, as far as one statement can tell. MALFORMED: a row that is no
 * session. */
enum status taking_read_strays(const struct fence_claims *held, const struct pg_result *result,
                               struct merge *merge) MUST_CHECK;

/* True: *statement takes the stored sessions that merge looks for. */
bool taking_ask_stored(const struct merge *merge, struct arrays *arrays,
                       struct database_statement *statement);
enum status taking_read_stored(const struct pg_result *result, struct merge *merge) MUST_CHECK;

#endif
