/* SPDX-License-Identifier: Apache-2.0
 * days: which day partitions of processed_events are known to be there, and the statement that makes others.
 *
 * Writing asks before each batch: days that the batch holds, and once a day (at first, and after a failure
 * too) the week ahead, so that on most days nothing is made under load. Nothing waits for a day ahead that
 * cannot be made at once. Each statement is a transaction of its own. At most DAYS_MAX_MADE a statement,
 * since each partition holds locks until its end: ask until nothing is missing. Owned by the store; loop
 * thread. */
#ifndef AGGREGATOR_DAYS_H
#define AGGREGATOR_DAYS_H

#include "aggregator/arrays.h"
#include "aggregator/batch.h"
#include "aggregator/known.h"

enum { DAYS_MAX_MADE = 32, DAYS_AHEAD = 7, DAYS_MAX_KNOWN = 32768 };
_Static_assert((int)DAYS_MAX_KNOWN > (int)BATCH_MAX_HITS + DAYS_AHEAD,
               "all days of a batch are known at once");

struct days {
    struct known *known;    /* days since 1970-01-01 */
    struct known *doubtful; /* those before first_sure, for the batch under way */
    int32_t first_sure;
    size_t asked_count;
    int32_t asked[DAYS_MAX_MADE]; /* by the statement under way */
};

void days_init(struct days *days);
void days_fini(struct days *days);
/* Before a batch, where so many days are kept: older ones may be dropped at any time, by anybody, and are asked for
 * with each batch. */
void days_begin(struct days *days, const struct batch *batch, wall_ms now, int64_t kept_days);
/* True: *statement makes some of the batch's that are missing. */
bool days_ask(struct days *days, const struct batch *batch, struct arrays *arrays,
              struct database_statement *statement);
/* The statement was done. */
void days_note_made(struct days *days);
/* True: *statement makes those of the week ahead that are missing, as far as they can be made now. */
bool days_ask_ahead(struct days *days, wall_ms now, struct arrays *arrays,
                    struct database_statement *statement);
void days_note_made_ahead(struct days *days, const struct pg_result *result);
/* A day that was thought to be there is not. */
void days_forget(struct days *days);

#endif
