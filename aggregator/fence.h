/* SPDX-License-Identifier: Apache-2.0
 * fence: the first and the last statement of a batch transaction, which make it count exactly once or not at
 * all.
 *
 * The rows of footfall.partitions of all claims are locked in one order and compared with what the claims
 * hold: owner (random, so a lost claim repeats none), next_offset (who else committed), version (changes that
 * move no offset). Who holds the lock is the only one who can move the row; the last statement compares once
 * more and must move every row. Fills statements and reads their answers; sends nothing. */
#ifndef AGGREGATOR_FENCE_H
#define AGGREGATOR_FENCE_H

#include "aggregator/arrays.h"
#include "aggregator/claim.h"

struct fence_claims { /* ascending by partition */
    const char *topic;
    struct claim *const *claims;
    size_t count;
};

void fence_check(const struct fence_claims *held, struct arrays *arrays,
                 struct database_statement *statement);
enum fence_answer { FENCE_HELD, FENCE_LOST, FENCE_OTHER_CONNECTION };
/* LOST: *partition is the first whose row says otherwise. OTHER_CONNECTION: the row is ours, but names the
 * backend of a connection that is gone: a successor could not free its lock. */
enum fence_answer fence_read(const struct fence_claims *held, const struct pg_result *result, int *partition);

/* next_offsets by partition, -1: stays. The statement must be about held->count rows. */
void fence_move(const struct fence_claims *held, const int64_t *next_offsets, struct arrays *arrays,
                struct database_statement *statement);
/* The move was committed: so are the claims. */
void fence_note_moved(const struct fence_claims *held, const int64_t *next_offsets);

#endif
