/* SPDX-License-Identifier: Apache-2.0
 * backoff: see the header. */
#include "aggregator/backoff.h"

#include "base/uuid.h"

int64_t backoff_next(struct backoff *backoff)
{
    MUST(backoff->min_ms > 0 && backoff->min_ms <= backoff->max_ms);
    int64_t wait_ms = backoff->next_ms > backoff->min_ms ? backoff->next_ms : backoff->min_ms;
    backoff->next_ms = wait_ms < backoff->max_ms / 2 ? wait_ms * 2 : backoff->max_ms;
    uint16_t random;
    random_bytes(&random, sizeof random);
    return wait_ms * 3 / 4 + wait_ms / 2 * random / UINT16_MAX;
}

void backoff_reset(struct backoff *backoff)
{
    backoff->next_ms = 0;
}
