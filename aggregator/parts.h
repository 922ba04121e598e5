/* SPDX-License-Identifier: Apache-2.0
 * parts: what one batch adds to sessions: the hits of each visitor, those that belong together in one part.
 *
 * merge puts hits, strays and stored rows in and walks what they became, so that each look-up, in memory or
 * in Postgres, is made once a part instead of once a hit. Parts of one key are always more than the gap
 * apart.
 *
 * Lemma: let the intervals of a set be pairwise more than the gap apart, and let v be joined with those of
 * them that it touches (is at most the gap away from). The whole touches none of the others. For let r touch
 * v and let x be one that does not: x is more than the gap away from both. It does not lie between them, for
 * they are at most the gap apart, and so is all that lies between. So it lies outside of their union, nearest
 * to v or to r: more than the gap away. Hence adding is one walk over the parts of a key, and no part has to
 * be looked at twice.
 *
 * Keys carry their home, which follows from them as long as nobody lies; the hash is seeded, so that a
 * visitor cannot choose collisions. Slices are borrowed from the caller until parts_clear. Pure; one thread.
 * Memory is kept for the next batch. Bounded by what is added in one batch; a key of n parts costs n steps a
 * hit. */
#ifndef AGGREGATOR_PARTS_H
#define AGGREGATOR_PARTS_H

#include "aggregator/session.h"

struct parts;

struct part {
    struct session value;
    int home;       /* partition of the key */
    uint32_t hash;  /* of home, ip and host */
    uint32_t next;  /* of the chain: position + 1; 0: the last */
    bool is_joined; /* became part of another one */
};

struct parts *parts_new(int64_t gap_ms);
void parts_free(struct parts **parts); /* accepts NULL, leaves NULL */
void parts_clear(struct parts *parts);
void parts_add(struct parts *parts, int home, const struct session *value);
/* Walks the parts; *cursor starts at 0; NULL at the end. Borrowed until the next parts_add. */
const struct part *parts_next(const struct parts *parts, size_t *cursor);

#endif
