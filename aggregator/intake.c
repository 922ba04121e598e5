/* SPDX-License-Identifier: Apache-2.0
 * intake: see the header. */
#include "aggregator/intake.h"

#include <stdio.h>

void intake_init(struct intake *intake, struct places *places, int64_t max_age_ms)
{
    *intake = (struct intake){.places = places, .max_age_ms = max_age_ms};
    buf_init_growing(&intake->scratch, HIT_MAX_BYTES, HIT_MAX_BYTES);
}

void intake_fini(struct intake *intake)
{
    buf_fini(&intake->scratch);
}

struct reason {
    enum metrics_id metric;
    slice text;
};

static struct reason reason_of_fault(enum hit_fault fault)
{
    static const enum metrics_id metrics[] = {
        [HIT_TOO_BIG] = METRICS_REJECTS_TOO_BIG,     [HIT_NOT_JSON] = METRICS_REJECTS_NOT_JSON,
        [HIT_NO_IP] = METRICS_REJECTS_NO_IP,         [HIT_NO_HOST] = METRICS_REJECTS_NO_HOST,
        [HIT_NO_URL] = METRICS_REJECTS_NO_URL,       [HIT_NO_TIME] = METRICS_REJECTS_NO_TIME,
        [HIT_BAD_FIELD] = METRICS_REJECTS_BAD_FIELD,
    };
    MUST(fault > HIT_GOOD && (size_t)fault < sizeof metrics / sizeof metrics[0]);
    return (struct reason){metrics[fault], hit_fault_text(fault)};
}

/* Compared with the time that Kafka wrote: a replay of old topics is judged as it was when they were new. */
static bool has_good_time(const struct intake *intake, const struct hit *hit, wall_ms written,
                          struct reason *reason)
{
    if (hit->event_time.ms < written.ms - intake->max_age_ms)
        *reason = (struct reason){METRICS_REJECTS_TOO_OLD, SLICE("event_time is older than events.max_age")};
    else if (hit->event_time.ms > written.ms + INTAKE_MAX_AHEAD_MS)
        *reason = (struct reason){METRICS_REJECTS_AHEAD, SLICE("event_time is more than a day ahead")};
    else
        return true;
    return false;
}

struct target {
    struct batch *batch;
    struct metrics *counts;
    char *reject_reason;
};

static void reject(const struct target *into, const struct batch_position *at, struct reason reason,
                   slice raw)
{
    if (raw.len > HIT_MAX_BYTES)
        raw = slice_head(raw, HIT_MAX_BYTES);
    batch_add_reject(into->batch, at, reason.text, raw);
    snprintf(into->reject_reason, INTAKE_REASON_MAX, "%.*s", SLICE_ARGS(reason.text));
    metrics_add(into->counts, reason.metric, 1);
}

/* A producer that was set up for a topic of more partitions wraps them around. */
static bool is_in_place(const struct hit_stream *stream, const struct target *into,
                        const struct batch_position *at)
{
    return stream->partition % into->batch->partition_count == at->partition;
}

/* One that is rejected is not missing: it is in rejected_hits. */
static void skip(const struct target *into, const struct batch_position *at, const struct hit *hit,
                 slice reason)
{
    struct control said = {
        .kind = CONTROL_SKIP, .stream = hit->stream, .from = hit->seq, .last = hit->seq, .reason = reason};
    if (hit->has_stream && is_in_place(&hit->stream, into, at))
        batch_note_control(into->batch, at, &said);
}

static enum intake_outcome take_value(struct intake *intake, const struct target *into,
                                      const struct batch_position *at, slice value)
{
    struct hit hit;
    struct reason reason;
    buf_clear(&intake->scratch);
    enum hit_fault fault = hit_decode(value, &intake->scratch, &hit);
    if (fault == HIT_NEWER_VERSION)
        return INTAKE_TOO_NEW;
    if (fault == HIT_GOOD && has_good_time(intake, &hit, at->written, &reason)) {
        batch_add_hit(into->batch, at, &hit, places_find(intake->places, hit.ip));
        return INTAKE_TAKEN;
    }
    if (fault != HIT_GOOD)
        reason = reason_of_fault(fault);
    reject(into, at, reason, value);
    skip(into, at, &hit, reason.text);
    return INTAKE_TAKEN;
}

static void take_control(struct intake *intake, const struct target *into, const struct batch_position *at,
                         slice header)
{
    struct control control;
    buf_clear(&intake->scratch);
    enum control_fault fault = control_decode(header, &intake->scratch, &control);
    if (fault == CONTROL_GOOD && !is_in_place(&control.stream, into, at))
        fault = CONTROL_BAD_PARTITION;
    if (fault != CONTROL_GOOD) {
        reject(into, at, (struct reason){METRICS_REJECTS_BAD_CONTROL, control_fault_text(fault)}, header);
        return;
    }
    batch_pass(into->batch, at);
    batch_note_control(into->batch, at, &control);
}

static void take_refused(struct intake *intake, const struct target *into, const struct batch_position *at,
                         const struct feed_message *message, slice refusal)
{
    struct hit hit;
    reject(into, at, (struct reason){METRICS_REJECTS_REFUSED, refusal},
           message->is_control ? message->control : message->value);
    buf_clear(&intake->scratch);
    if (hit_decode(message->value, &intake->scratch, &hit) == HIT_GOOD)
        skip(into, at, &hit, refusal);
}

static wall_ms sane_time(wall_ms written)
{
    if (written.ms < INTAKE_MIN_WRITTEN_MS)
        written.ms = INTAKE_MIN_WRITTEN_MS;
    if (written.ms > INTAKE_MAX_WRITTEN_MS)
        written.ms = INTAKE_MAX_WRITTEN_MS;
    return written;
}

enum intake_outcome intake_take(struct intake *intake, const struct feed_message *message, slice refusal,
                                struct batch *batch, struct metrics *counts)
{
    const struct batch_position at = {message->partition, message->offset, sane_time(message->written)};
    const struct target into = {batch, counts, intake->reject_reason};
    enum intake_outcome outcome = INTAKE_TAKEN;
    if (refusal.len > 0)
        take_refused(intake, &into, &at, message, refusal);
    else if (message->is_control)
        take_control(intake, &into, &at, message->control);
    else if (!message->has_value)
        reject(&into, &at, (struct reason){METRICS_REJECTS_NO_VALUE, SLICE("the record has no value")},
               message->value);
    else
        outcome = take_value(intake, &into, &at, message->value);
    metrics_add(counts, METRICS_MESSAGES, outcome == INTAKE_TAKEN);
    return outcome;
}
