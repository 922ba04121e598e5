/* SPDX-License-Identifier: Apache-2.0
 * delivering: the steps of a batch that publish its new hits to `enriched.topic` and wait until they are
 * confirmed.
 *
 * writing calls them in its own steps; without `enriched.topic` they do nothing. What cannot be published ends
 * the batch as STORE_UNDELIVERED. A wait inside the transaction sends a statement now and then: it would be
 * ended as idle otherwise, and a connection that is gone is noticed. Loop thread only. */
#ifndef AGGREGATOR_DELIVERING_H
#define AGGREGATOR_DELIVERING_H

#include "aggregator/enriched.h"
#include "aggregator/steps.h"

struct delivering {
    struct steps *steps;       /* borrowed, as the next one */
    struct enriched *enriched; /* NULL: nothing is published */
    bool is_sent;              /* the batch under way */
    bool is_waiting;           /* the step under way, without a statement */
    bool is_woken;             /* since it began to wait */
};

void delivering_init(struct delivering *delivering, struct steps *steps, struct enriched *enriched);
/* Before the transaction: the topic is there, as far as we know. */
enum step_move delivering_reach(struct delivering *delivering, const struct batch *batch);
/* It is known which hits are new, and that Postgres takes them. */
enum step_move delivering_send(struct delivering *delivering, const struct batch *batch);
/* Before COMMIT; is to be repeated after each statement of its own. */
enum step_move delivering_confirm(struct delivering *delivering);
/* Whatever became of the batch. */
void delivering_end(struct delivering *delivering);

#endif
