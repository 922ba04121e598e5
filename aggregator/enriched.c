/* SPDX-License-Identifier: Apache-2.0
 * enriched: see the header. */
#include "aggregator/enriched.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "aggregator/batch.h"
#include "aggregator/processed_event.h"
#include "base/log.h"
#include "proto/partition.h"
#include "proto/producer.h"

enum { REASON_MAX = 512 };

struct enriched {
    struct enriched_options options;
    struct log log;
    void (*on_change)(void *context);
    void *context;

    struct producer *producer; /* NULL: none, or the last one failed */
    int partition_count;       /* of the topic; 0: this producer has not reached it */
    bool has_failed;           /* since the last answer */
    char reason[REASON_MAX];

    /* The batch on its way. */
    const struct batch *batch; /* NULL: none */
    size_t next;               /* of its hits */
    size_t unconfirmed_count;
    uintptr_t ticket; /* tells its messages from those of batches that were given up */
    struct buf value;
    uv_timer_t pulse;
    bool has_moved; /* since the last pulse */
    bool was_quiet; /* before it */

    int64_t confirmed_total;
    void (*on_closed)(void *context);
    void *closed_context;
};

static void tell(struct enriched *enriched)
{
    if (enriched->on_change != NULL)
        enriched->on_change(enriched->context);
}

/* ---- Failures ---- */

static void drop_producer(struct enriched *enriched)
{
    producer_close(&enriched->producer);
    enriched->partition_count = 0;
}

static void fail(struct enriched *enriched, const char *reason)
{
    drop_producer(enriched);
    uv_timer_stop(&enriched->pulse);
    enriched->has_failed = true;
    snprintf(enriched->reason, sizeof enriched->reason, "enriched.topic = %s: %s", enriched->options.topic,
             reason);
    tell(enriched);
}

/* Told once. */
static bool take_failure(struct enriched *enriched)
{
    bool has_failed = enriched->has_failed;
    enriched->has_failed = false;
    return has_failed;
}

/* Routine: when nobody waits for this producer, the next one does as well. */
static void on_fatal(void *context, const char *reason)
{
    struct enriched *enriched = context;
    if (enriched->batch == NULL && enriched->partition_count > 0)
        drop_producer(enriched);
    else
        fail(enriched, reason);
}

/* ---- The topic ---- */

static void on_checked(void *context, enum status status, int partitions, const char *reason)
{
    struct enriched *enriched = context;
    char text[REASON_MAX];
    if (status == STATUS_OK) {
        enriched->partition_count = partitions;
        log_info(&enriched->log, "enriched_reached", "topic %s has %d partitions", enriched->options.topic,
                 partitions);
        tell(enriched);
        return;
    }
    bool is_absent = status == STATUS_NOT_FOUND;
    snprintf(text, sizeof text, "%s%s", reason, is_absent ? ": create it, or name another" : "");
    fail(enriched, text);
}

static void on_report(void *context, const struct producer_report *report);

static struct producer *open_producer(struct enriched *enriched, struct why *why)
{
    return producer_open(
        &(struct producer_options){
            .loop = enriched->options.loop,
            .brokers = enriched->options.brokers,
            .topic = enriched->options.topic,
            .settings = enriched->options.settings,
            .on_report = on_report,
            .on_fatal = on_fatal,
            .on_checked = on_checked,
            .context = enriched,
        },
        why);
}

enum status enriched_reach(struct enriched *enriched)
{
    struct why why;
    if (take_failure(enriched))
        return STATUS_UNAVAILABLE;
    if (enriched->partition_count > 0)
        return STATUS_OK;
    if (enriched->producer == NULL)
        enriched->producer = open_producer(enriched, &why);
    if (enriched->producer == NULL) {
        snprintf(enriched->reason, sizeof enriched->reason, "%s", why.text);
        return STATUS_UNAVAILABLE;
    }
    producer_check(enriched->producer);
    return STATUS_AGAIN;
}

/* ---- Messages ---- */

static enum status send_hit(struct enriched *enriched, const struct batch_hit *hit)
{
    char visitor[PARTITION_KEY_MAX], key[PROCESSED_EVENT_MAX_KEY];
    size_t visitor_len = partition_key_write(hit->host, hit->ip, visitor);
    size_t key_len = processed_event_key_write(&hit->at, key);
    buf_clear(&enriched->value);
    processed_event_encode((slice){enriched->batch->rows.data + hit->row_start, hit->row_len},
                           &enriched->value);
    MUST(!enriched->value.overflowed);
    struct producer_place place = {
        .topic = enriched->options.topic,
        .partition = partition_of_key((slice){visitor, visitor_len}, enriched->partition_count),
        .ticket = enriched->ticket,
    };
    return producer_send(enriched->producer, place, (slice){key, key_len}, buf_slice(&enriched->value));
}

