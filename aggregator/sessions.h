/* SPDX-License-Identifier: Apache-2.0
 * sessions: the open sessions of one partition: for each (ip, host) a set of disjoint intervals, more than
 * gap apart.
 *
 * merge adds parts (hits, taken rows, strays) and asks which sessions changed and which are due to close; a
 * claim replays stored changes. Membership never depends on closing: a session that leaves memory is a row,
 * and a late hit takes the row back. Owns its entries and strings; entries are compact (aim <= 64 bytes
 * besides shared strings) and chained by index. Loop thread only. Bounded by max_open: when full,
 * sessions_close_due gives the oldest early. The hash is seeded, so that a visitor cannot choose collisions.
 */
#ifndef AGGREGATOR_SESSIONS_H
#define AGGREGATOR_SESSIONS_H

#include "aggregator/session.h"

struct sessions;

struct sessions *sessions_new(int64_t gap_ms, size_t max_open);
void sessions_free(struct sessions **sessions);
size_t sessions_count(const struct sessions *sessions);

/* Adds one part: joins every interval of its key that it touches, else opens one. The result is marked
 * changed. */
void sessions_add(struct sessions *sessions, const struct session *part, mono_ms now);
/* Replays one stored change: removes every interval of the key that [start, last] overlaps, then puts the
 * value in its place unless it is a tombstone (events == 0). Marks nothing changed. */
void sessions_replay(struct sessions *sessions, const struct session *change, mono_ms now);

/* Gives the sessions changed since the last call to sessions_changes_clear, each once, in a stable order;
 * false at the end. *cursor starts at 0. Slices are borrowed until the store is next modified. */
bool sessions_next_changed(const struct sessions *sessions, size_t *cursor, struct session *out);
void sessions_changes_clear(struct sessions *sessions);
/* Walks all open sessions (to fold the stored changes, and for tests). */
bool sessions_next(const struct sessions *sessions, size_t *cursor, struct session *out);

/* Takes out one session that is due: last + gap + lateness <= watermark and untouched for settle_ms of
 * monotonic time; or, when the store is over max_open, the one with the earliest end. False when none is due.
 * Its slices are borrowed until the next call on the store. A taken session that was marked changed is no
 * longer in the changes. */
bool sessions_take_due(struct sessions *sessions, wall_ms watermark, int64_t lateness_ms, mono_ms now,
                       struct session *out);
/* True when sessions_take_due would give one: cheap, asked every tick. */
bool sessions_has_due(struct sessions *sessions, wall_ms watermark, int64_t lateness_ms, mono_ms now);

enum {
    SESSIONS_SETTLE_MS = 3000
}; /* untouched for so long before it closes: a replay of old hits does not take one row back again and again
    */

#endif
