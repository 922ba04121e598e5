/* SPDX-License-Identifier: Apache-2.0
 * databases: the MMDB files of geo.databases, all open, in their order.
 *
 * places looks addresses up in them; reloading opens them anew on another thread, so opening touches nothing that is
 * shared. All or none are opened. Owns the files' copies in memory (mmdb.h). */
#ifndef AGGREGATOR_DATABASES_H
#define AGGREGATOR_DATABASES_H

#include "aggregator/mmdb.h"

enum { DATABASES_MAX = 8, DATABASES_MAX_PATH = 4096 };

struct databases {
    size_t count;
    struct mmdb *open[DATABASES_MAX];
};

/* setting: paths, comma separated; empty: none. NULL and *why when one of them cannot be used. Any thread. */
struct databases *databases_open(const char *setting, struct why *why);
void databases_close(struct databases **databases); /* accepts NULL, leaves NULL */
/* When the oldest one was built; {0} without any. */
wall_ms databases_built_at(const struct databases *databases);

#endif
