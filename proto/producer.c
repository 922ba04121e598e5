/* SPDX-License-Identifier: Apache-2.0
 * producer: see the header.
 *
 * The end: producer_close -> the poll handle is closed, a check under way has returned -> destroy_handle in
 * the pool -> on_destroyed frees. */
#include "proto/producer.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/control.h"
#include "proto/kafka.h"
#include "proto/leaders.h"

enum { CHECK_TIMEOUT_MS = 2000 /* also the longest that a stop waits for a check */ };

struct check {
    uv_work_t work;
    bool is_running;
    enum status status;
    int partitions;
    char reason[256];
};

struct topic {
    rd_kafka_topic_t *handle; /* NULL: not open */
    struct leaders leaders;
};

struct producer {
    struct producer_options options;
    rd_kafka_t *handle;
    struct topic topic;
    struct topic other; /* the one of another name that was sent to last */
    rd_kafka_queue_t *queue;
    int wake_fd;
    uv_poll_t poll;
    struct check check;
    uv_work_t destroying;
    bool is_closing;
    bool poll_is_closed;
};

/* Reasons beside what is not plain. */
static const struct kafka_property properties[] = {
    {"enable.idempotence", "true", true},
    {"acks", "all", true},
    {"message.timeout.ms", "0", true}, /* the owner decides how long it waits */
    {"queue.buffering.max.kbytes", "65536", false},
    {"queue.buffering.max.messages", "100000", false},
    {"compression.codec", "lz4", false},
    {"reconnect.backoff.max.ms", "1000", false}, /* an outage ends a second after the brokers are back */
    {"linger.ms", "1", false}, /* a page view waits for nobody; at speed batches fill in this time too */
};

static struct log producer_log(void)
{
    return log_new("producer");
}

/* --- topics --- */

static uint64_t now(const struct producer *producer)
{
    return uv_now(producer->options.loop);
}

static enum status open_topic(struct producer *producer, struct topic *topic, const char *name)
{
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(producer->handle);
    rd_kafka_topic_conf_set_opaque(conf, topic);
    topic->handle = rd_kafka_topic_new(producer->handle, name, conf);
    if (topic->handle)
        return STATUS_OK;
    rd_kafka_topic_conf_destroy(conf);
    return STATUS_UNAVAILABLE;
}

static void close_topic(struct topic *topic)
{
    if (topic->handle)
        rd_kafka_topic_destroy(topic->handle);
    topic->handle = NULL;
    leaders_clear(&topic->leaders);
}

/* FULL: another topic still has to confirm what it got. */
static enum status find_topic(struct producer *producer, const char *name, struct topic **topic)
{
    struct topic *other = &producer->other;
    *topic = &producer->topic;
    if (strcmp(name, producer->options.topic) == 0)
        return STATUS_OK;
    *topic = other;
    if (other->handle && strcmp(name, rd_kafka_topic_name(other->handle)) == 0)
        return STATUS_OK;
    if (other->leaders.unconfirmed > 0)
        return STATUS_FULL;
    close_topic(other);
    return open_topic(producer, other, name);
}

/* Where the next message of this place goes. FULL: what went there first is not confirmed yet. */
static enum status find_way(struct producer *producer, struct producer_place place, struct topic **topic)
{
    enum status status = find_topic(producer, place.topic, topic);
    if (status != STATUS_OK)
        return status;
    return leaders_may_send(&(*topic)->leaders, place.partition, now(producer)) ? STATUS_OK : STATUS_FULL;
}

/* --- events --- */

/* What no repetition will mend. */
static bool is_refusal(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           error == RD_KAFKA_RESP_ERR_INVALID_RECORD || error == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}

static void take_report(struct producer *producer, const rd_kafka_message_t *message)
{
    struct producer_report report = {
        .ticket = (uintptr_t)message->_private,
        .outcome = PRODUCER_DELIVERED,
        .bytes = message->len + message->key_len,
        .is_control = !message->payload,
        .value = {message->payload, message->len},
    };
    struct topic *topic = rd_kafka_topic_opaque(message->rkt);
    bool is_delivered = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    leaders_note_report(&topic->leaders, message->partition, is_delivered, now(producer));
    if (!is_delivered) {
        report.outcome = is_refusal(message->err) ? PRODUCER_REFUSED : PRODUCER_FAILED;
        report.reason = rd_kafka_err2str(message->err);
    }
    producer->options.on_report(producer->options.context, &report);
}

static void take_reports(struct producer *producer, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    while (!producer->is_closing && (message = rd_kafka_event_message_next(event)))
        take_report(producer, message);
}

