/* SPDX-License-Identifier: Apache-2.0
 * publisher: see the header. */
#include "collector/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "collector/keeper.h"
#include "proto/producer.h"
#include "proto/control.h"

enum {
    FILL_HITS = 256,      /* a turn: about a millisecond */
    CHECK_SOON_MS = 1000, /* while the topic is not as it should be */
    CHECK_LATER_MS = 30000,
    MIN_PAUSE_MS = 1000, /* between two producers of which the first delivered nothing */
    MAX_PAUSE_MS = 30000,
    STALE_CHECKS = 60, /* minutes in which no broker answered: librdkafka keeps to the brokers it knew */
};

/* waiting -> ready <-> unfit; any -> pausing -> waiting (a new producer has not asked yet); any -> closed. */
enum publisher_state {
    STATE_WAITING, /* the topic was not reached by this producer */
    STATE_READY,
    STATE_UNFIT,   /* it is not as the settings say */
    STATE_PAUSING, /* between two producers */
    STATE_CLOSED
};

struct publisher {
    struct publisher_options options;
    struct journal *journal;
    struct producer *producer; /* NULL while pausing */
    uv_timer_t timer;          /* the next check, or the next producer */
    enum publisher_state state;
    bool is_fit;       /* the topic was reached once and was as the settings say when last seen */
    int64_t pause_ms;  /* before the next producer, should this one deliver nothing */
    int failed_checks; /* one after the other */
    bool has_entry;    /* read and not sent yet */
    struct journal_entry entry;
    journal_position last_sent;
    journal_position sent_below;  /* the greatest ever sent, and one */
    journal_position alone_below; /* of these each is sent when nothing else is in flight */
    char reason[384];             /* why not fit */
    struct publisher_counters counters;
    struct log log;
    publisher_closed_fn *on_closed;
    void *closed_context;
};

static void set_timer(struct publisher *publisher, int64_t ms);

/* --- the topic --- */

static void judge_partitions(struct publisher *publisher, int partitions)
{
    bool is_as_set = partitions == publisher->options.partitions;
    if (is_as_set && publisher->state != STATE_READY)
        log_info(&publisher->log, "topic_ready", "topic %s is there, %d partitions", publisher->options.topic,
                 partitions);
    publisher->state = is_as_set ? STATE_READY : STATE_UNFIT;
    publisher->is_fit = is_as_set;
    keeper_wake(publisher->options.keeper);
    if (is_as_set)
        return;
    snprintf(
        publisher->reason, sizeof(publisher->reason),
        "kafka.partitions is %d but topic %s has %d: hits wait in the journal until kafka.partitions says "
        "what the topic has",
        publisher->options.partitions, publisher->options.topic, partitions);
    log_error(&publisher->log, "partitions_differ", "%s", publisher->reason);
}

static void note_absent_topic(struct publisher *publisher, const char *reason)
{
    publisher->state = STATE_UNFIT;
    publisher->is_fit = false;
    snprintf(publisher->reason, sizeof(publisher->reason),
             "kafka.topic: %s: create it with %d partitions, or name another; hits wait in the journal",
             reason, publisher->options.partitions);
    log_error(&publisher->log, "topic_missing", "%s", publisher->reason);
}

/* One that was fit stays in use: librdkafka reconnects by itself. */
static void note_silence(struct publisher *publisher, const char *reason)
{
    publisher->failed_checks++;
    log_warning(&publisher->log, "kafka_silent", "kafka.brokers = %s: %s; hits wait in the journal",
                publisher->options.brokers, reason);
    if (!publisher->is_fit && publisher->state == STATE_WAITING)
        snprintf(publisher->reason, sizeof(publisher->reason), "Kafka has not been reached yet: %s", reason);
}

static void start_anew(struct publisher *publisher, int64_t pause_ms);

static void on_checked(void *context, enum status status, int partitions, const char *reason)
{
    struct publisher *publisher = context;
    bool is_silent = status == STATUS_UNAVAILABLE;
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
        start_anew(publisher, 0);
}

/* --- what became of a message --- */

static bool is_alone(const struct publisher *publisher, journal_position position)
{
    return position < publisher->alone_below;
}

static struct producer_place place_of(const struct publisher *publisher, const struct hit_stream *stream,
                                      journal_position position)
{
    return (struct producer_place){
        .topic = publisher->options.topic,
        .partition = stream->partition % publisher->options.partitions,
        .ticket = (uintptr_t)position,
    };
}

static enum status send_control(struct publisher *publisher, struct producer_place place,
                                const struct control *control)
{
    char memory[CONTROL_MAX_BYTES];
    struct buf header;
    buf_init(&header, memory, sizeof(memory));
    control_encode(control, &header);
    MUST(!header.overflowed);
    return producer_send_control(publisher->producer, place, buf_slice(&header));
}

