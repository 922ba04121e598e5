/* SPDX-License-Identifier: Apache-2.0
 * recovering: the part of the aggregator that decides what a failure of the store means.
 *
 *   outcome     what becomes of it
 *   FENCED      all claims are made anew, but those of the partition only after its cooling (and when it is a
 *               claim that failed so, only this one is)
 *   RETRY       the same, after a back-off; nothing is read meanwhile
 *   UNDELIVERED the same, with a back-off of its own, since claims go on to succeed
 *   BAD_DATA    the same at once, with batches halved, until the message that Postgres refuses comes alone:
 *               then it is condemned, and becomes a reject when it is read again
 *   HALT        the same, until one partition comes alone: it is not read any more, which is kept in its row
 * An outcome that arrives after a revocation is about partitions that are no longer ours: only RETRY matters.
 */
#include <stdio.h>

#include "aggregator/aggregator_inside.h"

/* Sessions that were loaded anew are closed some seconds later, so what is to blame may take that long to
 * come again. */
enum { NARROW_MS = 60000 };

/* Batches and claims hold more than what is committed: away with them. */
static void forget_uncommitted(struct aggregator *aggregator)
{
    assignment_drop(&aggregator->assignment);
    for (size_t i = 0; i < 2; i++) {
        batch_clear(aggregator->loads[i].batch);
        aggregator->loads[i].counts = (struct metrics){{0}};
    }
    feed_read_at(aggregator->feed, NULL, 0);
    aggregator->is_list_stale = true;
}

static long long back_off(struct aggregator *aggregator, struct backoff *backoff)
{
    int64_t wait_ms = backoff_next(backoff);
    aggregator->resume_at = (mono_ms){aggregator->now.ms + wait_ms};
    return wait_ms;
}

static void wait_for_postgres(struct aggregator *aggregator, const char *reason)
{
    long long wait_ms = back_off(aggregator, &aggregator->backoff);
    aggregator->is_postgres_up = false;
    metrics_add(aggregator->options.metrics, METRICS_RETRIES, 1);
    log_warning(&aggregator->log, "postgres_retry", "again in %lld ms: %s", wait_ms, reason);
}

static void wait_for_enriched(struct aggregator *aggregator, const char *reason)
{
    long long wait_ms = back_off(aggregator, &aggregator->enriched_backoff);
    aggregator->is_enriched_up = false;
    metrics_add(aggregator->options.metrics, METRICS_ENRICHED_FAILURES, 1);
    log_error(&aggregator->log, "enriched_retry", "no hit is stored; again in %lld ms: %s", wait_ms, reason);
}

void recovering_note_fenced(struct aggregator *aggregator, const struct store_result *result)
{
    metrics_add(aggregator->options.metrics, METRICS_FENCED, 1);
    log_warning(&aggregator->log, "fenced", "%s", result->reason);
}

static void fence(struct aggregator *aggregator, const struct store_result *result)
{
    recovering_note_fenced(aggregator, result);
    for (size_t i = 0; i < aggregator->claim_count; i++) {
        int partition = aggregator->claims[i]->partition;
        if (result->partition < 0 || result->partition == partition)
            assignment_fence(&aggregator->assignment, partition, aggregator->now);
    }
}

/* The only message of the batch. */
static struct feed_position find_message(const struct aggregator *aggregator)
{
    const int64_t *next_offsets = aggregator->writing->batch->next_offsets;
    for (int i = 0; i < aggregator->partition_count; i++)
        if (next_offsets[i] >= 0)
            return (struct feed_position){i, next_offsets[i] - 1};
    MUST(false);
}

static size_t written_count(const struct aggregator *aggregator)
{
    return aggregator->writing->batch->message_count;
}

static bool is_one_to_blame(const struct aggregator *aggregator)
{
    return aggregator->claim_count == 1 && written_count(aggregator) <= 1;
}

/* In smaller batches, and sessions of one partition at a time, until what is to blame comes alone. */
static void search(struct aggregator *aggregator, const struct store_result *result)
{
    size_t message_count = written_count(aggregator);
    aggregator->narrow_until = (mono_ms){aggregator->now.ms + NARROW_MS};
    if (message_count > 0)
        pace_note_refused(&aggregator->pace, message_count);
    log_warning(&aggregator->log, "batch_refused",
                "%zu messages, sessions of %zu partitions are tried again in smaller parts: %s",
                message_count, aggregator->claim_count, result->reason);
}

static void halt_one(struct aggregator *aggregator, const struct store_result *result)
{
    if (result->partition >= 0) {
        halting_until_resumed(aggregator, result->partition, result->reason);
    } else if (written_count(aggregator) == 0) {
        halting_until_resumed(aggregator, aggregator->claims[0]->partition, result->reason);
    } else {
        char reason[STORE_REASON_MAX];
        struct feed_position at = find_message(aggregator);
        snprintf(reason, sizeof reason, "offset %lld, or what ends with it: %.450s",
                 (long long)at.next_offset, result->reason);
        halting_until_resumed(aggregator, at.partition, reason);
    }
}

static void halt_written(struct aggregator *aggregator, const struct store_result *result)
{
    if (result->partition >= 0 || is_one_to_blame(aggregator))
        halt_one(aggregator, result);
    else
        search(aggregator, result);
}

static void condemn(struct aggregator *aggregator, const struct store_result *result)
{
    struct feed_position at = find_message(aggregator);
    struct assignment_part *part = &aggregator->assignment.parts[at.partition];
    if (part->condemned_offset == at.next_offset) { /* refused as a reject, too */
        halt_one(aggregator, result);
        return;
    }
    struct log log = log_with(&aggregator->log, "partition=%d", at.partition);
    log_error(&log, "message_refused", "offset %lld goes to rejected_hits, since Postgres refuses it: %s",
              (long long)at.next_offset, result->reason);
    part->condemned_offset = at.next_offset;
    snprintf(part->condemned_sqlstate, sizeof part->condemned_sqlstate, "%s", result->sqlstate);
}

static void refuse(struct aggregator *aggregator, const struct store_result *result)
{
    metrics_add(aggregator->options.metrics, METRICS_BAD_DATA, 1);
    if (!is_one_to_blame(aggregator)) {
        search(aggregator, result);
    } else if (written_count(aggregator) == 0) { /* sessions or strays that a person wrote */
        halt_one(aggregator, result);
    } else {
        pace_note_refused(&aggregator->pace, 1);
        condemn(aggregator, result);
    }
}

void recovering_act(struct aggregator *aggregator, const struct store_result *result)
{
    switch (result->outcome) {
    case STORE_DONE:
        return;
    case STORE_FENCED:
        fence(aggregator, result);
        break;
    case STORE_RETRY:
        wait_for_postgres(aggregator, result->reason);
        break;
    case STORE_UNDELIVERED:
        wait_for_enriched(aggregator, result->reason);
        break;
    case STORE_BAD_DATA:
        refuse(aggregator, result);
        break;
    case STORE_HALT:
        halt_written(aggregator, result);
        break;
    }
    forget_uncommitted(aggregator);
}

bool recovering_is_stale(const struct aggregator *aggregator)
{
    return aggregator->generation != aggregator->assignment.generation;
}

bool recovering_is_narrow(const struct aggregator *aggregator)
{
    return pace_is_searching(&aggregator->pace) || aggregator->now.ms < aggregator->narrow_until.ms;
}
