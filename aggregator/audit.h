/* SPDX-License-Identifier: Apache-2.0
 * audit: what the producer of a stream has said about it, and what is missing by that.
 *
 * A stream that has ended with number `last` is whole when 1 … last were each received or skipped. All of it
 * is unions of sets, so replays and any order are harmless: of two ends the greater one holds, a skip counts
 * once. It is an account and nothing else: whether a hit is new is asked of the received set alone, so that a
 * number which was said to be lost and comes all the same is stored. Pure, any thread. */
#ifndef AGGREGATOR_AUDIT_H
#define AGGREGATOR_AUDIT_H

#include "aggregator/received.h"
#include "base/clock.h"

struct audit { /* zeroed: nothing was said */
    bool is_ended;
    int64_t last;            /* 0: it ended without a number */
    wall_ms ended;           /* when that was written to Kafka */
    struct received skipped; /* will never come, or came and could not be stored */
};

void audit_fini(struct audit *audit);
/* False: nothing new. last is in 0 … RECEIVED_MAX_SEQ (MUST). */
bool audit_note_end(struct audit *audit, int64_t last, wall_ms written);
/* The same. Beyond RECEIVED_MAX_RANGES a skip is not noted: an alarm too many is better than one too few. */
bool audit_note_skip(struct audit *audit, struct received_range skip);

struct audit_missing {
    int64_t count;
    struct received_range first; /* when count > 0 */
};
/* Of a stream that has ended; of one that has not, nothing is missing yet. */
struct audit_missing audit_find_missing(const struct audit *audit, const struct received *received);

#endif
