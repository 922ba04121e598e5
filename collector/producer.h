/* SPDX-License-Identifier: Apache-2.0
 * producer: one librdkafka producer and its topic, from its making to its end.
 *
 * publisher -> producer_send -> librdkafka -> wake descriptor -> on_reports: one call for each message, and
 * on_fatal when librdkafka gives up (routine after a mere disconnect in 2.0.2): the owner closes it and opens
 * another. producer_check asks the brokers for the topic in a thread of libuv's pool, since the call blocks.
 * producer_close never blocks the loop: the handle is purged and destroyed in that pool too; nothing is
 * called back after producer_close, reports that had not come will never come. Keys and values are copied by
 * librdkafka; a ticket travels with each as the opaque value. Loop thread only. */
#ifndef COLLECTOR_PRODUCER_H
#define COLLECTOR_PRODUCER_H

#include "base/settings.h"

struct uv_loop_s;
struct producer;

struct producer_options {
    struct uv_loop_s *loop;
    const char *brokers;
    const char *topic;
    const struct settings *settings; /* for [rdkafka]; borrowed for the call */
    void (*on_report)(void *context, uint32_t ticket, size_t bytes, bool is_delivered);
    void (*on_fatal)(void *context, const char *reason);
    /* partitions: what the topic has. UNAVAILABLE: no broker answered; NOT_FOUND: no such topic. */
    void (*on_checked)(void *context, enum status status, int partitions, const char *reason);
    void *context;
};

/* NULL and *why when librdkafka refuses a property; it connects by itself. */
struct producer *producer_open(const struct producer_options *options, struct why *why);
/* FULL: its queue is; UNAVAILABLE: anything else, on_fatal follows when it is that. */
enum status producer_send(struct producer *producer, int partition, slice key, slice value,
                          uint32_t ticket) MUST_CHECK;
/* One at a time: does nothing while one is under way. */
void producer_check(struct producer *producer);
/* Takes the producer and leaves NULL; accepts NULL. */
void producer_close(struct producer **producer);

#endif
