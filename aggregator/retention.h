/* SPDX-License-Identifier: Apache-2.0
 * retention: lets old hits, sessions and rejects go, beside the batches.
 *
 * aggregator -> retention_tick ten times a second -> now and then a pass over a connection of its own: the days
 * of processed_events before the cutoff are dropped, each in a transaction of its own that waits for a lock for
 * 50 ms at most, so that hits never wait longer than that behind it; then sessions that ended before, then
 * rejects, some at a time. The cutoff is the beginning of the day (UTC) so many days ago, by our clock or
 * Postgres', whichever is earlier: one clock that runs ahead drops nothing. Rollups stay. What holds a day, and
 * what fails, is logged, counted and tried again later; the other days, sessions and rejects go meanwhile.
 * Several aggregators do not disturb each other: whoever finds another at it leaves it to that one. A stored
 * session that a batch takes back at that moment is left for the next pass.
 * Owns the connection; loop thread only. */
#ifndef AGGREGATOR_RETENTION_H
#define AGGREGATOR_RETENTION_H

#include "aggregator/metrics.h"
#include "base/clock.h"

struct uv_loop_s;
struct retention;

struct retention_options { /* borrowed */
    const char *conninfo;
    struct metrics *metrics;
    int64_t days; /* that are kept, besides today; > 0 */
};

struct retention *retention_new(struct uv_loop_s *loop, const struct retention_options *options);
/* A pass under way is abandoned; Postgres finishes or undoes its last step. */
void retention_close(struct retention **retention, void (*on_closed)(void *context), void *context);
bool retention_is_busy(const struct retention *retention);
/* Starts a pass when one is due. */
void retention_tick(struct retention *retention, mono_ms now);
/* Sets the gauges. */
void retention_measure(const struct retention *retention, mono_ms now);

#endif
