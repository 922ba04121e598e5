/* SPDX-License-Identifier: Apache-2.0
 * feed: the consumer: membership in the group, assignments, and messages taken from the queue.
 *
 * librdkafka wakes the loop by a descriptor -> feed_poll -> on_assigned, on_revoked, on_message, on_end,
 * on_fault. The group is for liveness only; what may be written is decided by the fence in Postgres. On
 * assignment the feed answers at once with an empty list, so that the group goes on; the aggregator claims
 * and then calls feed_read_at. On revocation everything is forgotten. Owns the consumer and its queue. Loop
 * thread only. Offsets are never stored in Kafka by us. What can fail: brokers away (librdkafka retries, we
 * log), an offset out of range (on_fault), a fatal client (feed makes a new one). */
#ifndef AGGREGATOR_FEED_H
#define AGGREGATOR_FEED_H

#include "aggregator/loss.h"
#include "base/clock.h"
#include "base/settings.h"

struct uv_loop_s;
struct feed;

struct feed_message {
    int partition;
    int64_t offset;
    wall_ms written; /* Kafka timestamp; now, when its producer wrote none */
    bool has_value;
    bool is_control; /* no value, but the header CONTROL_HEADER */
    slice value;     /* borrowed during the callback, as the next */
    slice control;   /* what that header holds */
};

struct feed_fault { /* a partition cannot be read on: offset out of range, records that cannot be read … */
    int partition;
    const char *reason;  /* one line, as librdkafka says it */
    struct loss_log log; /* asked for after that */
};

struct feed_events {
    void (*on_assigned)(void *context, const int *partitions, size_t count);
    void (*on_revoked)(void *context); /* all partitions, always (eager protocol) */
    void (*on_message)(void *context, const struct feed_message *message);
    void (*on_end)(void *context, int partition); /* the end of the log was reached */
    void (*on_fault)(void *context, const struct feed_fault *fault);
    /* The broker was reached: what it says of the topic. Before the first assignment of each client, and when
     * brokers are back. */
    void (*on_cluster)(void *context, const char *cluster_id, int partition_count);
    void (*on_wake)(void *context); /* something may be in the queue: call feed_poll when there is room */
};

struct feed_options { /* borrowed for the feed's life */
    const char *brokers;
    const char *topic;
    const char *group;
    const char *instance;            /* group.instance.id; empty: dynamic member */
    const struct settings *settings; /* for [rdkafka] */
};

/* Whether librdkafka takes what the options say (but for the group): at start, before anything else is waited
 * for. */
enum status feed_check(const struct feed_options *options, struct why *why) MUST_CHECK;
struct feed *feed_start(struct uv_loop_s *loop, const struct feed_options *options,
                        const struct feed_events *events, void *context, struct why *why);
/* Takes at most max_events from the queue; true when it ran dry. */
bool feed_poll(struct feed *feed, size_t max_events);

struct feed_position {
    int partition;
    int64_t next_offset; /* -2: the beginning */
};
/* The whole list of partitions to read from now on, each at its offset; an empty list reads nothing and stays
 * a member. */
void feed_read_at(struct feed *feed, const struct feed_position *positions, size_t count);
/* Messages between next_offset and the end of the log; -1: not known. From what was last heard, no round
 * trip. */
int64_t feed_lag(const struct feed *feed, int partition, int64_t next_offset);
/* Hears where the logs end now: for partitions that are not read at the moment. Does not wait. */
void feed_ask_ends(struct feed *feed);
/* Some are to be told that no answer has said anything of yet: ask now and then. */
bool feed_has_faults(const struct feed *feed);
bool feed_is_connected(const struct feed *feed); /* false while no broker answers */
/* Leaves the group; may take a second. Accepts NULL, leaves NULL; the loop must turn until the handles are
 * closed. */
void feed_stop(struct feed **feed);

#endif
