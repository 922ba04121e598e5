/* SPDX-License-Identifier: Apache-2.0
 * locator: asks ip2location.io for the places that places wants, once an address, within a budget, and never
 * in anybody's way.
 *
 *   places_take_wanted -> footfall.ip_locations (many at once) -> queue -> the service (few requests at once)
 *                      -> place_cache, and the table for all other aggregators -> on_change
 * A request is for one address, or, where the plan allows, for what the queue holds, and each address is one
 * call of the budget. Called by the aggregator on each turn; driven by the callbacks of fetcher and locations
 * otherwise. An address that cannot be asked of just now (breaker open, budget spent, key refused, too many
 * waiting) is put into the cache as nothing for a while, so that nobody waits for it and the MMDB files
 * answer. Owns cache, fetcher, locations, budget and breaker; borrows places and metrics. Loop thread only.
 * What goes wrong with the service is logged and counted here and nowhere else; a key that is refused, once. */
#ifndef AGGREGATOR_LOCATOR_H
#define AGGREGATOR_LOCATOR_H

#include "aggregator/ip2location.h"
#include "aggregator/metrics.h"
#include "aggregator/places.h"

struct uv_loop_s;
struct locator;

enum {
    LOCATOR_MAX_IN_FLIGHT = 8,
    LOCATOR_MAX_QUEUED = 64, /* what the service can answer within a batch's wait, at 60 ms each */
    LOCATOR_MAX_BULK_QUEUED = LOCATOR_MAX_IN_FLIGHT * IP2LOCATION_MAX_AT_ONCE,
    LOCATOR_CACHED_ADDRESSES = 200000,
    LOCATOR_CONNECT_MS = 250,
    LOCATOR_TOTAL_MS = 800,
    LOCATOR_NOTHING_MS = 10 * 60 * 1000, /* what the service does not know is asked again after */
};

struct locator_options { /* texts are borrowed for the locator's life */
    const char *conninfo;
    struct ip2location_form form;
    const char *ca_file;
    int64_t daily_budget;
    int64_t monthly_budget;
    int64_t max_lease; /* of calls at once; 0: as the budget has it */
    int64_t keep_ms;   /* an answer is good for so long */
    int ipv6_bits;
    struct places *places;
    struct metrics *metrics;
    void (*on_change)(void *context); /* addresses were answered: whoever waits may look again */
    /* NULL, or told of each address that is no longer asked of, and why it is as it is. */
    void (*on_settled)(void *context, ip_address asked, const char *why);
    void *context;
};

struct locator *locator_new(struct uv_loop_s *loop, const struct locator_options *options);
/* What is under way is abandoned; on_closed comes when all memory is free. places must not be used any more.
 */
void locator_close(struct locator **locator, void (*on_closed)(void *context), void *context);
/* Also forgets what was held against the service. */
void locator_set_key(struct locator *locator, const struct ip2location_key *key);
/* Takes what is wanted and starts what can be started; answers come later, through on_change, but what cannot
 * be asked is settled before it returns. */
void locator_turn(struct locator *locator);
/* Nothing is under way, and what was heard is stored, or cannot be just now. */
bool locator_is_idle(const struct locator *locator);
/* Sets the gauges. */
void locator_measure(const struct locator *locator);

#endif
