/* SPDX-License-Identifier: Apache-2.0
 * feed: see the header.
 *
 * Events are taken one by one with rd_kafka_queue_poll; nothing is paused, no offset is stored. Errors of a
 * partition that do not pass by themselves are faults; everything else librdkafka mends itself, but for a
 * fatal client and for brokers that have all moved: then a new client is made after a back-off. */
#include "aggregator/feed.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aggregator/backoff.h"
#include "aggregator/feed_client.h"
#include "proto/control.h"
#include "proto/kafka.h"

enum {
    RENEW_MIN_MS = 1000,
    RENEW_MAX_MS = 30000,
    /* librdkafka never asks the bootstrap list again: when all brokers have new addresses, only a new client
     * finds them. */
    MAX_DOWN_MS = 180000,
    FAULT_PATIENCE = 6,
};

struct pending_fault { /* told when the broker has said where the log begins and ends now */
    int partition;
    bool is_answer_older; /* the next one was asked for before the fault */
    int patience;         /* answers that may say nothing of this partition, as while it has no leader */
    char reason[200];
};

struct feed {
    struct uv_loop_s *loop;
    struct feed_options options;
    struct feed_events events;
    void *context;
    struct log log;
    rd_kafka_conf_t *conf; /* each client gets a copy */
    struct feed_client *client;
    bool is_assigned;
    bool is_known; /* what this client's cluster is */
    bool is_down;
    mono_ms down_since;
    struct backoff backoff;
    uv_timer_t renewal;
    struct pending_fault *faults;
    size_t fault_count;
};

/* ---- Start and renewal ---- */

static rd_kafka_conf_t *make_conf(const struct feed_options *options, struct why *why)
{
    const struct kafka_property ours[] = {
        {"client.id", "footfall-aggregator", false},
        {"group.id", options->group, true},
        {"group.instance.id", options->instance, true},
        {"partition.assignment.strategy", "range", true},
        {"session.timeout.ms", "10000", false},
        {"enable.auto.commit", "false", true},
        {"enable.auto.offset.store", "false", true},
        {"auto.offset.reset", "error", true},
        {"enable.partition.eof", "true", true},
        {"allow.auto.create.topics", "false", true},
        {"check.crcs", "true", false},
        {"fetch.min.bytes", "1", false},
        {"fetch.wait.max.ms", "100", false}, /* also what a new list of partitions waits at worst */
        {"queued.min.messages", "100000", false},
        {"queued.max.messages.kbytes", "65536", false},
    };
    /* An empty instance would be a static member of that name. */
    struct kafka_property used[sizeof ours / sizeof ours[0]];
    size_t count = 0;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (ours[i].value[0] != '\0')
            used[count++] = ours[i];
    rd_kafka_conf_t *conf = kafka_conf_new(options->brokers, used, count, options->settings, why);
    if (conf != NULL)
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE |
                                           RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    return conf;
}

enum status feed_check(const struct feed_options *options, struct why *why)
{
    rd_kafka_conf_t *conf = make_conf(options, why);
    if (conf == NULL)
        return STATUS_MALFORMED;
    rd_kafka_conf_destroy(conf);
    return STATUS_OK;
}

static const struct feed_client_events client_events;

static struct feed_client *open_client(struct feed *feed, struct why *why)
{
    return feed_client_open_take(feed->loop, rd_kafka_conf_dup(feed->conf), feed->options.topic, why);
}

static void free_feed(struct feed *feed)
{
    if (feed->conf != NULL)
        rd_kafka_conf_destroy(feed->conf);
    free(feed->faults);
    free(feed);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_feed(handle->data);
}

struct feed *feed_start(struct uv_loop_s *loop, const struct feed_options *options,
                        const struct feed_events *events, void *context, struct why *why)
{
    struct feed *feed = must_calloc(1, sizeof *feed);
    feed->loop = loop;
    feed->options = *options;
    feed->events = *events;
    feed->context = context;
    feed->log = log_new("feed");
    feed->backoff = (struct backoff){.min_ms = RENEW_MIN_MS, .max_ms = RENEW_MAX_MS};
    feed->conf = make_conf(options, why);
    if (feed->conf == NULL)
        goto fail;
    feed->client = open_client(feed, why);
    if (feed->client == NULL)
        goto fail;
    feed_client_start(feed->client, &client_events, feed);
    MUST(uv_timer_init(loop, &feed->renewal) == 0);
    feed->renewal.data = feed;
    return feed;
fail:
    free_feed(feed);
    return NULL;
}

