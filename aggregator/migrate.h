/* SPDX-License-Identifier: Apache-2.0
 * migrate: brings the schema up to date: numbered, forward-only SQL files, built into the program.
 *
 * Called by `footfall-aggregator migrate` and at start. Blocking (start-up only). Each pending file
 * is applied in a transaction of its own under an advisory lock, so two processes may try at once, and no
 * table is locked for longer than its file takes; each file records itself in footfall.migrations, and the
 * rights of the group roles are granted with the last one. Hits flow meanwhile: no statement waits for a lock
 * for more than two seconds, since everybody else waits behind it. A role that may read footfall.migrations
 * and nothing more is fine when nothing is pending. Tables of our names that we did not make are refused with
 * the statement that renames them. A database newer than the program is refused, unless its
 * newer files say that the program may go on. */
#ifndef AGGREGATOR_MIGRATE_H
#define AGGREGATOR_MIGRATE_H

#include "base/status.h"

struct migrate_report {
    int from_version; /* 0: nothing was there */
    int to_version;
};
/* DENIED: the role may not and something is pending; CONFLICT: foreign tables, a newer schema or a file that
 * does not apply; AGAIN: a lock was not to be had; UNAVAILABLE: no connection. The files before stay applied.
 * After AGAIN leave the others some time. */
enum status migrate_run(const char *conninfo, struct migrate_report *report, struct why *why) MUST_CHECK;

#endif
