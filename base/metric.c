/* SPDX-License-Identifier: Apache-2.0
 * metric: see the header. */
#include "base/metric.h"

#include <string.h>

static void write_number(struct buf *out, const struct metric_row *row, int64_t value)
{
    if (row->unit == METRIC_PLAIN) {
        buf_add_int64(out, value);
        return;
    }
    uint64_t ms = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    buf_add_format(out, "%s%llu.%03llu", value < 0 ? "-" : "", (unsigned long long)(ms / 1000),
                   (unsigned long long)(ms % 1000));
}

void metric_write(struct buf *out, const struct metric_row *rows, const int64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct metric_row *row = &rows[i];
        if (i == 0 || strcmp(row->name, rows[i - 1].name) != 0)
            buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                           row->kind == METRIC_COUNTER ? "counter" : "gauge");
        buf_add(out, slice_of(row->name));
        if (row->label != NULL)
            buf_add_format(out, "{%s}", row->label);
        buf_add_char(out, ' ');
        write_number(out, row, values[i]);
        buf_add_char(out, '\n');
    }
}
