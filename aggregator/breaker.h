/* SPDX-License-Identifier: Apache-2.0
 * breaker: whether a service that fails is asked at all.
 *
 *   closed --failures--> open --wait is over--> half-open (one request) --good--> closed
 *                          ^-------------------------------bad, waits twice as long-+
 * It opens after BREAKER_FAILURES_IN_ROW failures, or when more than half of the last BREAKER_WINDOW requests
 * failed; the caller counts an answer that came too late to be of use as a failure, so slowness opens it too.
 * The wait doubles from BREAKER_MIN_WAIT_MS to BREAKER_MAX_WAIT_MS, with jitter of a tenth, so that several
 * programs do not probe at the same moment. A pure value, times are given. */
#ifndef AGGREGATOR_BREAKER_H
#define AGGREGATOR_BREAKER_H

#include "base/clock.h"

enum {
    BREAKER_FAILURES_IN_ROW = 5,
    BREAKER_WINDOW = 20,
    BREAKER_MIN_WAIT_MS = 30 * 1000,
    BREAKER_MAX_WAIT_MS = 15 * 60 * 1000,
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker { /* zeroed: closed */
    enum breaker_state state;
    int failures_in_row;
    uint32_t outcomes; /* the last BREAKER_WINDOW ones as bits, 1: failed, the latest lowest */
    int outcome_count;
    int64_t wait_ms;  /* of the last opening */
    mono_ms probe_at; /* when the wait is over */
};

/* Whether a request may be made now; one that may while half-open is the only one until it is noted. */
bool breaker_admit(struct breaker *breaker, mono_ms now);
/* Before breaker_admit would say yes; pure. */
bool breaker_is_open(const struct breaker *breaker, mono_ms now);
void breaker_note_success(struct breaker *breaker);
/* True when this failure opened it. */
bool breaker_note_failure(struct breaker *breaker, mono_ms now);

#endif