static void forget_assignment(struct feed *feed)
{
    feed->fault_count = 0;
    if (!feed->is_assigned)
        return;
    feed->is_assigned = false;
    feed->events.on_revoked(feed->context);
}

static void renew(struct feed *feed, const char *reason);

static void on_renew(uv_timer_t *timer)
{
    struct feed *feed = timer->data;
    struct why why;
    struct feed_client *fresh = open_client(feed, &why);
    if (fresh == NULL) { /* a file of certificates that went away, no memory for threads … */
        renew(feed, why.text);
        return;
    }
    forget_assignment(feed); /* the old client may have been given partitions while we waited */
    feed_client_close(&feed->client, false);
    feed->client = fresh;
    feed->is_known = false;
    feed->is_down = false;
    feed_client_start(feed->client, &client_events, feed);
}

static void renew(struct feed *feed, const char *reason)
{
    if (uv_is_active((uv_handle_t *)&feed->renewal))
        return;
    int64_t wait_ms = backoff_next(&feed->backoff);
    log_error(&feed->log, "client_renewed", "a new consumer is made in %lld ms: %s", (long long)wait_ms,
              reason);
    forget_assignment(feed);
    uv_timer_start(&feed->renewal, on_renew, (uint64_t)wait_ms, 0);
}

/* ---- Faults of a partition ---- */

static bool is_pending(const struct feed *feed, int partition)
{
    for (size_t i = 0; i < feed->fault_count; i++)
        if (feed->faults[i].partition == partition)
            return true;
    return false;
}

static void note_fault(struct feed *feed, int partition, const char *reason)
{
    if (is_pending(feed, partition))
        return;
    feed->faults = must_realloc(feed->faults, (feed->fault_count + 1) * sizeof *feed->faults);
    struct pending_fault *fault = &feed->faults[feed->fault_count++];
    *fault = (struct pending_fault){.partition = partition,
                                    .is_answer_older = feed_client_is_asking(feed->client),
                                    .patience = FAULT_PATIENCE};
    snprintf(fault->reason, sizeof fault->reason, "%s", reason);
    feed_client_ask(feed->client);
}

/* Whether this answer says what is to be told of the fault; else another one is waited for. */
static bool is_ripe(struct pending_fault *fault, const struct loss_log *log)
{
    if (fault->is_answer_older) {
        fault->is_answer_older = false;
        return false;
    }
    return log->end >= 0 || fault->patience-- == 0;
}

static void tell_faults(struct feed *feed)
{
    size_t left = 0;
    bool was_older = false;
    for (size_t i = 0; i < feed->fault_count; i++) {
        struct pending_fault fault = feed->faults[i];
        struct loss_log log = feed_client_answered_log(feed->client, fault.partition);
        was_older |= fault.is_answer_older;
        if (is_ripe(&fault, &log))
            feed->events.on_fault(feed->context, &(struct feed_fault){fault.partition, fault.reason, log});
        else
            feed->faults[left++] = fault;
    }
    feed->fault_count = left;
    if (was_older)
        feed_client_ask(feed->client);
}

bool feed_has_faults(const struct feed *feed)
{
    return feed->fault_count > 0;
}

/* ---- What the client says ---- */

static void on_wake(void *context)
{
    struct feed *feed = context;
    feed->events.on_wake(feed->context);
}

static void on_cluster(void *context, const char *cluster_id, int partition_count)
{
    struct feed *feed = context;
    bool is_news = feed->is_down || !feed->is_known;
    feed->is_down = false;
    feed->is_known = true;
    backoff_reset(&feed->backoff);
    if (is_news)
        feed->events.on_cluster(feed->context, cluster_id, partition_count);
    tell_faults(feed);
}

static void note_down(struct feed *feed, const char *reason)
{
    log_warning(&feed->log, "broker_down", "%s", reason);
    if (!feed->is_down)
        feed->down_since = mono_now();
    feed->is_down = true;
}

static void on_no_answer(void *context, const char *reason)
{
    struct feed *feed = context;
    note_down(feed, reason);
    if (mono_now().ms - feed->down_since.ms > MAX_DOWN_MS)
        renew(feed, reason);
}

static const struct feed_client_events client_events = {on_wake, on_cluster, on_no_answer};

bool feed_is_connected(const struct feed *feed)
{
    return !feed->is_down;
}

/* ---- Events of the queue ---- */

static void find_control(const rd_kafka_message_t *message, struct feed_message *taken)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, CONTROL_HEADER, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    taken->is_control = true;
    taken->control = (slice){value, value != NULL ? len : 0};
}

