/* SPDX-License-Identifier: Apache-2.0
 * outcome: what a statement that failed means for the claim or batch it belongs to.
 *
 * One table of SQLSTATE prefixes; the first that fits decides. A lost connection is always a retry: whether a
 * COMMIT was done before it broke is answered by the partition's row at the next claim. Pure, any thread. */
#ifndef AGGREGATOR_OUTCOME_H
#define AGGREGATOR_OUTCOME_H

#include "aggregator/database.h"
#include "aggregator/store.h"

struct outcome {
    const char *sqlstate; /* a prefix; empty: any */
    enum store_outcome outcome;
    bool must_reconnect; /* the session itself is no good any more */
    bool is_day_missing; /* what was known of day partitions is wrong */
    const char *mend;    /* for the person who reads a HALT; may be empty */
};

/* reply->outcome is not DATABASE_OK. */
const struct outcome *outcome_find(const struct database_reply *reply);

#endif