static void note_sent(struct publisher *publisher, journal_position position, size_t bytes)
{
    publisher->counters.in_flight++;
    publisher->counters.in_flight_bytes += (int64_t)bytes;
    publisher->last_sent = position;
    if (position >= publisher->sent_below)
        publisher->sent_below = position + 1;
}

/* Kept for people, then announced; the announcement's report acknowledges it. */
static void give_up_hit(struct publisher *publisher, journal_position position, slice value,
                        const char *reason)
{
    char memory[HIT_MAX_BYTES];
    struct buf scratch;
    struct hit hit;
    buf_init(&scratch, memory, sizeof(memory));
    bool is_kept = journal_keep_refused(publisher->journal, value) == STATUS_OK;
    publisher->counters.refused_total++;
    log_error(&publisher->log, "hit_refused", "kafka.topic: Kafka refuses a hit for good: %s: %s", reason,
              is_kept ? "it is kept as a line of quarantine/refused in journal.directory"
                      : "it cannot be kept in quarantine/refused, which is full or cannot be written");
    if (hit_decode(value, &scratch, &hit) != HIT_GOOD || !hit.has_stream) { /* of another version of ours */
        journal_acknowledge(publisher->journal, position);
        return;
    }
    const struct control skip = {CONTROL_SKIP, hit.stream, hit.seq, hit.seq, slice_of(reason)};
    if (send_control(publisher, place_of(publisher, &hit.stream, position), &skip) == STATUS_OK)
        note_sent(publisher, position, 0);
    else
        start_anew(publisher, MIN_PAUSE_MS);
}

static void take_refusal(struct publisher *publisher, const struct producer_report *report)
{
    journal_position position = report->ticket;
    if (!is_alone(publisher, position)) {
        log_warning(&publisher->log, "batch_refused",
                    "kafka.topic: Kafka refuses a batch: %s: sending one by one", report->reason);
        publisher->alone_below = publisher->sent_below;
        start_anew(publisher, 0);
    } else if (report->is_control) {
        log_error(&publisher->log, "control_refused",
                  "kafka.topic: Kafka refuses a record without key and value: %s: set cleanup.policy=delete "
                  "for the topic",
                  report->reason);
        journal_acknowledge(publisher->journal, position);
    } else {
        give_up_hit(publisher, position, report->value, report->reason);
    }
}

static void take_delivery(struct publisher *publisher, const struct producer_report *report)
{
    publisher->counters.delivered_total += !report->is_control;
    publisher->pause_ms = 0;
    journal_acknowledge(publisher->journal, report->ticket);
}

static void on_report(void *context, const struct producer_report *report)
{
    struct publisher *publisher = context;
    MUST(publisher->counters.in_flight > 0);
    publisher->counters.in_flight--;
    publisher->counters.in_flight_bytes -= (int64_t)report->bytes;
    keeper_wake(publisher->options.keeper);
    if (report->outcome == PRODUCER_DELIVERED) {
        take_delivery(publisher, report);
    } else if (report->outcome == PRODUCER_REFUSED) {
        take_refusal(publisher, report);
    } else {
        log_error(&publisher->log, "not_delivered",
                  "kafka.topic = %s: %s: everything not confirmed is sent again", publisher->options.topic,
                  report->reason);
        start_anew(publisher, MIN_PAUSE_MS);
    }
}

static void on_fatal(void *context, const char *reason)
{
    (void)reason; /* said by the producer */
    start_anew(context, 0);
}

/* --- the producer --- */

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
    publisher->counters.producers_total++;
    return STATUS_OK;
}

/* The properties were good at start, but a file of certificates may have gone, or the memory for threads. */
static void reopen_producer(struct publisher *publisher)
{
    struct why why;
    if (open_producer(publisher, &why) != STATUS_OK) {
        log_error(&publisher->log, "no_producer", "%s; hits wait in the journal, and it is tried again",
                  why.text);
        start_anew(publisher, MIN_PAUSE_MS);
        return;
    }
    publisher->state = STATE_WAITING;
    producer_check(publisher->producer);
}

/* Another producer, after this pause or a longer one when the last ones delivered nothing. Everything that is
 * not acknowledged is read and sent again. */
