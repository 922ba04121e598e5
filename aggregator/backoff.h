/* SPDX-License-Identifier: Apache-2.0
 * backoff: how long to wait before the next attempt: each time a quarter longer, with jitter.
 *
 * So the last wait is about a quarter of the time that passed before: who was away for a minute is found
 * again 15 s after it came back at worst, which doubling would make a minute. Jitter of a tenth either way
 * keeps several processes from coming back at the same moment. Whoever tries keeps one of these and resets it
 * on success. Any thread. */
#ifndef AGGREGATOR_BACKOFF_H
#define AGGREGATOR_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_ms;
    int64_t max_ms;
    int64_t next_ms; /* 0: the first one */
};

int64_t backoff_next(struct backoff *backoff);
void backoff_reset(struct backoff *backoff);

#endif
