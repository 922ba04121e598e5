/* SPDX-License-Identifier: Apache-2.0
 * aggregator: the loop that ties feed, places, batches, merge and store together: hits from Kafka become rows
 * and sessions in Postgres, each once.
 *
 * service -> aggregator_start; from then on librdkafka's and libpq's descriptors and a tick drive it. Owns
 * the feed, the store, the claims and the two batches; borrows places and metrics. Nothing that is not
 * committed outlives a failure: claims and batches are thrown away whole, and what Postgres says is read
 * again. The consumer is polled whatever Postgres does. What can fail is logged and counted here and ends in
 * a retry, in a rejected message or in a halted partition; never in the end of the process. Loop thread only.
 */
#ifndef AGGREGATOR_AGGREGATOR_H
#define AGGREGATOR_AGGREGATOR_H

#include "aggregator/configuration.h"
#include "aggregator/ip2location.h"
#include "aggregator/metrics.h"

struct uv_loop_s;
struct places;
struct aggregator;

/* What is under way is waited for so long at a stop; then it is abandoned, which the fence makes harmless. */
enum { AGGREGATOR_STOP_MS = 10000 };

struct aggregator_options { /* all borrowed for the aggregator's life */
    const struct configuration *configuration;
    const struct settings *settings; /* for [rdkafka] */
    const char *group;
    struct places *places;
    struct metrics *metrics;
    const struct ip2location_key *key; /* of the place service; copied */
};

/* Whether Kafka's client takes the settings: part of --check-config, and of every start. */
enum status aggregator_check(const struct configuration *configuration, const struct settings *settings,
                             struct why *why) MUST_CHECK;
/* NULL and *why when Kafka's client cannot be set up. */
struct aggregator *aggregator_start(struct uv_loop_s *loop, const struct aggregator_options *options,
                                    struct why *why);
/* What is missing; NULL: all is well. Constant text. */
const char *aggregator_missing(const struct aggregator *aggregator);
/* After a reload; copied. Whether the service is asked at all was decided at the start. */
void aggregator_set_key(struct aggregator *aggregator, const struct ip2location_key *key);
/* Sets the gauges in metrics. */
void aggregator_measure(struct aggregator *aggregator);
/* Finishes the transaction under way, leaves the group, then calls on_stopped, when all memory is free. */
void aggregator_stop(struct aggregator *aggregator, void (*on_stopped)(void *context), void *context);

#endif
