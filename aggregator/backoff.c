/* SPDX-License-Identifier: Apache-2.0
 * backoff: see the header. */
#include "aggregator/backoff.h"

#include "base/uuid.h"

static int64_t with_jitter(int64_t wait_ms)
{
    uint16_t random;
    random_bytes(&random, sizeof random);
    return wait_ms * 9 / 10 + wait_ms / 5 * random / UINT16_MAX;
}

int64_t backoff_next(struct backoff *backoff)
{
    MUST(backoff->min_ms > 0 && backoff->min_ms <= backoff->max_ms);
    int64_t wait_ms = backoff->next_ms > backoff->min_ms ? backoff->next_ms : backoff->min_ms;
    int64_t longer_ms = wait_ms + wait_ms / 4 + 1;
    backoff->next_ms = longer_ms < backoff->max_ms ? longer_ms : backoff->max_ms;
    return with_jitter(wait_ms);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->next_ms = 0;
}
