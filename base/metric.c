/* SPDX-License-Identifier: Apache-2.0
 * See metric.h. */
#include "base/metric.h"

#include <string.h>

/* A table that would not be understood is a bug of the program that wrote it. */
static void check_row(const struct metric_row *row)
{
    slice name = slice_of(row->name);
    MUST(slice_starts_with(name, SLICE("footfall_")));
    MUST(slice_ends_with(name, SLICE("_total")) == (row->kind == METRIC_COUNTER));
}

/* The help of a name stands with its first row. */
static void add_about(struct buf *out, const struct metric_row *row)
{
    MUST(row->help && row->help[0]);
    MUST(!strpbrk(row->help, "\\\n")); /* else it would have to be escaped */
    buf_add_format(out, "# HELP %s %s\n", row->name, row->help);
    buf_add_format(out, "# TYPE %s %s\n", row->name, row->kind == METRIC_COUNTER ? "counter" : "gauge");
}

static void add_seconds(struct buf *out, int64_t ms)
{
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    buf_add_format(out, "%s%llu.%03u", ms < 0 ? "-" : "", (unsigned long long)(size / 1000),
                   (unsigned)(size % 1000));
}

static void add_sample(struct buf *out, const struct metric_row *row, int64_t value)
{
    buf_add(out, slice_of(row->name));
    if (row->label)
        buf_add_format(out, "{%s}", row->label);
    buf_add_char(out, ' ');
    if (row->unit == METRIC_MS_AS_SECONDS)
        add_seconds(out, value);
    else
        buf_add_int64(out, value);
    buf_add_char(out, '\n');
}

void metric_write(struct buf *out, const struct metric_row *rows, const int64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_row(&rows[i]);
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            add_about(out, &rows[i]);
        add_sample(out, &rows[i], values[i]);
    }
}