static void take_error(struct producer *producer, rd_kafka_event_t *event)
{
    char reason[256];
    struct log log = producer_log();
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(producer->handle, reason, sizeof(reason));
    if (fatal == RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_warning(&log, "kafka_error", "kafka.brokers = %s: %s", producer->options.brokers,
                    rd_kafka_event_error_string(event));
        return;
    }
    log_warning(&log, "producer_fatal", "%s: %s: another producer sends what is not confirmed",
                rd_kafka_err2name(fatal), reason);
    producer->options.on_fatal(producer->options.context, reason);
}

static void take_log_line(rd_kafka_event_t *event)
{
    enum { SYSLOG_ERR = 3, SYSLOG_NOTICE = 5 };
    const char *facility, *text;
    int level;
    struct log log = producer_log();
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0)
        return;
    enum log_level ours = level <= SYSLOG_ERR ? LOG_ERROR : level <= SYSLOG_NOTICE ? LOG_WARNING : LOG_INFO;
    log_line(&log, ours, "librdkafka", "%s: %s", facility, text);
}

static void take_event(struct producer *producer, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        take_reports(producer, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        take_error(producer, event);
        break;
    case RD_KAFKA_EVENT_LOG:
        take_log_line(event);
        break;
    default:
        break;
    }
    rd_kafka_event_destroy(event);
}

/* Until the queue is empty: only the change from empty wakes us. What can be in it is bounded by librdkafka's
 * queue. */
static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct producer *producer = poll->data;
    rd_kafka_event_t *event;
    (void)status;
    (void)events;
    kafka_wake_clear(producer->wake_fd);
    while (!producer->is_closing && (event = rd_kafka_queue_poll(producer->queue, 0)))
        take_event(producer, event);
}

/* --- opening --- */

/* Signals are the loop's: none shall interrupt a thread of librdkafka. */
static rd_kafka_t *new_without_signals(rd_kafka_conf_t *conf, char *reason, size_t size)
{
    sigset_t all, before;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, size);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return handle;
}

static rd_kafka_conf_t *make_conf(const char *brokers, const struct settings *settings, struct why *why)
{
    return kafka_conf_new(brokers, properties, sizeof(properties) / sizeof(properties[0]), settings, why);
}

enum status producer_check_settings(const char *brokers, const struct settings *settings, struct why *why)
{
    rd_kafka_conf_t *conf = make_conf(brokers, settings, why);
    if (!conf)
        return STATUS_MALFORMED;
    rd_kafka_conf_destroy(conf);
    return STATUS_OK;
}

static rd_kafka_t *open_handle(const struct producer_options *options, struct why *why)
{
    char reason[256];
    rd_kafka_conf_t *conf = make_conf(options->brokers, options->settings, why);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    rd_kafka_t *handle = new_without_signals(conf, reason, sizeof(reason));
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        (void)why_say(why, STATUS_UNAVAILABLE, "section [rdkafka]: librdkafka makes no producer of it: %s",
                      reason);
    }
    return handle;
}

struct producer *producer_open(const struct producer_options *options, struct why *why)
{
    rd_kafka_t *handle = open_handle(options, why);
    if (!handle)
        return NULL;
    struct producer *producer = must_calloc(1, sizeof(*producer));
    producer->options = *options;
    producer->options.settings = NULL; /* borrowed for this call only */
    producer->handle = handle;
    MUST(open_topic(producer, &producer->topic, options->topic) == STATUS_OK);
    producer->queue = rd_kafka_queue_get_main(handle);
    MUST(rd_kafka_set_log_queue(handle, producer->queue) == RD_KAFKA_RESP_ERR_NO_ERROR);
    producer->wake_fd = kafka_wake_open(producer->queue);
    producer->poll.data = producer->check.work.data = producer->destroying.data = producer;
    MUST(uv_poll_init(options->loop, &producer->poll, producer->wake_fd) == 0);
    MUST(uv_poll_start(&producer->poll, UV_READABLE, on_wake) == 0);
    return producer;
}

/* --- sending --- */

static enum status status_of(rd_kafka_resp_err_t error)
{
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STATUS_OK;
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return STATUS_TOO_BIG;
    return error == RD_KAFKA_RESP_ERR__QUEUE_FULL ? STATUS_FULL : STATUS_UNAVAILABLE;
}

