/* SPDX-License-Identifier: Apache-2.0
 * seen: the ids given from outside that were taken lately, so that a page's retry and a proxy's second mirror
 * of one request are stored once.
 *
 * The last max_ids or keep_ms, whichever is less, in memory of fixed size; beyond that a repeat is a new hit.
 * An id enters as pending, with the number of whoever holds it; a repeat of a pending id learns that number
 * and waits for the same delivery. The holder then settles the id, or forgets it when the delivery failed, so
 * that a retry is stored. The window lives in memory: a restart empties it.
 * The index has a random seed: nobody can choose ids that collide. Owner: the intake. Loop thread only;
 * allocates once. */
#ifndef COLLECTOR_SEEN_H
#define COLLECTOR_SEEN_H

#include "base/uuid.h"

struct seen;

enum seen_state {
    SEEN_NEW,     /* entered as pending, held by the given holder */
    SEEN_PENDING, /* *holder says by whom */
    SEEN_DONE
};

struct seen *seen_new(size_t max_ids, int64_t keep_ms);
void seen_free(struct seen **seen); /* accepts NULL */
/* *holder: who enters it; set to who holds it when the id is pending. */
enum seen_state seen_add(struct seen *seen, uuid id, mono_ms now, uint32_t *holder);
/* Both do nothing when the id has left the window or is held by somebody else by now. */
void seen_settle(struct seen *seen, uuid id, uint32_t holder);
void seen_forget(struct seen *seen, uuid id, uint32_t holder);
/* Ids in the window. */
size_t seen_count(const struct seen *seen);

#endif
