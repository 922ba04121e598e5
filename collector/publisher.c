/* SPDX-License-Identifier: Apache-2.0
 * publisher: see the header. */
#include "collector/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/log.h"
#include "collector/producer.h"
#include "proto/hit.h"

enum {
    CHECK_SOON_MS = 1000, /* while the topic is not as it should be */
    CHECK_LATER_MS = 30000,
    RENEW_PAUSE_MS = 1000,
    SHORT_LIFE_MS = 10000, /* a producer that dies younger is followed by a pause */
    STALE_CHECKS = 60,     /* minutes in which no broker answered: librdkafka keeps to the brokers it knew */
};

/* waiting -> ready <-> unfit; any -> waiting (a new producer has not asked yet), closing. */
enum publisher_state {
    STATE_WAITING, /* the topic was never reached */
    STATE_READY,
    STATE_UNFIT,   /* it is not as the settings say */
    STATE_PAUSING, /* between two producers */
    STATE_CLOSING,
    STATE_CLOSED
};

struct publisher {
    struct publisher_options options;
    struct producer *producer; /* NULL while pausing */
    mono_ms opened;            /* the producer */
    uv_timer_t timer;          /* the next check, the next producer, or the deadline of closing */
    enum publisher_state state;
    int failed_checks; /* one after the other */
    char reason[384];  /* why not ready */
    struct publisher_counters counters;
    struct log log;
    publisher_closed_fn *on_closed;
    void *closed_context;
};

static void set_timer(struct publisher *publisher, int64_t ms);

/* --- the topic --- */

static void judge_partitions(struct publisher *publisher, int partitions)
{
    if (partitions == publisher->options.partitions) {
        if (publisher->state != STATE_READY)
            log_info(&publisher->log, "topic_ready", "topic %s is there, %d partitions",
                     publisher->options.topic, partitions);
        publisher->state = STATE_READY;
        return;
    }
    publisher->state = STATE_UNFIT;
    snprintf(publisher->reason, sizeof(publisher->reason),
             "kafka.partitions is %d but topic %s has %d: no hit is taken until kafka.partitions says what "
             "the topic has",
             publisher->options.partitions, publisher->options.topic, partitions);
    log_error(&publisher->log, "partitions_differ", "%s", publisher->reason);
}

static void note_absent_topic(struct publisher *publisher, const char *reason)
{
    publisher->state = STATE_UNFIT;
    snprintf(publisher->reason, sizeof(publisher->reason),
             "kafka.topic: %s: create it with %d partitions, or name another", reason,
             publisher->options.partitions);
    log_error(&publisher->log, "topic_missing", "%s", publisher->reason);
}

/* One that was fit stays in use: librdkafka reconnects by itself. */
static void note_silence(struct publisher *publisher, const char *reason)
{
    publisher->failed_checks++;
    log_warning(&publisher->log, "kafka_silent", "kafka.brokers = %s: %s", publisher->options.brokers,
                reason);
    if (publisher->state == STATE_WAITING)
        snprintf(publisher->reason, sizeof(publisher->reason), "Kafka has not been reached yet: %s", reason);
}

static void start_anew(struct publisher *publisher);

static void on_checked(void *context, enum status status, int partitions, const char *reason)
{
    struct publisher *publisher = context;
    bool is_silent = status == STATUS_UNAVAILABLE;
    if (publisher->state == STATE_CLOSING)
        return;
    if (is_silent)
        note_silence(publisher, reason);
    else
        publisher->failed_checks = 0;
    if (status == STATUS_OK)
        judge_partitions(publisher, partitions);
    else if (status == STATUS_NOT_FOUND)
        note_absent_topic(publisher, reason);
    set_timer(publisher, publisher->state == STATE_READY && !is_silent ? CHECK_LATER_MS : CHECK_SOON_MS);
    if (publisher->failed_checks >= STALE_CHECKS)
        start_anew(publisher);
}

/* --- the producer --- */

static void settle_rest(struct publisher *publisher)
{
    publisher->counters.in_flight = 0;
    publisher->counters.in_flight_bytes = 0;
    publisher->options.on_reset(publisher->options.context);
}

static void finish_closing(struct publisher *publisher);

static void on_report(void *context, uint32_t ticket, size_t bytes, bool is_delivered)
{
    struct publisher *publisher = context;
    MUST(publisher->counters.in_flight > 0);
    publisher->counters.in_flight--;
    publisher->counters.in_flight_bytes -= (int64_t)bytes;
    publisher->options.on_settled(publisher->options.context, ticket, is_delivered);
    if (publisher->state == STATE_CLOSING && publisher->counters.in_flight == 0)
        finish_closing(publisher);
}

static void on_fatal(void *context, const char *reason)
{
    (void)reason; /* said by the producer */
    start_anew(context);
}

