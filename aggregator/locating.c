/* SPDX-License-Identifier: Apache-2.0
 * locating: see the header. */
#include "aggregator/locating.h"

enum { ENABLED_BY_KEY, ENABLED, DISABLED }; /* the choices of ip2location.enabled, in their order */
enum { KEY_IN_QUERY, KEY_IN_HEADER };       /* of ip2location.key_in */

enum status locating_read_key(const struct configuration *configuration, struct ip2location_key *key,
                              struct why *why)
{
    if (configuration->ip2location_enabled == DISABLED) {
        key->text[0] = '\0';
        return STATUS_OK;
    }
    return ip2location_read_key(configuration->ip2location_key, configuration->ip2location_key_file, key,
                                why);
}

bool locating_is_on(const struct configuration *configuration, const struct ip2location_key *key)
{
    return configuration->ip2location_enabled == ENABLED ||
           (configuration->ip2location_enabled == ENABLED_BY_KEY && key->text[0] != '\0');
}

struct locator_options locating_options(const struct configuration *configuration,
                                        const struct ip2location_key *key)
{
    bool is_bulk = configuration->ip2location_bulk;
    struct locator_options options = {
        .conninfo = configuration->postgres_conninfo,
        .form = {.base = is_bulk ? configuration->ip2location_bulk_url : configuration->ip2location_url,
                 .key_in_header = configuration->ip2location_key_in == KEY_IN_HEADER,
                 .is_bulk = is_bulk},
        .ca_file = configuration->ip2location_ca_file,
        .daily_budget = configuration->ip2location_daily_budget,
        .monthly_budget = configuration->ip2location_monthly_budget,
        .keep_ms = configuration->ip2location_keep_ms,
        .ipv6_bits = (int)configuration->ip2location_ipv6_prefix,
    };
    if (key->text[0] == '\0' && options.daily_budget > IP2LOCATION_KEYLESS_DAILY)
        options.daily_budget = IP2LOCATION_KEYLESS_DAILY;
    return options;
}
