/* SPDX-License-Identifier: Apache-2.0
 * committing: the part of the aggregator that asks things of Postgres, one at a time, in this order: a
 * partition that is to be claimed; a halt that is to be kept; whether there are strays, ten times a second;
 * the batch, when it is due; due sessions and strays without one. What became of it and is no success is for
 * recovering.c. */
#include "aggregator/aggregator_inside.h"
#include "aggregator/awaiting.h"

enum { HOLES_A_TICK = 10 /* of a partition */ };

/* ---- The work under way ---- */

static void begin(struct aggregator *aggregator)
{
    aggregator->generation = aggregator->assignment.generation;
}

static void note_success(struct aggregator *aggregator)
{
    aggregator->is_postgres_up = true;
    backoff_reset(&aggregator->backoff);
}

/* ---- Claims ---- */

static void hold_take(struct aggregator *aggregator, struct claim *claim)
{
    struct assignment *assignment = &aggregator->assignment;
    bool was_halted = assignment->parts[claim->partition].halt != HALT_NONE;
    metrics_add(aggregator->options.metrics, METRICS_CLAIMS, 1);
    if (!assignment_hold_take(assignment, aggregator->generation, claim))
        return;
    aggregator->is_list_stale = true;
    if (was_halted)
        halting_end(aggregator, claim);
}

static void on_claimed(void *context, const struct store_result *result, struct claim *claim)
{
    struct aggregator *aggregator = context;
    aggregator_look_at_clock(aggregator);
    if (result->outcome == STORE_DONE) {
        if (!aggregator->is_batch_failing)
            note_success(aggregator);
        hold_take(aggregator, claim);
    } else if (result->outcome == STORE_RETRY) {
        recovering_act(aggregator, result);
    } else if (recovering_is_stale(aggregator)) {
        /* the partition is no longer ours to wait for */
    } else if (result->outcome == STORE_FENCED) {
        recovering_note_fenced(aggregator, result);
        assignment_fence(&aggregator->assignment, aggregator->claiming, aggregator->now);
    } else {
        halting_halt(aggregator, aggregator->claiming, result->reason);
    }
    aggregator_turn(aggregator);
}

static void claim(struct aggregator *aggregator, int partition)
{
    begin(aggregator);
    aggregator->claiming = partition;
    store_claim(aggregator->store, partition, on_claimed, aggregator);
}

static void read_what_is_held(struct aggregator *aggregator)
{
    size_t count = assignment_positions(&aggregator->assignment, aggregator->positions);
    feed_read_at(aggregator->feed, aggregator->positions, count);
    aggregator->is_list_stale = false;
}

/* ---- Batches ---- */

static void count_commit(struct aggregator *aggregator)
{
    struct metrics *metrics = aggregator->options.metrics;
    const struct merge_output *output = merge_output(aggregator->merge);
    metrics_move(metrics, &aggregator->writing->counts);
    metrics_add(metrics, METRICS_HITS, (int64_t)output->new_hit_count);
    metrics_add(metrics, METRICS_DUPLICATES, (int64_t)output->duplicate_count);
    metrics_add(metrics, METRICS_SESSIONS_CLOSED, (int64_t)output->closed_count);
    metrics_add(metrics, METRICS_SESSION_CHANGES, (int64_t)output->change_count);
    metrics_add(metrics, METRICS_STRAYS, (int64_t)output->stray_count);
    metrics_add(metrics, METRICS_SUMS, (int64_t)output->sum_count);
    metrics_add(metrics, METRICS_BATCHES, 1);
    metrics_add(metrics, METRICS_BATCH_TIME, aggregator->now.ms - aggregator->pace.started.ms);
    aggregator->committed_at = aggregator->now;
}

static void note_committed(struct aggregator *aggregator)
{
    note_success(aggregator);
    aggregator->is_enriched_up = true;
    backoff_reset(&aggregator->enriched_backoff);
    count_commit(aggregator);
    folding_note_appended(aggregator->folding, merge_output(aggregator->merge)->sum_count);
    pace_note_committed(&aggregator->pace, aggregator->writing->batch->message_count, aggregator->now);
    if (recovering_is_stale(aggregator))
        return;
    for (size_t i = 0; i < aggregator->claim_count; i++)
        assignment_note_committed(&aggregator->assignment, aggregator->claims[i]->partition);
}

static void on_written(void *context, const struct store_result *result)
{
    struct aggregator *aggregator = context;
    aggregator_look_at_clock(aggregator);
    aggregator->is_batch_failing = result->outcome == STORE_RETRY && !recovering_is_stale(aggregator);
    if (result->outcome == STORE_DONE)
        note_committed(aggregator);
    else if (!recovering_is_stale(aggregator) || result->outcome == STORE_RETRY)
        recovering_act(aggregator, result);
    batch_clear(aggregator->writing->batch);
    aggregator->writing->counts = (struct metrics){{0}};
    aggregator_turn(aggregator);
}

