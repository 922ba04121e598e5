/* SPDX-License-Identifier: Apache-2.0
 * clock: the two clocks, as different types so that they cannot be mixed, and the text form of a wall time.
 *
 * wall_ms: milliseconds since 1970-01-01 UTC (event times, stored times). mono_ms: milliseconds of a clock
 * that never steps (all timeouts). Pure parts take times as arguments; only loops and mains read the clocks.
 * Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/slice.h"

typedef struct {
    int64_t ms;
} wall_ms;

typedef struct {
    int64_t ms;
} mono_ms;

wall_ms wall_now(void);
mono_ms mono_now(void);

enum { TIMESTAMP_TEXT_LEN = 24 }; /* "2025-02-02T04:18:21.123Z" */

/* Writes exactly TIMESTAMP_TEXT_LEN bytes (no NUL): ISO 8601, UTC, ms. The year must be 0000-9999 (MUST). */
void timestamp_write(wall_ms time, char out[TIMESTAMP_TEXT_LEN]);

/* Reads ISO 8601: date, 'T' or ' ', time with optional fraction of 1-9 digits (cut to ms), then 'Z',
 * '+hh:mm', '-hh:mm' or nothing (UTC). MALFORMED for anything else, RANGE for a date that does not exist. At
 * most 40 bytes. */
enum status timestamp_read(slice text, wall_ms *time) MUST_CHECK;

#endif
