/* SPDX-License-Identifier: Apache-2.0
 * enriched: publishes the new hits of a batch, with their places, to the topic `enriched.topic`, for others to
 * read.
 *
 * writing -> delivering -> enriched_reach (before the transaction) -> enriched_send (when Postgres has the
 * hits) -> reports -> enriched_confirm (before COMMIT) -> enriched_forget. So whatever is committed has been
 * confirmed by all in-sync replicas: the topic misses nothing, and has a message twice when a batch that was
 * sent is not committed. A visitor's messages lie in one partition, that of the key host|ip.
 * Owns a producer, made when it is needed; after any failure it is closed, with all that it has not sent, so
 * that an outage does not fill the topic with doubles. Borrows the batch until it is forgotten. Loop thread
 * only; nothing waits. on_change is called when an answer of AGAIN may be another one now, and every
 * ENRICHED_PULSE_MS while a batch is on its way, so that the owner can keep its transaction alive. Brokers
 * that confirm nothing for two pulses have failed. Not here: when to try again. */
#ifndef AGGREGATOR_ENRICHED_H
#define AGGREGATOR_ENRICHED_H

#include "base/settings.h"

struct batch;
struct enriched;
struct uv_loop_s;

enum { ENRICHED_PULSE_MS = 2000 };

struct enriched_options {
    struct uv_loop_s *loop;
    const char *brokers; /* borrowed for its life, as the next two */
    const char *topic;
    const struct settings *settings; /* for [rdkafka] */
};

/* Whether librdkafka takes the settings: at start. */
enum status enriched_check(const struct enriched_options *options, struct why *why) MUST_CHECK;
struct enriched *enriched_new(const struct enriched_options *options);
/* Set by whoever writes batches. */
void enriched_watch(struct enriched *enriched, void (*on_change)(void *context), void *context);

/* OK: the topic is there. AGAIN: its brokers are asked; on_change follows. UNAVAILABLE: enriched_reason. */
enum status enriched_reach(struct enriched *enriched) MUST_CHECK;
/* Sends those hits that are no duplicates. After enriched_reach. */
void enriched_send(struct enriched *enriched, const struct batch *batch);
/* OK: all are confirmed. AGAIN: not yet. UNAVAILABLE: they will not be; enriched_reason. */
enum status enriched_confirm(struct enriched *enriched) MUST_CHECK;
/* The batch is stored, or given up. Harmless when there is none. */
void enriched_forget(struct enriched *enriched);

/* One sentence for the log, with the mend where there is one; until the next call. */
const char *enriched_reason(const struct enriched *enriched);
/* Messages that were confirmed, doubles too. */
int64_t enriched_confirmed_total(const struct enriched *enriched);

/* Before whoever watches it goes. Calls on_closed when all but the producer is gone, which goes when the loop
 * runs out. Leaves NULL. */
void enriched_close(struct enriched **enriched, void (*on_closed)(void *context), void *context);

#endif