static enum status open_producer(struct publisher *publisher, struct why *why)
{
    publisher->producer = producer_open(
        &(struct producer_options){
            .loop = publisher->options.loop,
            .brokers = publisher->options.brokers,
            .topic = publisher->options.topic,
            .settings = publisher->options.settings,
            .on_report = on_report,
            .on_fatal = on_fatal,
            .on_checked = on_checked,
            .context = publisher,
        },
        why);
    if (!publisher->producer)
        return STATUS_MALFORMED;
    publisher->opened = mono_now();
    publisher->counters.producers_total++;
    return STATUS_OK;
}

/* The properties were good at start. */
static void reopen_producer(struct publisher *publisher)
{
    struct why why;
    MUST(open_producer(publisher, &why) == STATUS_OK);
    publisher->state = STATE_WAITING;
    snprintf(publisher->reason, sizeof(publisher->reason), "Kafka has not been reached again yet");
    producer_check(publisher->producer);
}

/* Another producer: at once, or after a pause when this one died young. */
static void start_anew(struct publisher *publisher)
{
    bool died_young = mono_now().ms - publisher->opened.ms < SHORT_LIFE_MS;
    bool is_first = publisher->counters.producers_total == 1;
    producer_close(&publisher->producer);
    publisher->failed_checks = 0;
    if (publisher->state == STATE_CLOSING) {
        finish_closing(publisher);
        return;
    }
    publisher->state = STATE_PAUSING;
    snprintf(publisher->reason, sizeof(publisher->reason), "the Kafka producer is being replaced");
    settle_rest(publisher);
    if (died_young && !is_first)
        set_timer(publisher, RENEW_PAUSE_MS);
    else
        reopen_producer(publisher);
}

/* --- sending --- */

bool publisher_is_ready(const struct publisher *publisher, const char **reason)
{
    *reason = publisher->reason;
    return publisher->state == STATE_READY;
}

bool publisher_has_room(const struct publisher *publisher, size_t count)
{
    const struct publisher_counters *counters = &publisher->counters;
    return counters->in_flight + (int64_t)count <= PUBLISHER_MAX_HITS &&
           counters->in_flight_bytes + (int64_t)count * HIT_MAX_BYTES <= PUBLISHER_MAX_BYTES;
}

enum status publisher_send(struct publisher *publisher, int partition, slice key, slice value,
                           uint32_t ticket)
{
    MUST(publisher->state == STATE_READY);
    enum status status = producer_send(publisher->producer, partition, key, value, ticket);
    if (status != STATUS_OK)
        return status;
    publisher->counters.in_flight++;
    publisher->counters.in_flight_bytes += (int64_t)(key.len + value.len);
    return STATUS_OK;
}

struct publisher_counters publisher_counters(const struct publisher *publisher)
{
    return publisher->counters;
}

/* --- life --- */

static void on_timer(uv_timer_t *timer)
{
    struct publisher *publisher = timer->data;
    if (publisher->state == STATE_CLOSING)
        finish_closing(publisher);
    else if (publisher->state == STATE_PAUSING)
        reopen_producer(publisher);
    else
        producer_check(publisher->producer);
}

static void set_timer(struct publisher *publisher, int64_t ms)
{
    MUST(uv_timer_start(&publisher->timer, on_timer, (uint64_t)ms, 0) == 0);
}

struct publisher *publisher_open(const struct publisher_options *options, struct why *why)
{
    struct publisher *publisher = must_calloc(1, sizeof(*publisher));
    publisher->options = *options;
    publisher->log = log_new("publisher");
    snprintf(publisher->reason, sizeof(publisher->reason), "Kafka has not been reached yet");
    if (open_producer(publisher, why) != STATUS_OK) {
        free(publisher);
        return NULL;
    }
    MUST(uv_timer_init(options->loop, &publisher->timer) == 0);
    publisher->timer.data = publisher;
    producer_check(publisher->producer);
    return publisher;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct publisher *publisher = handle->data;
    publisher->state = STATE_CLOSED;
    publisher->on_closed(publisher->closed_context);
}

static void finish_closing(struct publisher *publisher)
{
    if (uv_is_closing((uv_handle_t *)&publisher->timer))
        return;
    producer_close(&publisher->producer);
    uv_close((uv_handle_t *)&publisher->timer, on_timer_closed);
    if (publisher->counters.in_flight > 0)
        settle_rest(publisher);
}

void publisher_close(struct publisher *publisher, int64_t deadline_ms, publisher_closed_fn *on_closed,
                     void *context)
{
    MUST(publisher->state != STATE_CLOSING && publisher->state != STATE_CLOSED);
    publisher->state = STATE_CLOSING;
    snprintf(publisher->reason, sizeof(publisher->reason), "the collector is stopping");
    publisher->on_closed = on_closed;
    publisher->closed_context = context;
    if (publisher->counters.in_flight > 0)
        set_timer(publisher, deadline_ms);
    else
        finish_closing(publisher);
}

void publisher_free(struct publisher **publisher)
{
    if (!*publisher)
        return;
    MUST((*publisher)->state == STATE_CLOSED);
    free(*publisher);
    *publisher = NULL;
}
