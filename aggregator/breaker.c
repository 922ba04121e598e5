/* SPDX-License-Identifier: Apache-2.0
 * breaker: see the header. */
#include "aggregator/breaker.h"

#include "base/uuid.h"

_Static_assert(BREAKER_WINDOW < 32, "the outcomes are bits of one word");

static void note_outcome(struct breaker *breaker, bool has_failed)
{
    breaker->outcomes = (breaker->outcomes << 1 | has_failed) & ((UINT32_C(1) << BREAKER_WINDOW) - 1);
    if (breaker->outcome_count < BREAKER_WINDOW)
        breaker->outcome_count++;
    breaker->failures_in_row = has_failed ? breaker->failures_in_row + 1 : 0;
}

static bool has_failed_too_often(const struct breaker *breaker)
{
    return breaker->failures_in_row >= BREAKER_FAILURES_IN_ROW ||
           (breaker->outcome_count == BREAKER_WINDOW &&
            2 * __builtin_popcount(breaker->outcomes) > BREAKER_WINDOW);
}

static int64_t with_jitter(int64_t wait_ms)
{
    uint16_t random;
    random_bytes(&random, sizeof random);
    return wait_ms * 9 / 10 + wait_ms / 5 * random / UINT16_MAX;
}

static void open(struct breaker *breaker, int64_t wait_ms, mono_ms now)
{
    *breaker = (struct breaker){.state = BREAKER_OPEN, .wait_ms = wait_ms};
    breaker->probe_at = (mono_ms){now.ms + with_jitter(wait_ms)};
}

bool breaker_is_open(const struct breaker *breaker, mono_ms now)
{
    return breaker->state == BREAKER_HALF_OPEN ||
           (breaker->state == BREAKER_OPEN && now.ms < breaker->probe_at.ms);
}

bool breaker_admit(struct breaker *breaker, mono_ms now)
{
    if (breaker_is_open(breaker, now))
        return false;
    if (breaker->state == BREAKER_OPEN)
        breaker->state = BREAKER_HALF_OPEN;
    return true;
}

void breaker_note_success(struct breaker *breaker)
{
    if (breaker->state == BREAKER_HALF_OPEN)
        *breaker = (struct breaker){.state = BREAKER_CLOSED};
    else if (breaker->state == BREAKER_CLOSED)
        note_outcome(breaker, false);
}

bool breaker_note_failure(struct breaker *breaker, mono_ms now)
{
    if (breaker->state == BREAKER_OPEN) /* sent before it opened */
        return false;
    int64_t wait_ms = BREAKER_MIN_WAIT_MS;
    if (breaker->state == BREAKER_HALF_OPEN) {
        wait_ms = 2 * breaker->wait_ms;
        wait_ms = wait_ms < BREAKER_MAX_WAIT_MS ? wait_ms : BREAKER_MAX_WAIT_MS;
    } else {
        note_outcome(breaker, true);
        if (!has_failed_too_often(breaker))
            return false;
    }
    open(breaker, wait_ms, now);
    return true;
}
