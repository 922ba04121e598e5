/* SPDX-License-Identifier: Apache-2.0
 * receipt: what `footfall-aggregator erase` prints: what was removed from which table, as of which moment, and where
 * the address still stands, which Footfall cannot or does not change.
 *
 * main -> receipt_print. Pure but for the stream. */
#ifndef AGGREGATOR_RECEIPT_H
#define AGGREGATOR_RECEIPT_H

#include <stdio.h>

#include "aggregator/erase.h"

struct receipt_topic {
    const char *name;
    bool is_known;        /* the broker says how long it keeps records */
    int64_t retention_ms; /* -1: for ever */
};

struct receipt { /* all borrowed */
    ip_address ip;
    const struct erase_report *report;
    const char *brokers;
    const struct receipt_topic *topics;
    size_t topic_count;
};

void receipt_print(FILE *out, const struct receipt *receipt);

#endif
