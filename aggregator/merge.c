/* SPDX-License-Identifier: Apache-2.0
 * merge: see the header.
 *
 * Why one round of look-ups is enough. Of each key the open sessions and the stored rows are pairwise more
 * than the gap apart: that holds at first, and merge_finish leaves it so. A part of the batch takes back
 * every stored row that it touches, for `end_session >= from and start_session <= to` says just that, and
 * joins every open session that it touches. By the lemma in parts.h, applied with v = the part and the set of
 * all open and stored sessions, what comes of it touches no other of them; and a chain of parts that are
 * joined by rows or sessions between them is built by adding one part after the other, each with its own rows
 * already taken. So a row that is taken back never makes another look-up necessary, and afterwards all are
 * more than the gap apart again. */
#include "aggregator/merge.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/pages.h"
#include "aggregator/parts.h"
#include "aggregator/rollups.h"
#include "aggregator/row.h"
#include "proto/partition.h"

enum {
    CHUNK_BYTES = 64 * 1024,
    START_BYTES = 64 * 1024,
    STRAY_OWN_FIELDS = 2, /* topic, home */
};

/* Guards against bugs: what a batch, its strays and the rows that these touch can hold is far below. */
static const size_t max_arena_bytes = (size_t)1 << 30;
static const size_t max_output_bytes = (size_t)1 << 30;

struct held { /* of a claim that takes part */
    struct claim *claim;
    size_t added; /* parts that its sessions were given */
    bool forgets;
    int64_t forget_before;
};

struct merge {
    struct merge_rules rules;
    struct parts *parts;
    struct rollups *rollups;
    struct arena *arena;         /* texts of strays and stored rows */
    struct claim *const *claims; /* borrowed until merge_finish */
    size_t claim_count;
    size_t close_first;               /* which of them closes first: they take turns */
    struct held held[PARTITIONS_MAX]; /* by partition */
    struct merge_output output;
};

struct merge *merge_new(const struct merge_rules *rules)
{
    struct merge *merge = must_calloc(1, sizeof *merge);
    merge->rules = *rules;
    merge->parts = parts_new(rules->gap_ms);
    merge->rollups = rollups_new();
    merge->output.sums = rollups_rows(merge->rollups);
    merge->arena = arena_new(CHUNK_BYTES, max_arena_bytes);
    buf_init_growing(&merge->output.closed, START_BYTES, max_output_bytes);
    buf_init_growing(&merge->output.changes, START_BYTES, max_output_bytes);
    buf_init_growing(&merge->output.strays, START_BYTES, max_output_bytes);
    return merge;
}

void merge_free(struct merge **merge)
{
    if (*merge == NULL)
        return;
    buf_fini(&(*merge)->output.strays);
    buf_fini(&(*merge)->output.changes);
    buf_fini(&(*merge)->output.closed);
    arena_free(&(*merge)->arena);
    rollups_free(&(*merge)->rollups);
    parts_free(&(*merge)->parts);
    free(*merge);
    *merge = NULL;
}

/* ---- Hits ---- */

static void clear(struct merge *merge)
{
    struct merge_output *output = &merge->output;
    parts_clear(merge->parts);
    rollups_clear(merge->rollups);
    arena_clear(merge->arena);
    memset(merge->held, 0, sizeof merge->held);
    buf_clear(&output->closed);
    buf_clear(&output->changes);
    buf_clear(&output->strays);
    output->closed_count = output->change_count = output->stray_count = output->sum_count = 0;
    output->new_hit_count = output->duplicate_count = 0;
}

static void hold(struct merge *merge, struct claim *const *claims, size_t claim_count)
{
    merge->claims = claims;
    merge->claim_count = claim_count;
    for (size_t i = 0; i < claim_count; i++) {
        int partition = claims[i]->partition;
        MUST(partition >= 0 && partition < PARTITIONS_MAX);
        MUST(i == 0 || partition > claims[i - 1]->partition);
        merge->held[partition] = (struct held){.claim = claims[i]};
    }
}

static void note_audit(struct claim *claim, struct claim_stream *stream)
{
    stream->is_audit_changed = true;
    claim->is_audit_changed = true;
}

/* OK: new. CONFLICT: received before. FULL. */
static enum status receive(struct claim *claim, const struct batch_hit *hit)
{
    if (!hit->has_stream)
        return STATUS_OK; /* its offset is its identity, and the fence does not read one twice */
    struct claim_stream *stream = claim_stream_find(claim, &hit->stream);
    MUST(stream != NULL);
    enum status status = received_add(&stream->set, hit->seq);
    if (status == STATUS_OK) {
        stream->changed = true;
        if (stream->audit.is_ended)
            note_audit(claim, stream);
    }
    return status;
}

