/* SPDX-License-Identifier: Apache-2.0
 * writing: see the header. Steps stand in the order of the list at the end. */
#include "aggregator/writing.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/result.h"
#include "aggregator/row.h"
#include "aggregator/streams.h"
#include "aggregator/taking.h"
#include "base/failpoint.h"

/* A received set of RECEIVED_MAX_RANGES as text: two numbers of 19 digits a range. */
enum { SCRATCH_MAX_BYTES = RECEIVED_MAX_RANGES * 48 };

static enum step_move query_if(struct writing *writing, bool is_needed,
                               const struct database_statement *statement)
{
    return is_needed ? steps_query(writing->steps, statement) : STEP_NEXT;
}

/* ---- Before the transaction ---- */

static enum step_move reach_enriched(void *job)
{
    struct writing *writing = job;
    return delivering_reach(&writing->delivering, writing->batch.batch);
}

static enum step_move add_agents(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = agents_ask(writing->agents, writing->batch.batch, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move note_agents(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    (void)reply;
    agents_note_added(writing->agents, writing->batch.batch);
    return STEP_NEXT;
}

static enum step_move make_days(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = days_ask(&writing->days, writing->batch.batch, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move note_days(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    (void)reply;
    days_note_made(&writing->days);
    return STEP_AGAIN;
}

static enum step_move make_days_ahead(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = days_ask_ahead(&writing->days, wall_now(), &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move note_days_ahead(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    days_note_made_ahead(&writing->days, reply->result);
    return STEP_NEXT;
}

/* ---- Fence and received sets ---- */

static enum step_move begin(void *job)
{
    struct writing *writing = job;
    return steps_command(writing->steps, writing->options->commits_lazily
                                             ? "BEGIN; SET LOCAL synchronous_commit = off"
                                             : "BEGIN");
}

static enum step_move check_fence(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    fence_check(&writing->held, &writing->arrays, &statement);
    return steps_query(writing->steps, &statement);
}

static enum step_move read_fence(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    int partition;
    switch (fence_read(&writing->held, reply->result, &partition)) {
    case FENCE_HELD:
        FAILPOINT("after_fence_check");
        return STEP_NEXT;
    case FENCE_LOST:
        return steps_stop(writing->steps, STORE_FENCED, partition,
                          "partition %d was claimed by another aggregator, or by a command such as erase",
                          partition);
    default:
        return steps_stop(writing->steps, STORE_RETRY, partition,
                          "partition %d was claimed on a connection that is gone", partition);
    }
}

static enum step_move ask_streams(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = streams_ask(&writing->held, writing->batch.batch, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move read_streams(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    int partition;
    if (streams_read(&writing->held, reply->result, &partition) == STATUS_OK)
        return STEP_NEXT;
    return steps_stop(writing->steps, STORE_HALT, partition,
                      "footfall.received or footfall.audit holds a set of partition %d that cannot be read",
                      partition);
}

static enum step_move start_merge(void *job)
{
    struct writing *writing = job;
    const struct store_batch *batch = &writing->batch;
    int partition;
    if (merge_start(batch->merge, batch->batch, batch->claims, batch->claim_count, &partition) == STATUS_OK)
        return STEP_NEXT;
    return steps_stop(writing->steps, STORE_HALT, partition,
                      "the received numbers of a stream of partition %d have more than %d holes", partition,
                      RECEIVED_MAX_RANGES);
}

static enum step_move save_streams(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = streams_save(&writing->held, &writing->scratch, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move save_audit(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = streams_save_audit(&writing->held, &writing->scratch, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

/* ---- Sessions taken, and the merge ---- */

static enum step_move ask_strays(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = taking_ask_strays(&writing->held, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move stop_unreadable(struct writing *writing, const char *table)
{
    return steps_stop(writing->steps, STORE_HALT, -1, "%s holds a row that is no session", table);
}

static enum step_move read_strays(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    if (taking_read_strays(&writing->held, reply->result, writing->batch.merge) != STATUS_OK)
        return stop_unreadable(writing, "footfall.strays");
    return STEP_NEXT;
}

static enum step_move ask_stored(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    bool is_needed = taking_ask_stored(writing->batch.merge, &writing->arrays, &statement);
    return query_if(writing, is_needed, &statement);
}

static enum step_move read_stored(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    if (taking_read_stored(reply->result, writing->batch.merge) != STATUS_OK)
        return stop_unreadable(writing, "session_events_aggregated_ip");
    return STEP_NEXT;
}

static enum step_move finish_merge(void *job)
{
    struct writing *writing = job;
    struct merge_time time = {.wall = wall_now(), .mono = mono_now(), .quiet_ms = writing->batch.quiet_ms};
    merge_finish(writing->batch.merge, &time);
    writing->output = merge_output(writing->batch.merge);
    return STEP_NEXT;
}

/* ---- What is written ---- */

static enum step_move copy_pieces(struct writing *writing, const char *sql, size_t piece_count)
{
    if (piece_count == 0)
        return STEP_NEXT;
    struct database_copy copy = {.sql = sql, .pieces = writing->pieces, .piece_count = piece_count};
    return steps_copy(writing->steps, &copy);
}

static enum step_move copy_rows(struct writing *writing, const char *sql, const struct buf *rows)
{
    MUST(!rows->overflowed);
    writing->pieces[0] = buf_slice(rows);
    return copy_pieces(writing, sql, rows->len > 0);
}

/* Columns are named, so that an older program goes on under a newer schema. */
static enum step_move copy_hits(void *job)
{
    struct writing *writing = job;
    return copy_pieces(writing,
                       "COPY processed_events (ip, event_timestamp, referrer, host, url, geodata, hit_id,"
                       " user_agent_id, source, country, state, city, latitude, longitude, geo_source, flags,"
                       " received_at, kafka_partition, kafka_offset) FROM STDIN (FORMAT binary)",
                       batch_cut_new(writing->batch.batch, writing->pieces));
}

static enum step_move send_enriched(void *job)
{
    struct writing *writing = job;
    return delivering_send(&writing->delivering, writing->batch.batch);
}

static enum step_move copy_closed(void *job)
{
    struct writing *writing = job;
    return copy_rows(writing,
                     "COPY session_events_aggregated_ip (start_session, end_session, ip, host, web_events,"
                     " last_hit, bot_events, entry_url, referrer, exit_url, country, state, city)"
                     " FROM STDIN (FORMAT binary)",
                     &writing->output->closed);
}

/* Changes that later ones replaced. One partition a statement: equality is what surely makes the look-up use
 * the whole index. */
static enum step_move forget_next(void *job)
{
    struct writing *writing = job;
    while (writing->forget_at < writing->held.count) {
        int partition = writing->held.claims[writing->forget_at++]->partition;
        int64_t before;
        if (!merge_forgets(writing->batch.merge, partition, &before))
            continue;
        snprintf(writing->forget_partition, sizeof writing->forget_partition, "%d", partition);
        snprintf(writing->forget_before, sizeof writing->forget_before, "%lld", (long long)before);
        struct database_statement statement = {
            .sql = "DELETE FROM footfall.open_session_pages"
                   " WHERE topic = $1 AND partition = $2::int4 AND version < $3::int8"};
        database_statement_add_text(&statement, writing->options->topic);
        database_statement_add_text(&statement, writing->forget_partition);
        database_statement_add_text(&statement, writing->forget_before);
        return steps_query(writing->steps, &statement);
    }
    return STEP_NEXT;
}

static enum step_move go_again(void *job, const struct database_reply *reply)
{
    (void)job;
    (void)reply;
    return STEP_AGAIN;
}

static enum step_move copy_changes(void *job)
{
    struct writing *writing = job;
    return copy_rows(writing,
                     "COPY footfall.open_session_pages (topic, partition, version, ordinal, changes)"
                     " FROM STDIN (FORMAT binary)",
                     &writing->output->changes);
}

static enum step_move copy_sums(void *job)
{
    struct writing *writing = job;
    return copy_rows(
        writing,
        "COPY footfall.rollup_sums (kind, at, host, name, country, state, city, bot, source, counted,"
        " hits) FROM STDIN (FORMAT binary)",
        writing->output->sums);
}

static enum step_move copy_strays(void *job)
{
    struct writing *writing = job;
    return copy_rows(writing,
                     "COPY footfall.strays (topic, home, ip, host, start_hit, last_hit, events, bot_events,"
                     " entry_url, referrer, country, state, city, exit_url) FROM STDIN (FORMAT binary)",
                     &writing->output->strays);
}

static enum step_move copy_rejects(void *job)
{
    struct writing *writing = job;
    return copy_rows(writing,
                     "COPY rejected_hits (topic, kafka_partition, kafka_offset, written_at, reason, raw)"
                     " FROM STDIN (FORMAT binary)",
                     &writing->batch.batch->rejects);
}

/* Rejects that are hits now. */
static enum step_move delete_retried(void *job)
{
    struct writing *writing = job;
    const struct store_retried *retried = writing->batch.retried;
    static const enum arrays_type types[] = {ARRAYS_INT8, ARRAYS_TIMESTAMP};
    if (retried == NULL)
        return STEP_NEXT;
    arrays_begin(&writing->arrays, types, 2);
    for (size_t i = 0; i < retried->count; i++) {
        row_add_int64(&writing->arrays.columns[0], retried->rows[i].offset);
        row_add_timestamp(&writing->arrays.columns[1], retried->rows[i].rejected_at);
    }
    snprintf(writing->retried_partition, sizeof writing->retried_partition, "%d", retried->partition);
    struct database_statement statement = {
        .sql = "DELETE FROM rejected_hits r USING unnest($3::int8[], $4::timestamp[]) AS hit (place, at)"
               " WHERE r.topic = $1 AND r.kafka_partition = $2::int4 AND r.kafka_offset = hit.place"
               "   AND r.rejected_at = hit.at"};
    database_statement_add_text(&statement, writing->options->topic);
    database_statement_add_text(&statement, writing->retried_partition);
    arrays_bind(&writing->arrays, retried->count, &statement);
    return steps_query(writing->steps, &statement);
}

static enum step_move count_retried(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    int64_t deleted = result_affected(reply->result);
    if (deleted == (int64_t)writing->batch.retried->count)
        return STEP_NEXT;
    return steps_stop(
        writing->steps, STORE_HALT, writing->batch.retried->partition,
        "%lld rows of rejected_hits stood for %zu rejects: somebody has changed them, try again",
        (long long)deleted, writing->batch.retried->count);
}

/* ---- The end ---- */

static enum step_move move_fence(void *job)
{
    struct writing *writing = job;
    struct database_statement statement;
    fence_move(&writing->held, writing->batch.batch->next_offsets, &writing->arrays, &statement);
    return steps_query(writing->steps, &statement);
}

static enum step_move count_moved(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    int64_t moved = result_affected(reply->result);
    if (moved == (int64_t)writing->held.count)
        return STEP_NEXT;
    return steps_stop(writing->steps, STORE_FENCED, -1, "the fence moved %lld rows of %zu", (long long)moved,
                      writing->held.count);
}

static enum step_move confirm_enriched(void *job)
{
    struct writing *writing = job;
    return delivering_confirm(&writing->delivering);
}

static enum step_move commit(void *job)
{
    struct writing *writing = job;
    FAILPOINT("before_commit");
    struct database_statement statement = {.sql = "COMMIT", .failpoint = "after_commit"};
    return steps_query(writing->steps, &statement);
}

static enum step_move read_commit(void *job, const struct database_reply *reply)
{
    struct writing *writing = job;
    if (result_is_of(reply->result, "COMMIT"))
        return STEP_NEXT;
    return steps_stop(writing->steps, STORE_RETRY, -1, "COMMIT was answered with ROLLBACK");
}

static const struct step write_steps[] = {
    {"enriched_reach", reach_enriched, NULL},
    {"agents", add_agents, note_agents},
    {"days", make_days, note_days},
    {"days_ahead", make_days_ahead, note_days_ahead},
    {"begin", begin, NULL},
    {"fence_check", check_fence, read_fence},
    {"received_load", ask_streams, read_streams},
    {"merge_start", start_merge, NULL},
    {"received_save", save_streams, NULL},
    {"audit_save", save_audit, NULL},
    {"strays_taken", ask_strays, read_strays},
    {"stored_taken", ask_stored, read_stored},
    {"merge_finish", finish_merge, NULL},
    {"hits", copy_hits, NULL},
    {"enriched_send", send_enriched, NULL},
    {"closed_sessions", copy_closed, NULL},
    {"changes_forgotten", forget_next, go_again},
    {"changes", copy_changes, NULL},
    {"sums", copy_sums, NULL},
    {"strays", copy_strays, NULL},
    {"rejects", copy_rejects, NULL},
    {"rejects_retried", delete_retried, count_retried},
    {"fence_move", move_fence, count_moved},
    {"enriched_confirm", confirm_enriched, go_again},
    {"commit", commit, read_commit},
    {NULL, NULL, NULL},
};

static void on_done(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct writing *writing = job;
    delivering_end(&writing->delivering);
    if (result->outcome == STORE_DONE)
        fence_note_moved(&writing->held, writing->batch.batch->next_offsets);
    if (failed != NULL && failed->is_day_missing)
        days_forget(&writing->days);
    writing->on_written(writing->context, result);
}

/* A new connection may lead to a server that lost its last commits. */
static void forget_other_sessions(struct writing *writing)
{
    uint64_t session = database_session(writing->steps->database);
    if (session == writing->session)
        return;
    writing->session = session;
    days_forget(&writing->days);
    known_clear(writing->agents);
}

void writing_init(struct writing *writing, struct steps *steps, const struct store_options *options)
{
    *writing = (struct writing){.steps = steps, .options = options};
    days_init(&writing->days);
    delivering_init(&writing->delivering, steps, options->enriched);
    writing->agents = known_new(AGENTS_MAX_KNOWN);
    arrays_init(&writing->arrays);
    buf_init_growing(&writing->scratch, 4096, SCRATCH_MAX_BYTES);
    writing->pieces = must_malloc(BATCH_MAX_HITS * sizeof *writing->pieces);
}

void writing_fini(struct writing *writing)
{
    days_fini(&writing->days);
    known_free(&writing->agents);
    arrays_fini(&writing->arrays);
    buf_fini(&writing->scratch);
    free(writing->pieces);
}

void writing_start(struct writing *writing, const struct store_batch *batch, store_written_fn *on_written,
                   void *context)
{
    MUST(batch->claim_count > 0 && batch->batch->hit_count <= BATCH_MAX_HITS);
    forget_other_sessions(writing);
    writing->batch = *batch;
    if (writing->options->retention_days > 0)
        days_begin(&writing->days, batch->batch, wall_now(), writing->options->retention_days);
    writing->forget_at = 0;
    writing->held = (struct fence_claims){
        .topic = writing->options->topic, .claims = batch->claims, .count = batch->claim_count};
    writing->on_written = on_written;
    writing->context = context;
    steps_start(writing->steps, write_steps, writing, on_done);
}
