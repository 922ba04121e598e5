/* SPDX-License-Identifier: Apache-2.0
 * halting: the part of the aggregator that stops reading a partition, and says to a person what it saw and
 * what mends it.
 *
 *   what was seen                                    who says so
 *   the broker refuses the offset                    feed.on_fault -> halting_take_fault
 *   too many messages are no hits                    on_message -> halting_note_message
 *   hits of a newer contract                         on_message -> halting_until_resumed
 *   Postgres takes the batch of no partition but it  recovering -> halting_until_resumed
 *   the row does not fit, or is halted already       a claim -> halting_halt
 * All but the last are kept in the partition's row by committing. */
#include <stdio.h>

#include "aggregator/aggregator_inside.h"

void halting_halt(struct aggregator *aggregator, int partition, const char *reason)
{
    aggregator->is_list_stale = true;
    if (!assignment_halt(&aggregator->assignment, partition, reason, aggregator->now))
        return;
    metrics_add(aggregator->options.metrics, METRICS_HALTS, 1);
    struct log log = log_with(&aggregator->log, "partition=%d", partition);
    log_error(&log, "partition_halted", "it is not read any more: %s", reason);
}

void halting_until_resumed(struct aggregator *aggregator, int partition, const char *reason)
{
    char text[ASSIGNMENT_REASON_MAX];
    snprintf(text, sizeof text, "%.450s; then `footfall-aggregator resume %d`", reason, partition);
    halting_halt(aggregator, partition, text);
}

void halting_take_fault(struct aggregator *aggregator, const struct feed_fault *fault)
{
    const struct assignment_part *held = assignment_find_held(&aggregator->assignment, fault->partition);
    if (held == NULL)
        return;
    char said[ASSIGNMENT_REASON_MAX];
    char text[ASSIGNMENT_REASON_MAX];
    struct buf out;
    buf_init(&out, said, sizeof said);
    /* What was read before is on its way into Postgres. */
    struct loss loss = loss_find(held->read_offset, &fault->log);
    loss_write(&loss, &out);
    if (loss.kind == LOSS_NONE) {
        snprintf(text, sizeof text, "Kafka: %.200s; look at the broker", fault->reason);
        halting_until_resumed(aggregator, fault->partition, text);
        return;
    }
    snprintf(text, sizeof text,
             "%.*s; `footfall-aggregator resume %d --accept-loss` gives up what is gone and goes on there",
             (int)(out.len < 380 ? out.len : 380), said, fault->partition);
    halting_halt(aggregator, fault->partition, text);
}

void halting_note_message(struct aggregator *aggregator, const struct feed_message *message,
                          enum halting_fate fate)
{
    struct reject_rate *rate = &aggregator->reject_rates[message->partition];
    if (fate == HALTING_REFUSED)
        reject_rate_note_refused(rate, message->offset);
    else
        reject_rate_note(rate, message->offset, fate == HALTING_REJECTED);
    if (fate == HALTING_HIT || !reject_rate_is_too_high(rate))
        return;
    char text[ASSIGNMENT_REASON_MAX];
    snprintf(
        text, sizeof text,
        "%u of its last %u messages cannot be hits, more than %d %%; the last one, at offset %lld: %.100s."
        " They are kept in rejected_hits: look there, mend what writes them",
        rate->rejected, rate->seen, REJECT_RATE_MAX_PERCENT, (long long)message->offset,
        aggregator->intake.reject_reason);
    halting_until_resumed(aggregator, message->partition, text);
}

void halting_end(struct aggregator *aggregator, const struct claim *claim)
{
    struct log log = log_with(&aggregator->log, "partition=%d", claim->partition);
    reject_rate_reset(&aggregator->reject_rates[claim->partition], claim->next_offset);
    log_info(&log, "partition_resumed", "it is read again from offset %lld", (long long)claim->next_offset);
}