static void take_message(struct feed *feed, const rd_kafka_message_t *message)
{
    struct feed_message taken = {
        .partition = message->partition,
        .offset = message->offset,
        .has_value = message->payload != NULL,
        .value = {message->payload, message->payload ? message->len : 0},
    };
    rd_kafka_timestamp_type_t type;
    taken.written.ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || taken.written.ms < 0) /* -1: its producer wrote none */
        taken.written = wall_now();
    if (!taken.has_value)
        find_control(message, &taken);
    feed->events.on_message(feed->context, &taken);
}

/* The answer is given at once, so that the group goes on; what is read is told by feed_read_at. */
static void take_assignment(struct feed *feed, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);
    rd_kafka_assign(feed_client_handle(feed->client), none);
    rd_kafka_topic_partition_list_destroy(none);
    feed->is_assigned = true;
    size_t count = (size_t)list->cnt;
    int *partitions = must_calloc(count + 1, sizeof *partitions);
    for (size_t i = 0; i < count; i++)
        partitions[i] = list->elems[i].partition;
    feed->events.on_assigned(feed->context, partitions, count);
    free(partitions);
}

static void take_rebalance(struct feed *feed, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take_assignment(feed, rd_kafka_event_topic_partition_list(event));
        return;
    }
    forget_assignment(feed);
    rd_kafka_assign(feed_client_handle(feed->client), NULL);
}

/* Errors of one partition that no waiting mends: what was to be read next is not there or cannot be read. */
static bool is_fault(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
           error == RD_KAFKA_RESP_ERR__BAD_MSG || error == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           error == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED;
}

static void take_partition_error(struct feed *feed, int partition, rd_kafka_resp_err_t error,
                                 const char *reason)
{
    if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        feed->events.on_end(feed->context, partition);
    else if (is_fault(error))
        note_fault(feed, partition, reason);
    else
        log_warning(&feed->log, "partition_error", "partition %d: %s", partition, reason);
}

static void take_error(struct feed *feed, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(event);
    const char *reason = rd_kafka_event_error_string(event);
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        renew(feed, reason);
    } else if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        note_down(feed, reason);
        feed_client_ask(feed->client);
    } else if (at != NULL && at->partition >= 0) {
        take_partition_error(feed, at->partition, error, reason);
    } else {
        log_warning(&feed->log, "kafka_error", "%s: %s", rd_kafka_err2name(error), reason);
    }
    if (at != NULL)
        rd_kafka_topic_partition_destroy(at);
}

static void take_log(struct feed *feed, rd_kafka_event_t *event)
{
    const char *facility;
    const char *text;
    int level; /* as syslog has it */
    if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
        log_line(&feed->log, level <= 4 ? LOG_WARNING : LOG_DEBUG, "librdkafka", "%s: %s", facility, text);
}

static void take_event(struct feed *feed, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_FETCH:
        while ((message = rd_kafka_event_message_next(event)) != NULL)
            take_message(feed, message);
        break;
    case RD_KAFKA_EVENT_REBALANCE:
        take_rebalance(feed, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        take_error(feed, event);
        break;
    case RD_KAFKA_EVENT_LOG:
        take_log(feed, event);
        break;
    default:
        break;
    }
}

bool feed_poll(struct feed *feed, size_t max_events)
{
    for (size_t i = 0; i < max_events; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(feed_client_queue(feed->client), 0);
        if (event == NULL)
            return true;
        take_event(feed, event);
        rd_kafka_event_destroy(event);
    }
    return false;
}

/* ---- What is read ---- */

void feed_read_at(struct feed *feed, const struct feed_position *positions, size_t count)
{
    if (!feed->is_assigned)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, feed->options.topic, positions[i].partition)->offset =
            positions[i].next_offset;
    rd_kafka_resp_err_t error = rd_kafka_assign(feed_client_handle(feed->client), list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warning(&feed->log, "not_assigned", "librdkafka does not take the list of partitions: %s",
                    rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t feed_lag(const struct feed *feed, int partition, int64_t next_offset)
{
    struct loss_log log = feed_client_find_log(feed->client, partition);
    if (log.end < 0)
        return -1;
    int64_t from = next_offset > log.first ? next_offset : log.first;
    return log.end > from ? log.end - from : 0;
}

void feed_ask_ends(struct feed *feed)
{
    feed_client_ask(feed->client);
}

void feed_stop(struct feed **feed)
{
    struct feed *stopping = *feed;
    *feed = NULL;
    if (stopping == NULL)
        return;
    bool is_fatal = uv_is_active((uv_handle_t *)&stopping->renewal);
    feed_client_close(&stopping->client, !is_fatal);
    uv_close((uv_handle_t *)&stopping->renewal, on_timer_closed);
}
