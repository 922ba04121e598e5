/* SPDX-License-Identifier: Apache-2.0
 * databases: see the header. */
#include "aggregator/databases.h"

#include <stdlib.h>
#include <string.h>

static enum status open_one(struct databases *databases, slice path, struct why *why)
{
    char terminated[DATABASES_MAX_PATH];
    if (databases->count == DATABASES_MAX)
        return why_say(why, STATUS_FULL, "geo.databases: at most %d files", DATABASES_MAX);
    if (path.len >= sizeof terminated)
        return why_say(why, STATUS_TOO_BIG, "geo.databases: a path is longer than %d bytes",
                       DATABASES_MAX_PATH - 1);
    memcpy(terminated, path.data, path.len);
    terminated[path.len] = '\0';
    struct mmdb *mmdb = mmdb_open(terminated, why);
    if (mmdb == NULL)
        return STATUS_UNAVAILABLE;
    databases->open[databases->count++] = mmdb;
    return STATUS_OK;
}

struct databases *databases_open(const char *setting, struct why *why)
{
    struct databases *databases = must_calloc(1, sizeof *databases);
    slice rest = slice_trim(slice_of(setting)), path;
    while (slice_cut(&rest, ',', &path)) {
        path = slice_trim(path);
        if (path.len > 0 && open_one(databases, path, why) != STATUS_OK) {
            databases_close(&databases);
            return NULL;
        }
    }
    return databases;
}

void databases_close(struct databases **databases)
{
    if (*databases == NULL)
        return;
    for (size_t i = 0; i < (*databases)->count; i++)
        mmdb_close(&(*databases)->open[i]);
    free(*databases);
    *databases = NULL;
}

wall_ms databases_built_at(const struct databases *databases)
{
    wall_ms oldest = {0};
    for (size_t i = 0; i < databases->count; i++) {
        wall_ms built = mmdb_built_at(databases->open[i]);
        if (i == 0 || built.ms < oldest.ms)
            oldest = built;
    }
    return oldest;
}
