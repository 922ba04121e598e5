/* SPDX-License-Identifier: Apache-2.0
 * received: the set of numbers already received of one stream, as ranges: one interval in health.
 *
 * A hit is new iff its seq is not in the set; a high-water mark would be wrong as soon as one message fails
 * and a later one lands. Saved as Postgres' int8multirange in the transaction that stores the hits. More than
 * RECEIVED_MAX_RANGES is FULL: the partition halts, nothing is approximated. Pure, any thread. */
#ifndef AGGREGATOR_RECEIVED_H
#define AGGREGATOR_RECEIVED_H

#include "base/buf.h"

enum { RECEIVED_MAX_RANGES = 65536 };
/* The end of a range is written as the number after its last one. */
#define RECEIVED_MAX_SEQ (INT64_MAX - 1)

struct received_range {
    int64_t from;
    int64_t to; /* inclusive */
};

struct received {
    size_t count;
    size_t cap;
    struct received_range *ranges; /* ascending, disjoint, not adjacent */
};

void received_fini(struct received *set); /* a zeroed struct is the empty set */
bool received_has(const struct received *set, int64_t seq);
/* OK: it was new and is in now. CONFLICT: it was there (a duplicate). FULL: too many ranges, nothing changed.
 * seq is in 1 … RECEIVED_MAX_SEQ (MUST). */
enum status received_add(struct received *set, int64_t seq) MUST_CHECK;
/* The same for all numbers of a range. OK: some were new; CONFLICT: all were there. */
enum status received_add_range(struct received *set, struct received_range range) MUST_CHECK;
/* The text form of int8multirange, as Postgres writes it: {[1,6),[8,9)}. At most 48 bytes a range. */
void received_write(const struct received *set, struct buf *out);
/* Gives the set, to be freed with received_fini; untouched on failure. MALFORMED: any other text than
 * received_write would write. FULL: too many ranges. */
enum status received_read(slice text, struct received *set) MUST_CHECK;

#endif
