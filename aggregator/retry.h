/* SPDX-License-Identifier: Apache-2.0
 * retry: `footfall-aggregator retry-rejects`: puts what stands in rejected_hits through intake again.
 *
 *   a page of rejects -> intake -> batch -> store_write: hits, sessions, and the rejects taken away, in one
 *                                           transaction
 * A reject that is good now, since a setting or the program has changed, becomes what it would have been;
 * the others stay as they are. Each page is a batch like any other, under the fence of its partition, which
 * is claimed for that: a running aggregator is fenced, and claims it back some ten seconds later. Partitions
 * without a good reject are left alone. Blocks; runs a loop of its own; commands only. */
#ifndef AGGREGATOR_RETRY_H
#define AGGREGATOR_RETRY_H

#include "aggregator/configuration.h"

struct settings;

enum { RETRY_PAGE_ROWS = 200 };

struct retry_report {
    int64_t seen;
    int64_t stored;     /* as hits */
    int64_t duplicates; /* they had come once more, and were stored then */
};

/* settings: for [rdkafka], since what is stored is published too, when `enriched.topic` is set. On failure
 * *report holds what was done before. */
enum status retry_run(const struct configuration *configuration, const struct settings *settings,
                      struct retry_report *report, struct why *why) MUST_CHECK;

#endif