static struct session session_of(const struct batch_hit *hit)
{
    return (struct session){.ip = hit->ip,
                            .host = hit->host,
                            .start = hit->event_time,
                            .last = hit->event_time,
                            .events = 1,
                            .bot_events = hit->is_bot,
                            .entry_url = hit->url,
                            .referrer = hit->referrer,
                            .country = hit->country,
                            .state = hit->state,
                            .city = hit->city,
                            .exit_url = hit->url};
}

static enum status add_hit(struct merge *merge, struct batch_hit *hit)
{
    struct claim *claim = merge->held[hit->at.partition].claim;
    MUST(claim != NULL && hit->home >= 0 && hit->home < PARTITIONS_MAX);
    enum status status = receive(claim, hit);
    hit->is_duplicate = status == STATUS_CONFLICT;
    if (hit->is_duplicate)
        merge->output.duplicate_count++;
    if (status != STATUS_OK)
        return hit->is_duplicate ? STATUS_OK : status;
    merge->output.new_hit_count++;
    if (hit->event_time.ms > claim->greatest_event.ms)
        claim->greatest_event = hit->event_time;
    struct session part = session_of(hit);
    parts_add(merge->parts, hit->home, &part);
    rollups_add(merge->rollups, hit);
    return STATUS_OK;
}

/* ---- The audit ---- */

static void apply_control(struct merge *merge, const struct batch_control *said)
{
    const struct control *control = &said->control;
    struct claim *claim = merge->held[said->at.partition].claim;
    MUST(claim != NULL);
    struct claim_stream *stream = claim_stream_find(claim, &control->stream);
    MUST(stream != NULL);
    bool is_new =
        control->kind == CONTROL_FIN
            ? audit_note_end(&stream->audit, control->last, said->at.written)
            : audit_note_skip(&stream->audit, (struct received_range){control->from, control->last});
    if (!is_new)
        return;
    if (control->reason.len > 0)
        stream->reason = control->reason;
    note_audit(claim, stream);
}

static void count_missing(struct claim *claim, struct claim_stream *stream)
{
    struct hole hole = {.stream = stream->stream,
                        .last = stream->audit.last,
                        .missing = audit_find_missing(&stream->audit, &stream->set),
                        .ended = stream->audit.ended};
    stream->missing_count = hole.missing.count;
    holes_set(&claim->holes, &hole);
}

/* After all hits and control records of the batch. */
static void settle_audit(struct claim *claim, const struct batch *batch)
{
    bool has_messages = batch->next_offsets[claim->partition] >= 0;
    wall_ms written = batch->last_written[claim->partition];
    if (has_messages && written.ms > claim->log_time.ms)
        claim->log_time = written;
    struct claim_stream *stream;
    size_t cursor = 0;
    while (claim->is_audit_changed && (stream = claim_stream_next(claim, &cursor)) != NULL)
        if (stream->is_audit_changed && stream->audit.is_ended)
            count_missing(claim, stream);
}

enum status merge_start(struct merge *merge, struct batch *batch, struct claim *const *claims,
                        size_t claim_count, int *partition)
{
    clear(merge);
    hold(merge, claims, claim_count);
    for (size_t i = 0; i < batch->hit_count; i++) {
        struct batch_hit *hit = &batch->hits[i];
        enum status status = add_hit(merge, hit);
        if (status != STATUS_OK) {
            *partition = hit->at.partition;
            return status;
        }
    }
    for (size_t i = 0; i < batch->control_count; i++)
        apply_control(merge, &batch->controls[i]);
    for (size_t i = 0; i < claim_count; i++)
        settle_audit(claims[i], batch);
    return STATUS_OK;
}

/* ---- Strays and stored rows ---- */

static void add_copy(struct merge *merge, int home, const struct session *session)
{
    MUST(home >= 0 && home < PARTITIONS_MAX && merge->held[home].claim != NULL);
    struct session copy = *session;
    copy.host = arena_copy(merge->arena, session->host);
    copy.entry_url = arena_copy(merge->arena, session->entry_url);
    copy.referrer = arena_copy(merge->arena, session->referrer);
    copy.country = arena_copy(merge->arena, session->country);
    copy.state = arena_copy(merge->arena, session->state);
    copy.city = arena_copy(merge->arena, session->city);
    copy.exit_url = arena_copy(merge->arena, session->exit_url);
    parts_add(merge->parts, home, &copy);
}

void merge_take_stray(struct merge *merge, int home, const struct session *stray)
{
    add_copy(merge, home, stray);
}

void merge_take_stored(struct merge *merge, int partition, const struct session *stored)
{
    add_copy(merge, partition, stored);
}

/* Nothing that this partition has stored can touch the part: true for all but late hits. */
static bool is_beyond_stored(const struct merge *merge, const struct claim *claim, const struct session *part)
{
    return part->start.ms - merge->rules.gap_ms > claim->stored_until.ms;
}

