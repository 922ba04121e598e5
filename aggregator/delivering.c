/* SPDX-License-Identifier: Apache-2.0
 * delivering: see the header. */
#include "aggregator/delivering.h"

#include "aggregator/batch.h"
#include "base/failpoint.h"

/* May come while a statement is under way: then the step looks again by itself. */
static void on_change(void *context)
{
    struct delivering *delivering = context;
    if (!delivering->is_waiting)
        return;
    delivering->is_waiting = false;
    delivering->is_woken = true;
    steps_again(delivering->steps);
}

void delivering_init(struct delivering *delivering, struct steps *steps, struct enriched *enriched)
{
    *delivering = (struct delivering){.steps = steps, .enriched = enriched};
    if (enriched != NULL)
        enriched_watch(enriched, on_change, delivering);
}

static enum step_move wait(struct delivering *delivering)
{
    delivering->is_waiting = true;
    return STEP_WAIT;
}

static enum step_move stop(struct delivering *delivering)
{
    return steps_stop(delivering->steps, STORE_UNDELIVERED, -1, "%s", enriched_reason(delivering->enriched));
}

enum step_move delivering_reach(struct delivering *delivering, const struct batch *batch)
{
    if (delivering->enriched == NULL || batch->hit_count == 0)
        return STEP_NEXT;
    enum status status = enriched_reach(delivering->enriched);
    if (status == STATUS_AGAIN)
        return wait(delivering);
    return status == STATUS_OK ? STEP_NEXT : stop(delivering);
}

enum step_move delivering_send(struct delivering *delivering, const struct batch *batch)
{
    if (delivering->enriched == NULL || batch->hit_count == 0)
        return STEP_NEXT;
    delivering->is_sent = true;
    delivering->is_woken = false;
    enriched_send(delivering->enriched, batch);
    FAILPOINT("enriched_sent");
    return STEP_NEXT;
}

enum step_move delivering_confirm(struct delivering *delivering)
{
    if (!delivering->is_sent)
        return STEP_NEXT;
    enum status status = enriched_confirm(delivering->enriched);
    if (status == STATUS_OK)
        return STEP_NEXT;
    if (status != STATUS_AGAIN)
        return stop(delivering);
    if (!delivering->is_woken)
        return wait(delivering);
    delivering->is_woken = false;
    return steps_command(delivering->steps, "SELECT 1");
}

void delivering_end(struct delivering *delivering)
{
    delivering->is_sent = false;
    delivering->is_waiting = false;
    if (delivering->enriched != NULL)
        enriched_forget(delivering->enriched);
}
