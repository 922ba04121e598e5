/* SPDX-License-Identifier: Apache-2.0
 * locations: the tables footfall.ip_locations and footfall.ip2location_calls: what all aggregators together
 * know of addresses, and how often they may ask.
 *
 * locator -> locations_load, _store, _lease, _expire -> its own connection, never that of the batches; one at
 * a time, answered by a callback. It connects when it has to. What can fail: anything that Postgres says or
 * does not say comes as false; the caller backs off. That a budget is spent is logged here, once. Owns the
 * connection; loop thread only. */
#ifndef AGGREGATOR_LOCATIONS_H
#define AGGREGATOR_LOCATIONS_H

#include "aggregator/budget.h"
#include "aggregator/place.h"
#include "base/address.h"

struct uv_loop_s;
struct locations;

enum { LOCATIONS_AT_ONCE = 256, LOCATIONS_EXPIRED_AT_ONCE = 1000 };

struct location {
    ip_address ip;
    bool is_known; /* else the service does not know it */
    struct place_parts parts;
    int64_t left_ms; /* until it expires */
};

struct locations *locations_new(struct uv_loop_s *loop, const char *conninfo);
/* What is under way is abandoned. */
void locations_close(struct locations **locations, void (*on_closed)(void *context), void *context);
bool locations_is_busy(const struct locations *locations);

/* Those of at most LOCATIONS_AT_ONCE addresses that are there and have not expired: on_found for each, with
 * texts borrowed during the call, then on_loaded. ips are borrowed until then. */
typedef void locations_found_fn(void *context, const struct location *location);
typedef void locations_done_fn(void *context, bool is_done);
void locations_load(struct locations *locations, const ip_address *ips, size_t count,
                    locations_found_fn *on_found, locations_done_fn *on_loaded, void *context);
/* At most LOCATIONS_AT_ONCE, of distinct addresses; each replaces what was there. Copied. */
void locations_store(struct locations *locations, const struct location *rows, size_t count,
                     locations_done_fn *on_stored, void *context);
/* Calls out of the budget of the day and the month; lease NULL: no answer. */
typedef void locations_leased_fn(void *context, const struct budget_lease *lease);
void locations_lease(struct locations *locations, int64_t wanted, int64_t daily, int64_t monthly,
                     locations_leased_fn *on_leased, void *context);
/* Removes expired rows, at most LOCATIONS_EXPIRED_AT_ONCE. */
void locations_expire(struct locations *locations, locations_done_fn *on_expired, void *context);

#endif
