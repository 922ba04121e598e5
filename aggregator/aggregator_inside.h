/* SPDX-License-Identifier: Apache-2.0
 * aggregator_inside: what the two halves of the aggregator share: aggregator.c takes messages in and decides
 * whose turn it is, committing.c claims, writes and deals with what the store says. Included by them only. */
#ifndef AGGREGATOR_AGGREGATOR_INSIDE_H
#define AGGREGATOR_AGGREGATOR_INSIDE_H

#include <uv.h>

#include "aggregator/aggregator.h"
#include "aggregator/assignment.h"
#include "aggregator/intake.h"
#include "aggregator/merge.h"
#include "aggregator/pace.h"
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

    struct pace pace;
    struct backoff backoff;
    mono_ms resume_at;    /* nothing is asked of Postgres before */
    mono_ms claim_at;     /* nothing is claimed before: we stood still */
    mono_ms committed_at; /* the last batch */
    mono_ms ends_asked_at;
    int claiming;   /* the partition under way */
    int generation; /* of the assignment, when the store's work was begun */
    bool is_postgres_up;
    bool is_dry;        /* the queue was empty when last looked at */
    bool is_list_stale; /* what is read is not what is held */
    bool is_upkeep_due; /* due sessions and strays are looked for */
    bool is_peek_due;

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
/* A person is needed for this partition: it is not read any more. */
void aggregator_halt(struct aggregator *aggregator, int partition, const char *reason);

/* The store is idle: starts what is due next, if anything is. */
void committing_start(struct aggregator *aggregator);
/* Milliseconds until the filling batch is due; -1: it is empty. */
int64_t committing_wait_ms(const struct aggregator *aggregator);

#endif
