/* SPDX-License-Identifier: Apache-2.0
 * feed_client: see the header. */
#include "aggregator/feed_client.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/kafka.h"

enum { ASK_PAUSE_MS = 500 };

struct feed_client {
    struct uv_loop_s *loop;
    const char *topic; /* borrowed */
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    int wake_fd;
    uv_poll_t wake;
    uv_timer_t ask_again;
    uv_work_t asking;
    const struct feed_client_events *events;
    void *context;
    bool is_subscribed;
    bool is_asking;
    bool is_closing;
    int open_handles;

    /* Of each partition, as last answered. */
    struct loss_log *logs;
    int log_count;

    /* The answer; written by the pool's thread while is_asking. */
    struct topic_facts facts;
    struct loss_log *asked_logs;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct feed_client *client = poll->data;
    (void)status;
    (void)events;
    kafka_wake_clear(client->wake_fd);
    client->events->on_wake(client->context);
}

struct feed_client *feed_client_open_take(struct uv_loop_s *loop, rd_kafka_conf_t *conf, const char *topic,
                                          struct why *why)
{
    char reason[256];
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        why_say(why, STATUS_UNAVAILABLE, "cannot start the Kafka consumer: %s", reason);
        return NULL;
    }
    struct feed_client *client = must_calloc(1, sizeof *client);
    client->loop = loop;
    client->topic = topic;
    client->handle = handle;
    rd_kafka_poll_set_consumer(handle);
    client->queue = rd_kafka_queue_get_consumer(handle);
    rd_kafka_set_log_queue(handle, client->queue);
    client->wake_fd = kafka_wake_open(client->queue);
    MUST(uv_poll_init(loop, &client->wake, client->wake_fd) == 0);
    client->wake.data = client;
    MUST(uv_timer_init(loop, &client->ask_again) == 0);
    client->ask_again.data = client;
    client->open_handles = 2;
    return client;
}

/* ---- What the broker says of the topic ---- */

static void ask_logs(struct feed_client *client)
{
    int count = client->facts.partition_count;
    client->asked_logs = must_calloc((size_t)count + 1, sizeof *client->asked_logs);
    bool is_answered = true; /* a silent broker is not waited for once a partition */
    for (int i = 0; i < count; i++) {
        struct loss_log *log = &client->asked_logs[i];
        is_answered = is_answered && topic_ask_log(client->handle, client->topic, i, log);
        if (!is_answered)
            *log = (struct loss_log){-1, -1};
    }
}

/* On a thread of the pool. */
static void ask(uv_work_t *work)
{
    struct feed_client *client = work->data;
    topic_ask(client->handle, client->topic, &client->facts);
    ask_logs(client);
}

static void keep_logs(struct feed_client *client)
{
    if (client->facts.partition_count > 0) {
        free(client->logs);
        client->logs = client->asked_logs;
        client->log_count = client->facts.partition_count;
    } else {
        free(client->asked_logs);
    }
    client->asked_logs = NULL;
}

static void release(struct feed_client *client);

static void on_ask_again(uv_timer_t *timer)
{
    feed_client_ask(timer->data);
}

/* Joins only now, so that no assignment comes before on_cluster. */
static void subscribe(struct feed_client *client)
{
    if (client->is_subscribed)
        return;
    client->is_subscribed = true;
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, client->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(client->handle, topics);
    MUST(error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__FATAL);
    rd_kafka_topic_partition_list_destroy(topics);
}

static void on_asked(uv_work_t *work, int status)
{
    struct feed_client *client = work->data;
    (void)status;
    client->is_asking = false;
    keep_logs(client);
    if (client->is_closing) {
        release(client);
    } else if (client->facts.partition_count > 0) {
        client->events->on_cluster(client->context, client->facts.cluster_id, client->facts.partition_count);
        subscribe(client);
    } else {
        uv_timer_start(&client->ask_again, on_ask_again, ASK_PAUSE_MS, 0);
        client->events->on_no_answer(client->context, client->facts.reason);
    }
}

void feed_client_ask(struct feed_client *client)
{
    if (client->is_asking || client->is_closing)
        return;
    client->is_asking = true;
    client->asking.data = client;
    MUST(uv_queue_work(client->loop, &client->asking, ask, on_asked) == 0);
}

bool feed_client_is_asking(const struct feed_client *client)
{
    return client->is_asking;
}

/* ---- Life ---- */

void feed_client_start(struct feed_client *client, const struct feed_client_events *events, void *context)
{
    client->events = events;
    client->context = context;
    MUST(uv_poll_start(&client->wake, UV_READABLE, on_readable) == 0);
    feed_client_ask(client);
}

struct loss_log feed_client_answered_log(const struct feed_client *client, int partition)
{
    return partition < client->log_count ? client->logs[partition] : (struct loss_log){-1, -1};
}

struct loss_log feed_client_find_log(const struct feed_client *client, int partition)
{
    struct loss_log known = feed_client_answered_log(client, partition);
    struct loss_log fetched;
    if (rd_kafka_get_watermark_offsets(client->handle, client->topic, partition, &fetched.first,
                                       &fetched.end) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        fetched.end > known.end)
        known = fetched;
    return known;
}

rd_kafka_t *feed_client_handle(const struct feed_client *client)
{
    return client->handle;
}

rd_kafka_queue_t *feed_client_queue(const struct feed_client *client)
{
    return client->queue;
}

/* The last one of: both handles closed, no question under way. */
static void release(struct feed_client *client)
{
    if (client->open_handles > 0 || client->is_asking)
        return;
    rd_kafka_queue_destroy(client->queue);
    rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(client->logs);
    free(client);
}

static void on_closed(uv_handle_t *handle)
{
    struct feed_client *client = handle->data;
    client->open_handles--;
    release(client);
}

void feed_client_close(struct feed_client **client, bool must_leave)
{
    struct feed_client *closing = *client;
    *client = NULL;
    if (closing == NULL)
        return;
    closing->is_closing = true;
    uv_close((uv_handle_t *)&closing->wake, on_closed);
    uv_close((uv_handle_t *)&closing->ask_again, on_closed);
    kafka_wake_close(closing->queue, closing->wake_fd);
    if (must_leave)
        rd_kafka_consumer_close(closing->handle);
}
