/* SPDX-License-Identifier: Apache-2.0
 * sites: the allow-list of hosts whose page views are taken: `example.com` exactly, `*.example.org` for every
 * host below example.org (not example.org itself).
 *
 * Made from the setting sites.hosts at start and again on SIGHUP; asked for each hit with a canonical host.
 * Two sorted lists, so 100,000 hosts cost a look-up 17 comparisons. Immutable once made; owner: the
 * collector. Any thread. */
#ifndef COLLECTOR_SITES_H
#define COLLECTOR_SITES_H

#include "base/slice.h"

struct sites;

/* NULL and *why when the list is empty or an entry is no host. Copies what it needs. */
struct sites *sites_new(slice list, struct why *why);
void sites_free(struct sites **sites); /* accepts NULL */
size_t sites_count(const struct sites *sites);
/* host: canonical (hit_host_canonical). */
bool sites_has(const struct sites *sites, slice host);

#endif
