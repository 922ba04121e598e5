/* SPDX-License-Identifier: Apache-2.0
 * migrate: brings the schema up to date: numbered, forward-only SQL files, built into the program.
 *
 * Called by `footfall-aggregator migrate` and at start when the role may. Blocking (start-up only). All
 * pending files are applied in one transaction under an advisory lock, versions are recorded in
 * footfall.migrations. Tables of our names that we did not make are refused with the statement that renames
 * them. A database newer than the program is refused. */
#ifndef AGGREGATOR_MIGRATE_H
#define AGGREGATOR_MIGRATE_H

#include "base/status.h"

struct migrate_report {
    int from_version;
    int to_version;
};
/* DENIED: the role may not and something is pending; CONFLICT: foreign tables or a newer schema; UNAVAILABLE:
 * no connection (worth trying again). */
enum status migrate_run(const char *conninfo, struct migrate_report *report, struct why *why) MUST_CHECK;

#endif
