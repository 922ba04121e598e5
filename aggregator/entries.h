/* SPDX-License-Identifier: Apache-2.0
 * entries: the memory of a session store: one cache line a session, found by (ip, host).
 *
 * sessions decides what becomes of an entry; this file packs and unpacks it, keeps the chains by key and the
 * list of what is free. Entries are numbered from 1, 0 is none; a pointer to one is good until the next
 * entries_add. The hash is seeded, so that a visitor cannot choose collisions. Owned by one session store;
 * loop thread only. Packing is exact for every sound session (session_is_sound). */
#ifndef AGGREGATOR_ENTRIES_H
#define AGGREGATOR_ENTRIES_H

#include "aggregator/addresses.h"
#include "aggregator/chains.h"
#include "aggregator/session.h"
#include "aggregator/strings.h"

enum entry_state {
    ENTRY_FREE,
    ENTRY_OPEN,
    ENTRY_JOINED, /* became part of another; waits until its place in the due lists comes up */
    ENTRY_GONE,   /* was closed; waits until that is stored */
};

struct entry {
    uint64_t start : 49; /* of the first hit, in ms since SESSION_MIN_TIME_MS */
    uint64_t state : 2;
    uint64_t has_wide_ip : 1;
    uint64_t is_stored : 1;  /* Postgres takes it, or a part of it, for open */
    uint64_t is_changed : 1; /* its number stands in changes, from when it changes until that is stored */
    uint64_t last : 49;      /* of the last hit, likewise */
    uint64_t events : 40;
    uint64_t touched : 24; /* second of the monotonic clock, modulo 194 days */
    uint64_t bot_events : 40;
    uint64_t chapter : 24; /* of the change log: where its newest change stands */
    uint32_t ip;
    string_id host;
    string_id entry_url;
    string_id referrer;
    string_id place; /* country, state and city in one text */
    string_id exit_url;
    uint32_t next_of_chain; /* the next of this hash, or of the free ones */
    uint32_t next_due;
};

struct entry_key {
    ip_address ip;
    string_id host;
    uint64_t hash;
};

struct entries {
    struct entry *at;
    uint32_t used; /* numbers ever given, and 0 */
    uint32_t cap;
    uint32_t first_free;
    size_t open_count;
    struct chains chains; /* one an open entry on average */
    uint64_t seed;
    struct addresses addresses;
    struct strings *strings;
};

void entries_init(struct entries *entries);
void entries_fini(struct entries *entries);

/* False when no session of this host is open, and so none of the key. */
bool entries_find_key(const struct entries *entries, const struct session *session, struct entry_key *key);
/* The open entries of a key, one after the other: 0 begins, 0 is the end. */
uint32_t entries_next_of_key(const struct entries *entries, const struct entry_key *key, uint32_t after);

/* A new open entry. Its is_changed is what it was for the last one of this number. */
uint32_t entries_add(struct entries *entries, const struct session *session);
/* Takes an open entry out of its chain and gives it another state; its texts stay. */
void entries_close(struct entries *entries, uint32_t number, enum entry_state state);
/* Gives back the texts and the address of one that is not open; they then read as empty. */
void entries_drop_texts(struct entries *entries, uint32_t number);
/* Makes the number of one that is not open free for another. */
void entries_free(struct entries *entries, uint32_t number);

struct session_span entry_span(const struct entry *entry);
/* Everything; slices are borrowed until the entry changes. */
void entries_read(const struct entries *entries, uint32_t number, struct session *out);
/* Becomes the union with part, as session_merge has it. */
void entries_merge(struct entries *entries, uint32_t number, const struct session *part);
/* Takes another value of the same key. */
void entries_replace(struct entries *entries, uint32_t number, const struct session *value);

#endif
