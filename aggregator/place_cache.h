/* SPDX-License-Identifier: Apache-2.0
 * place_cache: what the service said of addresses, each for a time, and which addresses it is being asked of.
 *
 *   new -> asked -> known (a place) or nothing (not known, or not asked just now) -> expired = new
 * places looks here first; locator fills it. Bounded: when full, the place of an entry that was not used
 * since the hand last passed goes to the new one (second chance). Addresses being asked are never pushed out,
 * so fewer than max_entries may be asked at once. Owns copies of its places; a place is borrowed until the
 * next put or ask. One thread. */
#ifndef AGGREGATOR_PLACE_CACHE_H
#define AGGREGATOR_PLACE_CACHE_H

#include "aggregator/place.h"
#include "base/address.h"
#include "base/clock.h"

struct place_cache;

enum place_standing {
    PLACE_NEW,   /* nothing is known, nobody was asked */
    PLACE_ASKED, /* no answer yet */
    PLACE_KNOWN,
    PLACE_NOTHING, /* do not ask */
};

struct place_cache *place_cache_new(size_t max_entries);
void place_cache_free(struct place_cache **cache); /* accepts NULL, leaves NULL */

/* *place is set when KNOWN. */
enum place_standing place_cache_find(struct place_cache *cache, ip_address ip, wall_ms now,
                                     const struct place **place);
/* Notes that a NEW address is asked of. */
void place_cache_ask(struct place_cache *cache, ip_address ip);
/* The answer, good until then; place NULL: nothing. */
void place_cache_put(struct place_cache *cache, ip_address ip, const struct place *place, wall_ms until);
size_t place_cache_count(const struct place_cache *cache);

#endif