enum status producer_send(struct producer *producer, struct producer_place place, slice key, slice value)
{
    struct topic *topic;
    enum status status = find_way(producer, place, &topic);
    if (status != STATUS_OK)
        return status;
    if (rd_kafka_produce(topic->handle, place.partition, RD_KAFKA_MSG_F_COPY, (void *)value.data, value.len,
                         key.data, key.len, (void *)place.ticket) != 0)
        return status_of(rd_kafka_last_error());
    leaders_note_sent(&topic->leaders, place.partition);
    return STATUS_OK;
}

enum status producer_send_control(struct producer *producer, struct producer_place place, slice header)
{
    struct topic *topic;
    enum status status = find_way(producer, place, &topic);
    if (status != STATUS_OK)
        return status;
    status = status_of(rd_kafka_producev(producer->handle, RD_KAFKA_V_RKT(topic->handle),
                                         RD_KAFKA_V_PARTITION(place.partition),
                                         RD_KAFKA_V_HEADER(CONTROL_HEADER, header.data, (ssize_t)header.len),
                                         RD_KAFKA_V_OPAQUE((void *)place.ticket), RD_KAFKA_V_END));
    if (status == STATUS_OK)
        leaders_note_sent(&topic->leaders, place.partition);
    return status;
}

/* --- the end --- */

static void destroy_handle(uv_work_t *work)
{
    struct producer *producer = work->data;
    rd_kafka_purge(producer->handle,
                   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    close_topic(&producer->topic);
    close_topic(&producer->other);
    rd_kafka_queue_destroy(producer->queue);
    rd_kafka_destroy(producer->handle);
}

static void on_destroyed(uv_work_t *work, int status)
{
    (void)status;
    free(work->data);
}

static void go_on_closing(struct producer *producer)
{
    if (!producer->poll_is_closed || producer->check.is_running)
        return;
    kafka_wake_close(producer->queue, producer->wake_fd);
    MUST(uv_queue_work(producer->options.loop, &producer->destroying, destroy_handle, on_destroyed) == 0);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct producer *producer = handle->data;
    producer->poll_is_closed = true;
    go_on_closing(producer);
}

void producer_close(struct producer **producer)
{
    struct producer *closing = *producer;
    if (!closing)
        return;
    *producer = NULL;
    closing->is_closing = true;
    uv_close((uv_handle_t *)&closing->poll, on_poll_closed);
}

/* --- the topic --- */

static void judge_topic(struct check *check, const rd_kafka_metadata_t *metadata, const char *name)
{
    const rd_kafka_metadata_topic_t *topic = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    check->status = STATUS_OK;
    if (topic && topic->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        check->partitions = topic->partition_cnt;
        return;
    }
    bool is_absent = topic && (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                               topic->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
    check->status = is_absent ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE;
    snprintf(check->reason, sizeof(check->reason), "topic %s: %s", name,
             topic ? rd_kafka_err2str(topic->err) : "the brokers said nothing of it");
}

/* In a thread of the pool. */
static void ask_brokers(uv_work_t *work)
{
    struct producer *producer = work->data;
    struct check *check = &producer->check;
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error =
        rd_kafka_metadata(producer->handle, 0, producer->topic.handle, &metadata, CHECK_TIMEOUT_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        check->status = STATUS_UNAVAILABLE;
        snprintf(check->reason, sizeof(check->reason), "no broker answers: %s", rd_kafka_err2str(error));
        return;
    }
    judge_topic(check, metadata, rd_kafka_topic_name(producer->topic.handle));
    rd_kafka_metadata_destroy(metadata);
}

static void say_forgotten(struct producer *producer)
{
    static const char reason[] = "a partition has confirmed nothing for an hour";
    struct log log = producer_log();
    log_warning(&log, "producer_forgotten",
                "kafka.brokers = %s: %s: another producer sends what is not confirmed",
                producer->options.brokers, reason);
    producer->options.on_fatal(producer->options.context, reason);
}

static void on_asked(uv_work_t *work, int status)
{
    struct producer *producer = work->data;
    struct check *check = &producer->check;
    (void)status;
    check->is_running = false;
    if (producer->is_closing)
        go_on_closing(producer);
    else if (leaders_have_forgotten(&producer->topic.leaders, now(producer)) ||
             leaders_have_forgotten(&producer->other.leaders, now(producer)))
        say_forgotten(producer);
    else
        producer->options.on_checked(producer->options.context, check->status, check->partitions,
                                     check->reason);
}

void producer_check(struct producer *producer)
{
    struct check *check = &producer->check;
    if (check->is_running)
        return;
    check->is_running = true;
    check->reason[0] = '\0';
    MUST(uv_queue_work(producer->options.loop, &check->work, ask_brokers, on_asked) == 0);
}
