/* SPDX-License-Identifier: Apache-2.0
 * migrate: brings the schema up to date: numbered, forward-only SQL files, built into the program.
 *
 * Called by `footfall-aggregator migrate` and at start. Blocking (start-up only). All pending files are
 * applied in one transaction under an advisory lock, so two processes may try at once; each file records
 * itself in footfall.migrations, and the rights of the group roles are granted at the end. A role that may
 * read footfall.migrations and nothing more is fine when nothing is pending. Tables of our names that we did
 * not make are refused with the statement that renames them. A database newer than the program is refused. */
#ifndef AGGREGATOR_MIGRATE_H
#define AGGREGATOR_MIGRATE_H

#include "base/status.h"

struct migrate_report {
    int from_version; /* 0: nothing was there */
    int to_version;
};
/* DENIED: the role may not and something is pending; CONFLICT: foreign tables, a newer schema or a file that
 * does not apply; UNAVAILABLE: no connection or a lock not to be had (worth trying again). */
enum status migrate_run(const char *conninfo, struct migrate_report *report, struct why *why) MUST_CHECK;

#endif
