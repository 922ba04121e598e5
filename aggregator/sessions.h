/* SPDX-License-Identifier: Apache-2.0
 * sessions: the open sessions of one partition: for each (ip, host) a set of disjoint intervals, more than
 * gap apart, and which of them Postgres does not know yet as they are.
 *
 * merge adds parts (hits, taken rows, strays), takes out what is due and writes down the changes; a claim
 * replays the stored ones. Membership never depends on closing: a session that leaves memory is a row, and a
 * late hit takes the row back. Memory is what is committed plus the batch under way: after a failure the
 * whole object is thrown away. Owns its entries (entries.h: 64 bytes each) and their texts. Loop thread only.
 * Bounded by max_open: beyond it sessions_take_due gives the oldest early. */
#ifndef AGGREGATOR_SESSIONS_H
#define AGGREGATOR_SESSIONS_H

#include "aggregator/session.h"

struct sessions;

/* Untouched for so long before it closes: a replay of old hits does not take one row back again and again. */
enum { SESSIONS_SETTLE_MS = 3000 };

/* max_open: at most 2^30; an entry takes 64 bytes, 16 more when its address is IPv6, and 4 to 8 in the table.
 */
struct sessions *sessions_new(int64_t gap_ms, size_t max_open);
void sessions_free(struct sessions **sessions); /* accepts NULL, leaves NULL */
size_t sessions_count(const struct sessions *sessions);
bool sessions_is_over(const struct sessions *sessions); /* more than max_open */

/* Adds one part: joins every interval of its key that it touches, else opens one. */
void sessions_add(struct sessions *sessions, const struct session *part, mono_ms now);
/* Replays one stored change, in the order of (version, ordinal): removes every interval of the key that
 * [start, last] overlaps, then puts the value in its place unless it is a tombstone (events == 0). Before
 * anything is added (MUST). */
void sessions_replay(struct sessions *sessions, const struct session *change, mono_ms now);
/* Walks all open sessions; *cursor starts at 0. Slices are borrowed until the store is next modified. */
bool sessions_next(const struct sessions *sessions, size_t *cursor, struct session *out);

/* What is asked for, and how much may be done for it: a session that was hit again is found where it would have
 * been due, and is put where it is now; looks says how many such may be met, and is counted down. When it is
 * used up none is found, and the next question goes on from there: so neither a million that were hit again nor
 * a million that are due after a restart stall the loop. */
struct sessions_question {
    wall_ms watermark;
    int64_t lateness_ms;
    mono_ms now;
    size_t looks;
};

/* Looks in one turn of the loop, for all partitions: a few milliseconds, and four for each hit of a batch. */
enum { SESSIONS_LOOKS_A_TURN = 20000 };

/* Takes out one session that is due: last + gap + lateness <= watermark and untouched for SESSIONS_SETTLE_MS;
 * either is seen at most two seconds of its own clock late. Else, while there are more than max_open, one
 * that the watermark has passed, else one with the earliest end (to the second). False when there is none.
 * Slices are borrowed until sessions_note_stored. */
bool sessions_take_due(struct sessions *sessions, struct sessions_question *question, struct session *out);
/* True when sessions_take_due would give one: cheap, asked every tick. */
bool sessions_has_due(struct sessions *sessions, struct sessions_question *question);

/* What changed since sessions_note_stored: each session that is to be stored anew, and a tombstone (events
 * == 0) for each that Postgres still takes for open. Each once; *cursor starts at 0. Slices as in
 * sessions_next. */
bool sessions_next_change(const struct sessions *sessions, size_t *cursor, struct session *out);
/* The changes, all of them, are stored under this version, greater than any before. */
void sessions_note_stored(struct sessions *sessions, int64_t version);
/* Rows in footfall.open_session_changes, all that were replayed or noted less those forgotten. */
int64_t sessions_change_rows(const struct sessions *sessions);
/* True when enough stored changes are of no more use: those of versions below *before are then no longer
 * counted and are to be deleted. To be asked after sessions_note_stored. */
bool sessions_forget_changes(struct sessions *sessions, int64_t *before);
/* Stored changes can be forgotten in their order only, so one session that stays as it is for long (its hit
 * lies in the future) keeps all that come after. When they outgrow the live set this marks a few such
 * sessions as changed. To be called once a batch, before the changes are walked. */
void sessions_renew_old_changes(struct sessions *sessions);

#endif