static void start_anew(struct publisher *publisher, int64_t pause_ms)
{
    producer_close(&publisher->producer);
    publisher->failed_checks = 0;
    publisher->counters.in_flight = 0;
    publisher->counters.in_flight_bytes = 0;
    publisher->has_entry = false;
    journal_rewind(publisher->journal);
    if (pause_ms < publisher->pause_ms)
        pause_ms = publisher->pause_ms;
    publisher->pause_ms = publisher->pause_ms > 0 ? 2 * publisher->pause_ms : MIN_PAUSE_MS;
    if (publisher->pause_ms > MAX_PAUSE_MS)
        publisher->pause_ms = MAX_PAUSE_MS;
    publisher->state = STATE_PAUSING;
    set_timer(publisher, pause_ms);
}

/* --- sending --- */

static bool has_room(const struct publisher *publisher)
{
    const struct publisher_counters *counters = &publisher->counters;
    return counters->in_flight < PUBLISHER_MAX_HITS &&
           counters->in_flight_bytes + HIT_MAX_BYTES <= PUBLISHER_MAX_BYTES;
}

static enum status send_entry(struct publisher *publisher, const struct journal_entry *entry)
{
    const struct hit_stream stream = {.boot = entry->boot, .partition = entry->partition};
    struct producer_place place = place_of(publisher, &stream, entry->position);
    if (entry->may_have_been_sent && strcmp(entry->topic, place.topic) != 0) {
        place.topic = entry->topic;
        place.partition = entry->partition;
    }
    switch (entry->kind) {
    case JOURNAL_HIT:
        return producer_send(publisher->producer, place, entry->key, entry->value);
    case JOURNAL_SKIP:
        return send_control(publisher, place,
                            &(struct control){CONTROL_SKIP, stream, entry->seq, entry->last,
                                              SLICE("lost from the collector's journal")});
    case JOURNAL_FIN:
        break;
    }
    return send_control(publisher, place,
                        &(struct control){.kind = CONTROL_FIN, .stream = stream, .last = entry->last});
}

/* One that is to go alone waits until nothing is in flight, and all others wait for it. */
static bool may_go(const struct publisher *publisher, journal_position position)
{
    return publisher->counters.in_flight == 0 ||
           !(is_alone(publisher, position) || is_alone(publisher, publisher->last_sent));
}

/* False: no more in this turn. */
static bool send_next(struct publisher *publisher)
{
    struct journal_entry *entry = &publisher->entry;
    if (!publisher->has_entry) {
        enum status found = journal_read(publisher->journal, entry);
        publisher->has_entry = found == STATUS_OK;
        if (!publisher->has_entry)
            return found == STATUS_AGAIN;
    }
    if (!may_go(publisher, entry->position))
        return false;
    enum status status = send_entry(publisher, entry);
    if (status == STATUS_OK) {
        note_sent(publisher, entry->position, entry->key.len + entry->value.len);
        publisher->has_entry = false;
    } else if (status == STATUS_TOO_BIG) {
        publisher->has_entry = false;
        give_up_hit(publisher, entry->position, entry->value, "larger than message.max.bytes of [rdkafka]");
    } else if (status != STATUS_FULL) {
        start_anew(publisher, MIN_PAUSE_MS);
    }
    return status == STATUS_OK;
}

void publisher_fill(struct publisher *publisher)
{
    int left = FILL_HITS;
    if (publisher->state != STATE_READY)
        return;
    if (journal_start_publishing(publisher->journal, wall_now()))
        keeper_wake(publisher->options.keeper);
    while (left > 0 && has_room(publisher) && send_next(publisher))
        left--;
    if (left == 0)
        keeper_wake(publisher->options.keeper);
}

bool publisher_is_ready(const struct publisher *publisher, const char **reason)
{
    *reason = publisher->reason;
    return publisher->is_fit;
}

struct publisher_counters publisher_counters(const struct publisher *publisher)
{
    struct publisher_counters counters = publisher->counters;
    counters.is_connected = publisher->state == STATE_READY;
    return counters;
}

/* --- life --- */

static void on_timer(uv_timer_t *timer)
{
    struct publisher *publisher = timer->data;
    if (publisher->state == STATE_PAUSING)
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
    publisher->journal = keeper_journal(options->keeper);
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
    publisher->on_closed(publisher->closed_context);
}

void publisher_close(struct publisher *publisher, publisher_closed_fn *on_closed, void *context)
{
    MUST(publisher->state != STATE_CLOSED);
    publisher->state = STATE_CLOSED;
    publisher->on_closed = on_closed;
    publisher->closed_context = context;
    producer_close(&publisher->producer);
    uv_close((uv_handle_t *)&publisher->timer, on_timer_closed);
}

void publisher_free(struct publisher **publisher)
{
    if (!*publisher)
        return;
    MUST((*publisher)->state == STATE_CLOSED);
    free(*publisher);
    *publisher = NULL;
}
