/* SPDX-License-Identifier: Apache-2.0
 * seen: the ids given from outside that were taken lately, so that a page's retry and a proxy's second mirror
 * of one request are stored once.
 *
 * The last max_ids or keep_ms, whichever is less, in memory of fixed size; beyond that a repeat is a new hit.
 * An id enters with the journal position of its hit; a repeat learns that position and waits until the
 * journal is safe up to it, as the first one does: so nothing is ever settled or taken back here. A restart
 * fills the window from what the journal still holds. The index has a random seed: nobody can choose ids that
 * collide. Owner: the intake. Loop thread only; allocates once. */
#ifndef COLLECTOR_SEEN_H
#define COLLECTOR_SEEN_H

#include "base/uuid.h"

struct seen;

struct seen *seen_new(size_t max_ids, int64_t keep_ms);
void seen_free(struct seen **seen); /* accepts NULL */
/* True: it was not there; it is now, with this position (not 0). False: *position is that of its hit. */
bool seen_add(struct seen *seen, uuid id, mono_ms now, uint64_t *position);
/* Ids in the window. */
size_t seen_count(const struct seen *seen);

#endif
