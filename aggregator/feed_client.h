/* SPDX-License-Identifier: Apache-2.0
 * feed_client: one librdkafka consumer: its queue wakes the loop, a pool thread asks the broker about the
 * topic.
 *
 * Used by feed only, which makes a new one when this one is fatal. Asking for metadata blocks, so it is done
 * on libuv's thread pool until the broker has answered once; librdkafka's handle may be shared by threads.
 * Closing leaves the group; the memory goes when the loop has let go of its handles and the pool of the
 * question under way. Loop thread only. */
#ifndef AGGREGATOR_FEED_CLIENT_H
#define AGGREGATOR_FEED_CLIENT_H

#include "aggregator/topic.h"

struct uv_loop_s;
struct rd_kafka_conf_s;
struct rd_kafka_queue_s;
struct feed_client;

struct feed_client_events {
    void (*on_wake)(void *context); /* the queue is no longer empty */
    void (*on_cluster)(void *context, const char *cluster_id, int partition_count);
    /* No broker answers, or the topic is not there; asked again until it is. */
    void (*on_no_answer)(void *context, const char *reason);
};

/* Takes conf. NULL and *why when librdkafka refuses it. */
struct feed_client *feed_client_open_take(struct uv_loop_s *loop, struct rd_kafka_conf_s *conf,
                                          const char *topic, struct why *why);
/* Asks for the topic and then joins the group; events are called from now on, never before this returns. */
void feed_client_start(struct feed_client *client, const struct feed_client_events *events, void *context);
/* Asks the broker (again), as after it was lost, or to know where the logs end now. */
void feed_client_ask(struct feed_client *client);
bool feed_client_is_asking(const struct feed_client *client);
/* Where a partition's log begins and ends, as last heard from a fetch or an answer, or from an answer alone.
 * End -1: never. */
struct loss_log feed_client_find_log(const struct feed_client *client, int partition);
struct loss_log feed_client_answered_log(const struct feed_client *client, int partition);
struct rd_kafka_s *feed_client_handle(const struct feed_client *client);
struct rd_kafka_queue_s *feed_client_queue(const struct feed_client *client);
/* must_leave: tells the group, which takes up to a second; not possible for a fatal one. */
void feed_client_close(struct feed_client **client, bool must_leave); /* accepts NULL, leaves NULL */

#endif