/* looks: what is left for this turn. */
static bool has_due_sessions(const struct aggregator *aggregator, const struct claim *held, size_t *looks)
{
    int64_t lateness_ms = aggregator->options.configuration->sessions_lateness_ms;
    struct sessions_question question = {
        .watermark = claim_watermark(held, wall_now(), aggregator->quiet_ms[held->partition], lateness_ms),
        .lateness_ms = lateness_ms,
        .now = aggregator->now,
        .looks = *looks,
    };
    bool has_due = sessions_has_due(held->sessions, &question);
    *looks = question.looks;
    return has_due;
}

static bool needs_upkeep(const struct aggregator *aggregator, const struct claim *held, size_t *looks)
{
    return held->has_strays || has_due_sessions(aggregator, held, looks);
}

/* While a refused message is looked for, its batch holds nothing else that could be to blame; what is due
 * goes into batches without messages. */
static bool takes_part(const struct aggregator *aggregator, struct claim *held, size_t *looks)
{
    const struct batch *batch = aggregator->filling->batch;
    bool has_messages = batch->next_offsets[held->partition] >= 0;
    if (recovering_is_narrow(aggregator) && !batch_is_empty(batch)) {
        held->has_strays = false;
        return has_messages;
    }
    return has_messages || needs_upkeep(aggregator, held, looks);
}

static void note_quiet(struct aggregator *aggregator)
{
    for (int i = 0; i < aggregator->partition_count; i++)
        aggregator->quiet_ms[i] = assignment_quiet_ms(&aggregator->assignment, i, aggregator->now);
}

static void gather_claims(struct aggregator *aggregator)
{
    size_t looks = SESSIONS_LOOKS_A_TURN;
    aggregator->claim_count = 0;
    note_quiet(aggregator);
    for (int i = 0; i < aggregator->partition_count; i++) {
        struct claim *held = aggregator->assignment.parts[i].claim;
        if (held != NULL && takes_part(aggregator, held, &looks))
            aggregator->claims[aggregator->claim_count++] = held;
    }
}

static void start_write(struct aggregator *aggregator)
{
    struct store_batch batch = {
        .batch = aggregator->writing->batch,
        .merge = aggregator->merge,
        .claims = aggregator->claims,
        .claim_count = aggregator->claim_count,
        .quiet_ms = aggregator->quiet_ms,
    };
    begin(aggregator);
    pace_note_start(&aggregator->pace, aggregator->now);
    store_write(aggregator->store, &batch, on_written, aggregator);
}

/* False: there is nothing to write, or its places are waited for. */
static bool write_batch(struct aggregator *aggregator)
{
    if (awaiting_is_worthwhile(aggregator))
        return false;
    awaiting_end(aggregator);
    gather_claims(aggregator);
    MUST(aggregator->claim_count > 0 || aggregator->filling->batch->message_count == 0);
    if (aggregator->claim_count == 0)
        return false;
    struct load *load = aggregator->filling;
    aggregator->filling = aggregator->writing;
    aggregator->writing = load;
    start_write(aggregator);
    return true;
}

/* Due sessions and strays of the next partition that has some, without the messages that wait. False: there
 * are none. */
static bool keep_one_up(struct aggregator *aggregator)
{
    size_t looks = SESSIONS_LOOKS_A_TURN;
    note_quiet(aggregator);
    for (int i = 0; i < aggregator->partition_count; i++) {
        aggregator->upkeep_at = (aggregator->upkeep_at + 1) % aggregator->partition_count;
        struct claim *held = aggregator->assignment.parts[aggregator->upkeep_at].claim;
        if (held == NULL || !needs_upkeep(aggregator, held, &looks))
            continue;
        aggregator->claims[0] = held;
        aggregator->claim_count = 1;
        start_write(aggregator);
        return true;
    }
    return false;
}

static int64_t wait_of_pace(const struct aggregator *aggregator)
{
    const struct batch *batch = aggregator->filling->batch;
    struct pace_batch filling = {
        .message_count = batch->message_count,
        .is_full = !batch_has_room(batch, aggregator->pace.max_messages),
        .is_dry = aggregator->is_dry,
        .first_at = batch->first_at,
    };
    return pace_wait_ms(&aggregator->pace, &filling, aggregator->now);
}

int64_t committing_wait_ms(const struct aggregator *aggregator)
{
    int64_t places_ms = awaiting_wait_ms(aggregator);
    return places_ms > 0 ? places_ms : wait_of_pace(aggregator);
}

/* ---- Halts ---- */

static void on_halt_kept(void *context, const struct store_result *result)
{
    struct aggregator *aggregator = context;
    aggregator_look_at_clock(aggregator);
    if (result->outcome == STORE_RETRY) {
        recovering_act(aggregator, result);
    } else if (recovering_is_stale(aggregator)) {
        /* whoever has the partition now finds out by himself */
    } else if (result->outcome == STORE_FENCED) {
        recovering_note_fenced(aggregator, result);
        assignment_fence(&aggregator->assignment, aggregator->halting, aggregator->now);
    } else {
        if (result->outcome != STORE_DONE)
            log_error(&aggregator->log, "halt_not_kept", "a restart will not know of it: %s", result->reason);
        aggregator->is_batch_failing = false; /* what failed may not be read any more */
        assignment_note_halt_kept(&aggregator->assignment, aggregator->halting, aggregator->now);
    }
    aggregator_turn(aggregator);
}

