/* SPDX-License-Identifier: Apache-2.0
 * producer: one librdkafka producer and its topic, from its making to its end.
 *
 * publisher (collector), enriched (aggregator) -> producer_send -> librdkafka -> wake descriptor -> on_report:
 * one call for each message, and on_fatal when librdkafka gives up (routine after a mere disconnect in 2.0.2)
 * or a partition has confirmed nothing for an hour: the owner closes it and opens another. Messages have no
 * time limit: that is the owner's affair. The first message to a partition travels alone (proto/leaders.h).
 * producer_check asks the brokers for the topic in a thread of libuv's pool, since the call blocks.
 * producer_close never blocks the loop: the handle is purged and destroyed in that pool too; nothing is called
 * back after producer_close, reports that had not come will never come. Keys, values and headers are copied by
 * librdkafka; a ticket travels with each as the opaque value. Loop thread only. */
#ifndef PROTO_PRODUCER_H
#define PROTO_PRODUCER_H

#include "base/settings.h"

struct uv_loop_s;
struct producer;

enum producer_outcome {
    PRODUCER_DELIVERED,
    PRODUCER_REFUSED, /* too large, invalid: this message or one that was sent with it */
    PRODUCER_FAILED,  /* anything else; *reason */
};

struct producer_report {
    uintptr_t ticket;
    enum producer_outcome outcome;
    size_t bytes;
    bool is_control;
    slice value;        /* of a hit; borrowed for the call */
    const char *reason; /* unless delivered */
};

struct producer_options {
    struct uv_loop_s *loop;
    const char *brokers;
    const char *topic;
    const struct settings *settings; /* for [rdkafka]; borrowed for the call */
    void (*on_report)(void *context, const struct producer_report *report);
    void (*on_fatal)(void *context, const char *reason);
    /* partitions: what the topic has. UNAVAILABLE: no broker answered; NOT_FOUND: no such topic. */
    void (*on_checked)(void *context, enum status status, int partitions, const char *reason);
    void *context;
};

/* Where a message goes and what it is called. */
struct producer_place {
    const char *topic; /* usually that of the options */
    int partition;
    uintptr_t ticket;
};

/* Whether librdkafka takes section [rdkafka]: at start, before anything is waited for. */
enum status producer_check_settings(const char *brokers, const struct settings *settings,
                                    struct why *why) MUST_CHECK;
/* NULL and *why: MALFORMED when librdkafka refuses a property, UNAVAILABLE when it makes no producer of them, as
 * when a file of certificates is not there. It connects by itself. */
struct producer *producer_open(const struct producer_options *options, struct why *why);
/* FULL until a report has come: its queue is, or what the partition got first is not confirmed. TOO_BIG: more
 * than message.max.bytes of [rdkafka]. UNAVAILABLE: anything else; on_fatal may follow. */
enum status producer_send(struct producer *producer, struct producer_place place, slice key,
                          slice value) MUST_CHECK;
/* A record without key and value and with this header. As above. */
enum status producer_send_control(struct producer *producer, struct producer_place place,
                                  slice header) MUST_CHECK;
/* One at a time: does nothing while one is under way. */
void producer_check(struct producer *producer);
/* Takes the producer and leaves NULL; accepts NULL. */
void producer_close(struct producer **producer);

#endif
