/* SPDX-License-Identifier: Apache-2.0
 * waiting: the requests that are answered when the journal is safe up to a position; a queue of fixed size.
 *
 * What is safe only grows, and so do the positions that are waited for: the first in the queue is always the
 * first to go. A request that repeats an id waits for that hit, and at least as long as those who came before
 * it. Owner: the intake. Loop thread only; allocates once. */
#ifndef COLLECTOR_WAITING_H
#define COLLECTOR_WAITING_H

#include "collector/journal.h"

struct http_request;
struct waiting;

struct waiting *waiting_new(size_t max);
void waiting_free(struct waiting **waiting); /* accepts NULL */
bool waiting_has_room(const struct waiting *waiting);
/* There is room (MUST). position: the last that the request waits for. */
void waiting_add(struct waiting *waiting, struct http_request *request, journal_position position,
                 mono_ms now);
/* Takes the first request, when it waits for a position below `safe`; else NULL. */
struct http_request *waiting_take_safe(struct waiting *waiting, journal_position safe);
/* Takes the first request, when it came before `since`; else NULL. */
struct http_request *waiting_take_older(struct waiting *waiting, mono_ms since);
size_t waiting_count(const struct waiting *waiting);

#endif
