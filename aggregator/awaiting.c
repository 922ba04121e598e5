/* SPDX-License-Identifier: Apache-2.0
 * awaiting: see the header. */
#include "aggregator/awaiting.h"

#include "aggregator/aggregator_inside.h"

enum { MAX_LAG = 500 /* records of a partition; beyond it we are behind */ };

static bool is_caught_up(const struct aggregator *aggregator, const struct batch *batch)
{
    for (int i = 0; i < aggregator->partition_count; i++)
        if (batch->next_offsets[i] >= 0 && feed_lag(aggregator->feed, i, batch->next_offsets[i]) > MAX_LAG)
            return false;
    return true;
}

bool awaiting_is_worthwhile(struct aggregator *aggregator)
{
    struct batch *batch = aggregator->filling->batch;
    if (!batch_awaits_places(batch, aggregator->options.places))
        return false;
    if (batch->waits_since.ms == 0 && is_caught_up(aggregator, batch))
        batch->waits_since = aggregator->now;
    return awaiting_wait_ms(aggregator) > 0;
}

int64_t awaiting_wait_ms(const struct aggregator *aggregator)
{
    mono_ms since = aggregator->filling->batch->waits_since;
    int64_t left_ms = since.ms + AWAITING_MAX_MS - aggregator->now.ms;
    return since.ms != 0 && left_ms > 0 ? left_ms : 0;
}

void awaiting_end(struct aggregator *aggregator)
{
    struct batch *batch = aggregator->filling->batch;
    if (batch->waits_since.ms != 0)
        metrics_add(aggregator->options.metrics, METRICS_PLACE_WAITS,
                    aggregator->now.ms - batch->waits_since.ms);
    batch_settle_places(batch, aggregator->options.places);
}
