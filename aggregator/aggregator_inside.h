/* SPDX-License-Identifier: Apache-2.0
 * aggregator_inside: what the parts of the aggregator share: aggregator.c takes messages in and decides whose
 * turn it is, committing.c claims and writes, awaiting.c lets a batch wait for its places, recovering.c deals
 * with failures, halting.c stops partitions. Included by them only. */
#ifndef AGGREGATOR_AGGREGATOR_INSIDE_H
#define AGGREGATOR_AGGREGATOR_INSIDE_H

#include <uv.h>

#include "aggregator/aggregator.h"
#include "aggregator/assignment.h"
#include "aggregator/enriched.h"
#include "aggregator/folding.h"
#include "aggregator/intake.h"
#include "aggregator/locator.h"
#include "aggregator/merge.h"
#include "aggregator/pace.h"
#include "aggregator/reject_rate.h"
#include "aggregator/retention.h"
#include "aggregator/store.h"
#include "base/log.h"

struct load { /* a batch and what was counted while it filled */
    struct batch *batch;
    struct metrics counts;
};

struct aggregator {
    struct aggregator_options options;
    struct log log;
    struct feed *feed;
    struct store *store;
    struct enriched *enriched; /* NULL: nothing is published */
    struct locator *locator;   /* NULL: the place service is not asked */
    struct folding *folding;
    struct retention *retention; /* NULL: all is kept */
    struct merge *merge;
    struct intake intake;
    mono_ms now; /* of this turn: aggregator_look_at_clock */

    /* Set when the broker has told how many partitions the topic has: 0 before. */
    int partition_count;
    struct assignment assignment;
    struct load loads[2];
    struct load *filling;
    struct load *writing;
    struct claim **claims; /* that the store borrows now */
    size_t claim_count;
    int64_t *quiet_ms;
    struct feed_position *positions;
    struct reject_rate *reject_rates; /* by partition */

    struct pace pace;
    struct backoff backoff;
    struct backoff enriched_backoff;
    mono_ms resume_at;    /* nothing is asked of Postgres before */
    mono_ms claim_at;     /* nothing is claimed before: we stood still */
    mono_ms committed_at; /* the last batch */
    mono_ms ends_asked_at;
    mono_ms narrow_until; /* what Postgres refuses is looked for: see recovering.c */
    int upkeep_at;        /* the partition that was kept up last, then */
    int claiming;         /* the partition under way */
    int halting;          /* the one whose halt is being kept */
    int generation;       /* of the assignment, when the store's work was begun */
    bool is_postgres_up;
    bool is_enriched_up;
    bool is_batch_failing; /* and to be retried: claims that succeed meanwhile do not end its back-off */
    bool is_dry;           /* the queue was empty when last looked at */
    bool is_list_stale;    /* what is read is not what is held */
    bool is_upkeep_due;    /* due sessions and strays are looked for */
    bool is_peek_due;
    bool is_audit_due; /* holes are looked for that are an alarm by now */

    uv_timer_t tick;
    uv_timer_t due; /* the filling batch is */
    uv_idle_t more; /* messages wait in the queue */
    int open_handles;
    bool is_stopping;
    mono_ms stop_at;
    void (*on_stopped)(void *context);
    void *stopped_context;
};

/* To be called first by whatever the loop calls. When we stood still for long, the group may have given our
 * partitions to somebody else, and we would steal them back: nothing is claimed until it had time to say so.
 */
void aggregator_look_at_clock(struct aggregator *aggregator);
/* Lets everything go on that can: reads, and starts the store's next work when it is idle. */
void aggregator_turn(struct aggregator *aggregator);

/* A person is needed for this partition: it is not read any more. The reason says what mends it. */
void halting_halt(struct aggregator *aggregator, int partition, const char *reason);
/* The same; that `resume` is the last step of the mend is added. */
void halting_until_resumed(struct aggregator *aggregator, int partition, const char *reason);
void halting_take_fault(struct aggregator *aggregator, const struct feed_fault *fault);
/* Counts what became of a message, and halts its partition when too many are rejected. */
enum halting_fate { HALTING_HIT, HALTING_REJECTED, HALTING_REFUSED /* by Postgres, after it was counted */ };
void halting_note_message(struct aggregator *aggregator, const struct feed_message *message,
                          enum halting_fate fate);
/* A person has looked: the partition could be claimed. */
void halting_end(struct aggregator *aggregator, const struct claim *claim);

/* The store has failed: throws away what is not committed, and arranges what comes next. */
void recovering_act(struct aggregator *aggregator, const struct store_result *result);
void recovering_note_fenced(struct aggregator *aggregator, const struct store_result *result);
/* The store's work was begun for an assignment that is gone. */
bool recovering_is_stale(const struct aggregator *aggregator);
/* What Postgres refuses is looked for: a batch holds either messages or what one partition has due. */
bool recovering_is_narrow(const struct aggregator *aggregator);

/* The store is idle: starts what is due next, if anything is. */
void committing_start(struct aggregator *aggregator);
/* Milliseconds until the filling batch is due; -1: it is empty. */
int64_t committing_wait_ms(const struct aggregator *aggregator);

#endif
