/* SPDX-License-Identifier: Apache-2.0
 * places: who is asked where an address is.
 *
 * take_message -> places_find: private addresses answer themselves, then a cache by address, then the MMDB
 * files of geo.databases in their order (mmdb.h); the first that names a country wins. It never waits and
 * never fails: what is not known is an empty text.
 *
 * With a service beside the files (locator), its answers come first: place_cache holds them. An address that
 * it has not answered is noted as wanted, and the file's answer is provisional until places_settle. Owns the
 * open databases, the decoded records and both caches; a place is borrowed until the next call of any
 * function here but the read-only ones, so take what you need at once. Loop thread only. Bounded:
 * PLACES_CACHED_ADDRESSES, PLACES_MAX_RECORDS and PLACES_MAX_RECORD_BYTES; a full record store is emptied and
 * refilled from the files, which costs half a microsecond a record. */
#ifndef AGGREGATOR_PLACES_H
#define AGGREGATOR_PLACES_H

#include "aggregator/databases.h"
#include "aggregator/place_cache.h"
#include "base/address.h"
#include "base/clock.h"

enum {
    PLACES_CACHED_ADDRESSES = 262144,
    PLACES_MAX_RECORDS = 196608,
    PLACES_MAX_RECORD_BYTES = 64 * 1024 * 1024,
    PLACES_MAX_WANTED = 256,
};

struct places;

/* databases: MMDB files, comma separated, tried in order; empty: none. NULL and
 * *why when one of them cannot be used. */
struct places *places_open(const char *databases, struct why *why);
void places_close(struct places **places); /* accepts NULL, leaves NULL */
/* Answers from these from now on; takes them, and closes those in use. */
void places_use_take(struct places *places, struct databases *databases);

/* Never NULL. Provisional: the service is asked as well. */
const struct place *places_find(struct places *places, ip_address ip);

/* From now on the service is asked, too: its answers stand in cache, which is borrowed until places_close. Of
 * an IPv6 address only the first ipv6_bits are told apart and given away. */
void places_ask_service(struct places *places, struct place_cache *cache, int ipv6_bits);
/* By this time answers expire. */
void places_set_time(struct places *places, wall_ms now);
/* Takes away up to max of the addresses that the service is to be asked of, at most PLACES_MAX_WANTED; they
 * stay ASKED in the cache until somebody puts an answer. Never a private one. */
size_t places_take_wanted(struct places *places, ip_address *out, size_t max);
/* For an address whose place was provisional: whether the answer is still awaited; and the place as it is
 * known now, for good. */
bool places_awaits(struct places *places, ip_address ip);
const struct place *places_settle(struct places *places, ip_address ip);

struct places_counts { /* since places_open */
    int64_t answers[GEO_SOURCE_COUNT];
    int64_t cached_answers; /* of all answers: those without a walk through a file */
    int64_t decoded_records;
};
const struct places_counts *places_counts(const struct places *places);
/* When the oldest database in use was built; {0} without any. */
wall_ms places_built_at(const struct places *places);

#endif
