/* SPDX-License-Identifier: Apache-2.0
 * metrics: see the header. */
#include "aggregator/metrics.h"

static const struct metric_row rows[] = {
#define X(id, name, label, kind, unit, help) {"footfall_" name, label, METRIC_##kind, METRIC_##unit, help},
    METRICS_LIST(X)
#undef X
};

void metrics_add(struct metrics *metrics, enum metrics_id id, int64_t value)
{
    metrics->values[id] += value;
}

void metrics_set(struct metrics *metrics, enum metrics_id id, int64_t value)
{
    metrics->values[id] = value;
}

void metrics_move(struct metrics *metrics, struct metrics *from)
{
    for (size_t i = 0; i < METRICS_COUNT; i++)
        metrics->values[i] += from->values[i];
    *from = (struct metrics){{0}};
}

void metrics_write(const struct metrics *metrics, struct buf *out)
{
    metric_write(out, rows, metrics->values, METRICS_COUNT);
}
