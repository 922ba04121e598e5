/* SPDX-License-Identifier: Apache-2.0
 * session: the algebra of sessions: one interval of hits of a visitor (ip, host), and how two of them become
 * one.
 *
 * Two hits belong together iff they are at most `gap` apart (exactly the gap is together, as Flink's session
 * windows have it). Every member of the value is order-free: sums, least, greatest; ties of the first and of
 * the last hit are broken by the hit's content, so any order and grouping of merges gives the same bytes. The
 * same value is an open session, a stored row, a change, a stray and the part that one hit adds. Pure, any
 * thread. */
#ifndef AGGREGATOR_SESSION_H
#define AGGREGATOR_SESSION_H

#include "base/address.h"
#include "base/clock.h"

struct session {
    ip_address ip;
    slice host;
    wall_ms start; /* event time of the first hit */
    wall_ms last;  /* event time of the last hit; the column end_session is last + gap */
    int64_t events;
    int64_t bot_events;
    slice entry_url; /* of the first hit: least (time, url, referrer, country, state, city) */
    slice referrer;
    slice country; /* empty: unknown */
    slice state;
    slice city;
    slice exit_url; /* of the last hit: greatest (time, url) */
};

enum { SESSION_MAX_TEXT = 4096 };
/* Years 0 to 9999, as our timestamps have them. */
#define SESSION_MIN_TIME_MS INT64_C(-62167219200000)
#define SESSION_MAX_TIME_MS INT64_C(253402300799999)
/* A session of more events counts as one of so many: sums that stop there are as order-free as sums, and
 * cannot overflow. Ten thousand hits a second of one visitor reach it after three years. */
#define SESSION_MAX_EVENTS ((INT64_C(1) << 40) - 1)

/* What every session keeps to: a host, texts of at most SESSION_MAX_TEXT bytes, times in order and in range,
 * 0 <= bot_events <= events <= SESSION_MAX_EVENTS. To be asked of what comes from outside (a row that a
 * person wrote); the functions here and struct sessions rely on it. */
bool session_is_sound(const struct session *session);

bool session_is_same_key(const struct session *a, const struct session *b);
/* True when a and b (of one key) are one session. */
bool session_touches(const struct session *a, const struct session *b, int64_t gap_ms);
/* The same of times alone; with a gap of 0: they overlap. */
struct session_span {
    wall_ms start;
    wall_ms last;
};
bool session_spans_touch(struct session_span a, struct session_span b, int64_t gap_ms);
/* The order of first hits: (time, entry_url, referrer, country, state, city). */
bool session_starts_before(const struct session *a, const struct session *b);
/* The order of last hits: (time, exit_url). */
bool session_ends_after(const struct session *a, const struct session *b);
/* The sum, at most SESSION_MAX_EVENTS. */
int64_t session_add_events(int64_t a, int64_t b);
/* *into becomes the union. Slices are borrowed from both. */
void session_merge(struct session *into, const struct session *other);

#endif