/* When what was read before is stored. False: there is nothing to keep now. */
static bool keep_halt(struct aggregator *aggregator)
{
    int partition = assignment_find_halt(&aggregator->assignment);
    if (partition < 0 || aggregator->filling->batch->next_offsets[partition] >= 0)
        return false;
    const struct assignment_part *part = &aggregator->assignment.parts[partition];
    begin(aggregator);
    aggregator->halting = partition;
    store_keep_halt(aggregator->store, &(struct store_halt){partition, part->halt_owner, part->halt_reason},
                    on_halt_kept, aggregator);
    return true;
}

/* ---- Strays ---- */

static void on_peeked(void *context, const struct store_result *result)
{
    struct aggregator *aggregator = context;
    aggregator_look_at_clock(aggregator);
    if (result->outcome == STORE_DONE)
        aggregator->is_upkeep_due = true; /* takes what was found */
    else if (!recovering_is_stale(aggregator) || result->outcome == STORE_RETRY)
        recovering_act(aggregator, result);
    aggregator_turn(aggregator);
}

/* False: it is not time, or nothing is held. */
static bool peek(struct aggregator *aggregator)
{
    if (!aggregator->is_peek_due)
        return false;
    aggregator->is_peek_due = false;
    aggregator->claim_count = 0;
    for (int i = 0; i < aggregator->partition_count; i++)
        if (aggregator->assignment.parts[i].claim != NULL)
            aggregator->claims[aggregator->claim_count++] = aggregator->assignment.parts[i].claim;
    if (aggregator->claim_count == 0)
        return false;
    begin(aggregator);
    store_peek_strays(aggregator->store, aggregator->claims, aggregator->claim_count, on_peeked, aggregator);
    return true;
}

/* ---- Holes ---- */

static void tell_hole(const struct aggregator *aggregator, const struct hole *hole)
{
    char name[HIT_STREAM_TEXT_MAX];
    int len = (int)hit_stream_write(&hole->stream, name);
    struct log log = log_with(&aggregator->log, "stream=%.*s", len, name);
    if (hole->missing.count == 0)
        log_info(&log, "stream_whole", "what was missing of it has come or was skipped");
    else
        log_error(
            &log, "stream_holes",
            "%lld of its numbers 1 to %lld are missing, first %lld to %lld: hits that a collector took"
            " are not in Kafka any more, or never were. What to do is in operations.md, \"Holes\"; all of"
            " them: SELECT * FROM footfall.streams WHERE missing > 0",
            (long long)hole->missing.count, (long long)hole->last, (long long)hole->missing.first.from,
            (long long)hole->missing.first.to);
}

/* The rest at the next tick: somebody who has many must not lose the log over them. */
static void tell_some(const struct aggregator *aggregator, struct claim *held)
{
    struct hole news;
    struct holes_time time = {
        .log = held->log_time,
        .quiet_ms = assignment_quiet_ms(&aggregator->assignment, held->partition, aggregator->now),
    };
    for (int i = 0; i < HOLES_A_TICK && holes_next_news(&held->holes, &time, &news); i++)
        tell_hole(aggregator, &news);
}

static void tell_holes(struct aggregator *aggregator)
{
    if (!aggregator->is_audit_due)
        return;
    aggregator->is_audit_due = false;
    for (int i = 0; i < aggregator->partition_count; i++)
        if (aggregator->assignment.parts[i].claim != NULL)
            tell_some(aggregator, aggregator->assignment.parts[i].claim);
}

/* ---- One thing at a time ---- */

/* False: there is nothing to do, or it is not time. */
static bool keep_up(struct aggregator *aggregator)
{
    bool is_due = aggregator->is_upkeep_due;
    aggregator->is_upkeep_due = false;
    if (!is_due)
        return false;
    if (recovering_is_narrow(aggregator))
        return keep_one_up(aggregator);
    /* What is provisional waits for its places; the batch goes soon, and takes what is due along. */
    return aggregator->filling->batch->provisional_count == 0 && write_batch(aggregator);
}

static int find_claimable(const struct aggregator *aggregator)
{
    bool may_claim = aggregator->now.ms >= aggregator->claim_at.ms;
    return may_claim ? assignment_find_due(&aggregator->assignment, aggregator->now) : -1;
}

void committing_start(struct aggregator *aggregator)
{
    assignment_bury(&aggregator->assignment);
    tell_holes(aggregator); /* here all that the claims say is committed */
    if (aggregator->now.ms < aggregator->resume_at.ms)
        return;
    int partition = find_claimable(aggregator);
    if (partition >= 0) {
        claim(aggregator, partition);
        return;
    }
    if (aggregator->is_list_stale)
        read_what_is_held(aggregator);
    if (keep_halt(aggregator))
        return;
    if (peek(aggregator))
        return;
    if (recovering_is_narrow(aggregator) && keep_up(aggregator)) /* else messages would always come first */
        return;
    if (wait_of_pace(aggregator) == 0 && write_batch(aggregator))
        return;
    keep_up(aggregator);
}
