/* SPDX-License-Identifier: Apache-2.0
 * forget: `footfall-aggregator forget-stream [STREAM…]`: deletes what is kept of streams that have ended.
 *
 * Only of those that are whole: every number was received or skipped. Without names, of those that ended
 * FORGET_DAYS ago. Received numbers are what tells a repeat, so whoever sends a forgotten stream once more,
 * as from a copy of a journal, has it stored twice. Nobody is disturbed: who holds the partition may go on
 * with what he has in memory, which is more. Blocks; commands only. */
#ifndef AGGREGATOR_FORGET_H
#define AGGREGATOR_FORGET_H

#include "base/status.h"

#include <stdint.h>

enum { FORGET_DAYS = 30 };

/* The number of streams that were forgotten. */
enum status forget_run_old(const char *conninfo, const char *topic, int64_t *count,
                           struct why *why) MUST_CHECK;
/* One by its name, as it stands in footfall.streams. CONFLICT: there is none, or it goes on, or it has holes.
 */
enum status forget_run_one(const char *conninfo, const char *topic, const char *stream,
                           struct why *why) MUST_CHECK;

#endif
