/* SPDX-License-Identifier: Apache-2.0
 * metric: counters and gauges of a program, from one table, written as Prometheus text (exposition format
 * 0.0.4).
 *
 * A program lists its metrics as rows; the values are a plain array of integers in the same order, owned by
 * its loop thread (no locks, no atomics). Rows of one name that differ by label stand together; HELP and TYPE
 * are written once. Names carry the prefix footfall_ and, for counters, the suffix _total. Seconds are
 * written from milliseconds. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };
enum metric_unit { METRIC_PLAIN, METRIC_MS_AS_SECONDS };

struct metric_row {
    const char *name;  /* "footfall_hits_total" */
    const char *label; /* "source=\"beacon\"", NULL for none */
    enum metric_kind kind;
    enum metric_unit unit;
    const char *help; /* of the first row of a name; other rows need none */
};

/* Appends the whole exposition. */
void metric_write(struct buf *out, const struct metric_row *rows, const int64_t *values, size_t count);

#endif
