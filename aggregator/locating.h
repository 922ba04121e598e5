/* SPDX-License-Identifier: Apache-2.0
 * locating: from the settings [geo] and [ip2location] to a locator: whether there is one, and what it may do.
 *
 * Used by service and aggregator, and by the command `locate`. Start-up and reload; loop thread. */
#ifndef AGGREGATOR_LOCATING_H
#define AGGREGATOR_LOCATING_H

#include "aggregator/configuration.h"
#include "aggregator/locator.h"

/* Reads the key and checks what else must be right for the service to be asked. */
enum status locating_read_key(const struct configuration *configuration, struct ip2location_key *key,
                              struct why *why) MUST_CHECK;
/* ip2location.enabled says so, or is silent and there is a key. */
bool locating_is_on(const struct configuration *configuration, const struct ip2location_key *key);
/* The options that the settings decide; places, metrics and callbacks are the caller's to add. */
struct locator_options locating_options(const struct configuration *configuration,
                                        const struct ip2location_key *key);

#endif
