/* SPDX-License-Identifier: Apache-2.0
 * reject_rate: how many of a partition's last messages could not be hits: the breaker that stops reading when
 * somebody writes what is none.
 *
 * aggregator -> reject_rate_note for each message -> reject_rate_is_too_high. A message that is read again,
 * because its batch was thrown away, is counted once. Rejects themselves are kept in rejected_hits whatever
 * is decided here. Lives with the process: a successor begins to count anew. A pure value, zeroed: nothing
 * seen. */
#ifndef AGGREGATOR_REJECT_RATE_H
#define AGGREGATOR_REJECT_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REJECT_RATE_WINDOW = 10000,  /* messages */
    REJECT_RATE_MIN_SEEN = 1000, /* fewer tell nothing */
    REJECT_RATE_MAX_PERCENT = 1,
};

struct reject_rate {
    int64_t next_offset; /* what stands before it was counted */
    uint32_t seen;       /* of the window */
    uint32_t rejected;   /* of those seen */
    uint32_t at;         /* where the next message goes, and the oldest one is when the window is full */
    uint64_t is_rejected[(REJECT_RATE_WINDOW + 63) / 64];
};

void reject_rate_note(struct reject_rate *rate, int64_t offset, bool is_rejected);
/* One that was counted as a hit, and that Postgres refused afterwards. */
void reject_rate_note_refused(struct reject_rate *rate, int64_t offset);
bool reject_rate_is_too_high(const struct reject_rate *rate);
/* What was seen is of no more meaning: a person has looked at it, and maybe sent the reader elsewhere. */
void reject_rate_reset(struct reject_rate *rate, int64_t next_offset);

#endif
