/* SPDX-License-Identifier: Apache-2.0
 * budget: how many calls to a paid service this process may still make.
 *
 * The budget of a day and of a month stands in Postgres, for all aggregators together; each leases a few
 * calls at a time (locations_lease), so neither a restart nor a second aggregator makes more calls than
 * allowed. What a process that ends had leased and not used is lost: at most BUDGET_MAX_LEASE. A lease is for
 * the day on which it was made, by the clock of the database. A pure value, times are given. */
#ifndef AGGREGATOR_BUDGET_H
#define AGGREGATOR_BUDGET_H

#include "base/clock.h"

enum { BUDGET_MAX_LEASE = 50, BUDGET_RECHECK_MS = 10 * 60 * 1000, BUDGET_RETRY_MS = 5 * 1000 };

struct budget {
    int64_t lease_size;
    int64_t calls_left;
    int32_t day;      /* of calls_left, since 1970 */
    mono_ms day_ends; /* calls_left is 0 from then on */
    mono_ms ask_at;   /* no lease is asked for before: there was nothing left, or no answer */
    bool is_asking;
    bool has_failed; /* there was no answer to the last question for a lease */
};

struct budget_lease { /* what the database granted */
    int64_t calls;    /* 0: the day or the month is used up */
    int32_t day;
    int64_t day_left_ms;
};

/* A hundredth of a day, so that what is lost with a lease is not missed. */
void budget_init(struct budget *budget, int64_t daily, int64_t monthly);
/* One call; false: none is left just now. */
bool budget_take(struct budget *budget, mono_ms now);
/* Why no call is to be had for a while, one clause for a person; NULL: one may be. Constant text. */
const char *budget_find_hindrance(const struct budget *budget, mono_ms now);
/* True when a lease is wanted: ask the database and note what it says. */
bool budget_begin_lease(struct budget *budget, mono_ms now);
void budget_note_lease(struct budget *budget, const struct budget_lease *lease, mono_ms now);
void budget_note_failure(struct budget *budget, mono_ms now);

#endif
