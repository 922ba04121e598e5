/* SPDX-License-Identifier: Apache-2.0
 * writing: one batch, from what it needs beforehand to its COMMIT, as a list of steps.
 *
 *   agents, days (transactions of their own)
 *   -> begin -> fence check -> received sets -> merge starts -> received sets and audit saved
 *   -> strays and stored sessions taken -> merge finishes
 *   -> COPY of hits, closed sessions, changes, sums, strays, rejects -> fence move -> commit
 *
 * A step without anything to do sends nothing: a batch in health is nine statements. Owned by the store; loop
 * thread. The COMMIT is sent once: when its reply is lost, the partition's row knows. What the steps of
 * `enriched.topic` do is said in delivering.h. Failpoints, in the order in which a batch passes them:
 * after_fence_check, inside_copy (each piece sent), enriched_sent, before_commit, after_commit (its reply is
 * there and not yet read). */
#ifndef AGGREGATOR_WRITING_H
#define AGGREGATOR_WRITING_H

#include "aggregator/agents.h"
#include "aggregator/days.h"
#include "aggregator/delivering.h"
#include "aggregator/fence.h"
#include "aggregator/steps.h"

struct writing {
    struct steps *steps; /* borrowed, as the next one */
    const struct store_options *options;
    struct days days;
    struct known *agents;
    struct delivering delivering;
    uint64_t session;     /* that days and agents were learnt in */
    struct arrays arrays; /* of the statement under way */
    struct buf scratch;
    slice *pieces; /* of the COPY under way */

    /* The batch under way. */
    struct store_batch batch;
    struct fence_claims held;
    const struct merge_output *output;
    size_t forget_at; /* the next of the claims to ask whether some of its changes are forgotten */
    char forget_partition[12];
    char forget_before[24];
    char retried_partition[12];
    store_written_fn *on_written;
    void *context;
};

void writing_init(struct writing *writing, struct steps *steps, const struct store_options *options);
void writing_fini(struct writing *writing);
void writing_start(struct writing *writing, const struct store_batch *batch, store_written_fn *on_written,
                   void *context);

#endif