/* As many as librdkafka's queue takes. False: it has failed, and everybody knows. */
static bool fill(struct enriched *enriched)
{
    const struct batch *batch = enriched->batch;
    while (enriched->next < batch->hit_count) {
        const struct batch_hit *hit = &batch->hits[enriched->next];
        enum status status = hit->is_duplicate ? STATUS_OK : send_hit(enriched, hit);
        if (status == STATUS_FULL)
            return true;
        if (status == STATUS_TOO_BIG)
            fail(enriched, "a message is larger than rdkafka.message.max.bytes: remove that line");
        else if (status != STATUS_OK)
            fail(enriched, "the Kafka client takes no message");
        if (status != STATUS_OK)
            return false;
        enriched->unconfirmed_count += !hit->is_duplicate;
        enriched->next++;
    }
    return true;
}

static bool is_confirmed(const struct enriched *enriched)
{
    return enriched->next == enriched->batch->hit_count && enriched->unconfirmed_count == 0;
}

static void fail_for(struct enriched *enriched, const struct producer_report *report)
{
    char text[REASON_MAX];
    snprintf(text, sizeof text, "%s%s", report->reason,
             report->outcome == PRODUCER_REFUSED ? ": let it take 64 KiB, max.message.bytes = 65536" : "");
    fail(enriched, text);
}

static void on_report(void *context, const struct producer_report *report)
{
    struct enriched *enriched = context;
    bool is_ours = enriched->batch != NULL && report->ticket == enriched->ticket;
    enriched->confirmed_total += report->outcome == PRODUCER_DELIVERED;
    if (is_ours && report->outcome != PRODUCER_DELIVERED) {
        fail_for(enriched, report);
        return;
    }
    if (enriched->batch == NULL)
        return;
    enriched->has_moved = true;
    enriched->unconfirmed_count -= is_ours;
    if (fill(enriched) && is_confirmed(enriched)) {
        uv_timer_stop(&enriched->pulse);
        tell(enriched);
    }
}

static void on_pulse(uv_timer_t *timer)
{
    struct enriched *enriched = timer->data;
    char text[REASON_MAX];
    if (!enriched->has_moved && enriched->was_quiet) {
        snprintf(text, sizeof text, "the brokers have confirmed nothing for %d ms", 2 * ENRICHED_PULSE_MS);
        fail(enriched, text);
        return;
    }
    enriched->was_quiet = !enriched->has_moved;
    enriched->has_moved = false;
    tell(enriched);
}

void enriched_send(struct enriched *enriched, const struct batch *batch)
{
    MUST(enriched->batch == NULL);
    enriched->batch = batch;
    enriched->next = 0;
    enriched->unconfirmed_count = 0;
    enriched->ticket++;
    enriched->has_moved = enriched->was_quiet = false;
    if (enriched->producer == NULL) {
        fail(enriched, "the producer was lost while the hits were stored");
        return;
    }
    MUST(uv_timer_start(&enriched->pulse, on_pulse, ENRICHED_PULSE_MS, ENRICHED_PULSE_MS) == 0);
    (void)fill(enriched); /* a failure is told by enriched_confirm */
}

enum status enriched_confirm(struct enriched *enriched)
{
    MUST(enriched->batch != NULL);
    if (take_failure(enriched))
        return STATUS_UNAVAILABLE;
    return is_confirmed(enriched) ? STATUS_OK : STATUS_AGAIN;
}

void enriched_forget(struct enriched *enriched)
{
    enriched->batch = NULL;
    enriched->has_failed = false;
    uv_timer_stop(&enriched->pulse);
}

/* ---- Life ---- */

enum status enriched_check(const struct enriched_options *options, struct why *why)
{
    return producer_check_settings(options->brokers, options->settings, why);
}

struct enriched *enriched_new(const struct enriched_options *options)
{
    struct enriched *enriched = must_calloc(1, sizeof *enriched);
    enriched->options = *options;
    enriched->log = log_new("enriched");
    MUST(uv_timer_init(options->loop, &enriched->pulse) == 0);
    enriched->pulse.data = enriched;
    buf_init_growing(&enriched->value, 1024, PROCESSED_EVENT_MAX_BYTES);
    return enriched;
}

void enriched_watch(struct enriched *enriched, void (*on_change)(void *context), void *context)
{
    enriched->on_change = on_change;
    enriched->context = context;
}

const char *enriched_reason(const struct enriched *enriched)
{
    return enriched->reason;
}

int64_t enriched_confirmed_total(const struct enriched *enriched)
{
    return enriched->confirmed_total;
}

static void on_pulse_closed(uv_handle_t *handle)
{
    struct enriched *enriched = handle->data;
    void (*on_closed)(void *) = enriched->on_closed;
    void *context = enriched->closed_context;
    buf_fini(&enriched->value);
    free(enriched);
    on_closed(context);
}

void enriched_close(struct enriched **enriched, void (*on_closed)(void *context), void *context)
{
    struct enriched *closing = *enriched;
    *enriched = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    drop_producer(closing);
    uv_close((uv_handle_t *)&closing->pulse, on_pulse_closed);
}
