/* SPDX-License-Identifier: Apache-2.0
 * assignment: which partitions the group gave us, which of them are claimed in Postgres, and what is to be
 * read of each.
 *
 *             assignment_set                  assignment_hold_take
 *   NONE ─────────────────────> WANTED ───────────────────────────> HELD
 *     ^                          ^  └ not before claim_at             │
 *     │   assignment_clear       └──── assignment_drop, _fence ───────┘
 *     └──────────────────────────────────────────────────────────────
 * A halted partition is not read. One that its holder halts (HALT_FOUND) stays held, so that what was read
 * before can still be committed, until the halt is kept in Postgres. Then, or when a claim was refused
 * because of what the row says (HALT_KEPT), it is claimed again every ASSIGNMENT_LOOK_MS: the claim that
 * succeeds ends the halt, and that is how a resume is noticed. Each assignment and each revocation begins a
 * new generation, without halts: a claim that was asked for in an older one is thrown away. Dropped claims
 * may still be borrowed by the store: they are freed by assignment_bury, when it is idle. A table of states,
 * no I/O; times are given. Loop thread. */
#ifndef AGGREGATOR_ASSIGNMENT_H
#define AGGREGATOR_ASSIGNMENT_H

#include "aggregator/backoff.h"
#include "aggregator/claim.h"
#include "aggregator/feed.h"

/* A partition that was fenced waits for as long as the group takes to find a dead member, so that a revoke
 * that is on its way arrives first; and longer each time, lest two groups on one topic fight. */
enum {
    ASSIGNMENT_COOLING_MS = 10000,
    ASSIGNMENT_COOLING_MIN_MS = 1000,
    ASSIGNMENT_COOLING_MAX_MS = 30000,
    ASSIGNMENT_LOOK_MS = 5000, /* between two looks at a halted partition */
};

enum assignment_state { ASSIGNMENT_NONE, ASSIGNMENT_WANTED, ASSIGNMENT_HELD };
enum assignment_halt {
    HALT_NONE,
    HALT_FOUND, /* by us, the owner: to be kept in the partition's row */
    HALT_KEPT,  /* the row says so, or says what does not fit */
};

enum { ASSIGNMENT_REASON_MAX = 512 };

struct assignment_part {
    enum assignment_state state;
    enum assignment_halt halt;
    char halt_reason[ASSIGNMENT_REASON_MAX]; /* of the last halt in this generation */
    uuid halt_owner;                         /* HALT_FOUND: our token in the row */
    mono_ms claim_at;                        /* WANTED: not before */
    struct backoff cooling;
    struct claim *claim;   /* HELD */
    int64_t read_offset;   /* HELD: of the next message to take; -2: the beginning */
    int64_t stored_offset; /* the next one to store, as last known here; -2: the beginning, or not known */
    bool is_at_end;        /* of the log, and nothing came since quiet_since */
    mono_ms quiet_since;
    int64_t condemned_offset; /* of a message that Postgres refused when it came alone; -1: none */
    char condemned_sqlstate[6];
};

struct assignment {
    int generation;
    int limit; /* partitions 0 … limit - 1 have a meaning */
    struct assignment_part *parts;
    size_t dropped_count;
    struct claim **dropped;
};

void assignment_init(struct assignment *assignment, int partition_count);
void assignment_fini(struct assignment *assignment);

/* The group gave us these; those beyond partition_count are left out: false when there are some. */
bool assignment_set(struct assignment *assignment, const int *partitions, size_t count, mono_ms now);
void assignment_clear(struct assignment *assignment);

/* The next one to claim now; -1: none. */
int assignment_find_due(const struct assignment *assignment, mono_ms now);
/* Takes the claim; false, and it is freed, when the partition was asked for in another generation. */
bool assignment_hold_take(struct assignment *assignment, int generation, struct claim *claim);

/* All claims are forgotten, to be made anew. */
void assignment_drop(struct assignment *assignment);
/* All claims are forgotten and those asked for are thrown away: what was known of the topic has changed. */
void assignment_renew(struct assignment *assignment, mono_ms now);
/* Somebody else owns this one: dropped, and not asked for soon; what halted it here is the other's to find.
 */
void assignment_fence(struct assignment *assignment, int partition, mono_ms now);
/* A person is needed. False: it is halted already for this reason, or for one that was found before. */
bool assignment_halt(struct assignment *assignment, int partition, const char *reason, mono_ms now);
/* A halted partition whose halt is to be kept in its row now; -1: none. */
int assignment_find_halt(const struct assignment *assignment);
/* It is in the row. */
void assignment_note_halt_kept(struct assignment *assignment, int partition, mono_ms now);
void assignment_bury(struct assignment *assignment);

/* NULL: it is not held. */
const struct assignment_part *assignment_find_held(const struct assignment *assignment, int partition);

/* Where to read from now on; positions has room for `limit`. */
size_t assignment_positions(const struct assignment *assignment, struct feed_position *positions);
/* The part that a message of this offset belongs to; NULL: nobody asked for it, or it was taken before. */
struct assignment_part *assignment_accept(struct assignment *assignment, int partition, int64_t offset);
void assignment_note_end(struct assignment *assignment, int partition, mono_ms now);
/* How long at the end of the log without a message; -1: not at its end. */
int64_t assignment_quiet_ms(const struct assignment *assignment, int partition, mono_ms now);
/* A batch with this partition was committed, and the claim says up to where. */
void assignment_note_committed(struct assignment *assignment, int partition);

size_t assignment_count(const struct assignment *assignment, enum assignment_state state);
size_t assignment_halted_count(const struct assignment *assignment);

#endif