bool merge_next_lookup(const struct merge *merge, size_t *cursor, struct merge_lookup *out)
{
    const struct part *part;
    while ((part = parts_next(merge->parts, cursor)) != NULL) {
        const struct claim *claim = merge->held[part->home].claim;
        if (claim == NULL || is_beyond_stored(merge, claim, &part->value))
            continue;
        *out = (struct merge_lookup){.partition = part->home,
                                     .ip = part->value.ip,
                                     .host = part->value.host,
                                     .from = part->value.start,
                                     .to = {part->value.last.ms + merge->rules.gap_ms}};
        return true;
    }
    return false;
}

/* ---- The end ---- */

static void write_stray(struct merge *merge, const struct part *part)
{
    struct buf *out = &merge->output.strays;
    row_begin(out, STRAY_OWN_FIELDS + ROW_SESSION_PART_FIELDS);
    row_add_text(out, slice_of(merge->rules.topic));
    row_add_int32(out, part->home);
    row_add_session_part(out, &part->value);
    merge->output.stray_count++;
}

static void join_parts(struct merge *merge, mono_ms now)
{
    const struct part *part;
    size_t cursor = 0;
    while ((part = parts_next(merge->parts, &cursor)) != NULL) {
        struct held *held = &merge->held[part->home];
        if (held->claim == NULL) {
            write_stray(merge, part);
            continue;
        }
        sessions_add(held->claim->sessions, &part->value, now);
        held->added++;
    }
}

static void close_one(struct merge *merge, struct claim *claim, const struct session *session)
{
    row_add_session(&merge->output.closed, session, merge->rules.gap_ms);
    merge->output.closed_count++;
    if (session->last.ms > claim->stored_until.ms)
        claim->stored_until = session->last;
}

/* How many sessions of the batch are closed, at most, once this claim's are. */
static size_t close_limit(const struct merge *merge, const struct held *held, size_t closed_before)
{
    size_t limit = closed_before > merge->rules.max_closed ? closed_before : merge->rules.max_closed;
    return sessions_is_over(held->claim->sessions) ? limit + held->added : limit;
}

/* looks: what is left for this batch. */
static void close_due(struct merge *merge, struct held *held, const struct merge_time *time, size_t *looks)
{
    struct claim *claim = held->claim;
    int64_t lateness_ms = merge->rules.lateness_ms;
    struct sessions_question question = {
        .watermark = claim_watermark(claim, time->wall, time->quiet_ms[claim->partition], lateness_ms),
        .lateness_ms = lateness_ms,
        .now = time->mono,
        .looks = *looks,
    };
    struct session session;
    size_t closed_before = merge->output.closed_count;
    while (merge->output.closed_count < close_limit(merge, held, closed_before) &&
           sessions_take_due(claim->sessions, &question, &session))
        close_one(merge, claim, &session);
    *looks = question.looks;
}

/* One that has many due must not keep the others from closing theirs. */
static void close_all_due(struct merge *merge, const struct merge_time *time)
{
    size_t looks = SESSIONS_LOOKS_A_TURN;
    for (size_t i = 0; i < merge->claim_count; i++) {
        const struct claim *claim = merge->claims[(merge->close_first + i) % merge->claim_count];
        close_due(merge, &merge->held[claim->partition], time, &looks);
    }
    merge->close_first++;
}

static void write_changes(struct merge *merge, struct claim *claim)
{
    struct pages pages;
    struct session change;
    size_t cursor = 0;
    sessions_renew_old_changes(claim->sessions);
    pages_begin(&pages, &merge->output.changes, slice_of(merge->rules.topic), claim->partition,
                claim->version + 1);
    while (sessions_next_change(claim->sessions, &cursor, &change))
        pages_add(&pages, &change);
    pages_end(&pages);
    merge->output.change_count += (size_t)pages.ordinal;
    sessions_note_stored(claim->sessions, claim->version + 1);
    struct held *held = &merge->held[claim->partition];
    held->forgets = sessions_forget_changes(claim->sessions, &held->forget_before);
}

void merge_finish(struct merge *merge, const struct merge_time *time)
{
    merge->output.sum_count = rollups_count(merge->rollups);
    join_parts(merge, time->mono);
    close_all_due(merge, time);
    for (size_t i = 0; i < merge->claim_count; i++)
        write_changes(merge, merge->claims[i]);
}

const struct merge_output *merge_output(const struct merge *merge)
{
    return &merge->output;
}

bool merge_forgets(const struct merge *merge, int partition, int64_t *before)
{
    const struct held *held = &merge->held[partition];
    if (held->forgets)
        *before = held->forget_before;
    return held->forgets;
}
