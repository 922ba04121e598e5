/* SPDX-License-Identifier: Apache-2.0
 * reloading: reads the MMDB files anew when they were replaced, without a pause.
 *
 *   a change in a file's folder, or SIGHUP -> (quiet for a moment) -> opened and checked on a thread of the pool
 *                                          -> places_use_take between two turns
 * The folder is watched, not the file, since a file is replaced by renaming another over it. When the new files cannot
 * be used the old ones stay, and why is logged; they are tried again when they change again. Where a folder cannot be
 * watched, SIGHUP remains. Borrows places and metrics. Loop thread only. */
#ifndef AGGREGATOR_RELOADING_H
#define AGGREGATOR_RELOADING_H

#include "aggregator/metrics.h"
#include "aggregator/places.h"

struct uv_loop_s;
struct reloading;

/* setting: geo.databases, borrowed. */
struct reloading *reloading_start(struct uv_loop_s *loop, const char *setting, struct places *places,
                                  struct metrics *metrics);
/* Whether they were replaced or not. */
void reloading_now(struct reloading *reloading);
/* places and metrics are not used any more; memory is freed when the loop has closed the handles. */
void reloading_stop(struct reloading **reloading);

#endif
