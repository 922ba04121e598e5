/* SPDX-License-Identifier: Apache-2.0
 * awaiting: the part of the aggregator that lets a batch wait for better places: at most AWAITING_MAX_MS, and
 * only while its partitions are caught up.
 *
 * committing -> awaiting_is_worthwhile, when the batch is due -> (locator.on_change -> turn -> …) ->
 * awaiting_end. A batch that waits takes no more messages, so that new addresses do not make it wait longer.
 */
#ifndef AGGREGATOR_AWAITING_H
#define AGGREGATOR_AWAITING_H

#include <stdbool.h>
#include <stdint.h>

struct aggregator;

enum { AWAITING_MAX_MS = 500 };

/* Whether the filling batch, which is due, may get better places soon; it waits from the first call on. */
bool awaiting_is_worthwhile(struct aggregator *aggregator);
/* Milliseconds until its wait is over; 0: it does not wait, or no longer. */
int64_t awaiting_wait_ms(const struct aggregator *aggregator);
/* It is written now, with the places that are known. */
void awaiting_end(struct aggregator *aggregator);

#endif
