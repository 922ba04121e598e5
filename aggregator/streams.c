/* SPDX-License-Identifier: Apache-2.0
 * streams: see the header. */
#include "aggregator/streams.h"

#include "aggregator/result.h"
#include "aggregator/row.h"

static struct claim *claim_find(const struct fence_claims *held, int partition)
{
    for (size_t i = 0; i < held->count; i++)
        if (held->claims[i]->partition == partition)
            return held->claims[i];
    MUST(false && "a message belongs to a claim that takes part");
    return NULL;
}

/* ---- Loading ---- */

static bool is_same_stream(const struct batch_hit *a, const struct batch_hit *b)
{
    return a->at.partition == b->at.partition && a->stream.partition == b->stream.partition &&
           uuid_equals(a->stream.boot, b->stream.boot);
}

static void add_name(struct buf *column, const struct hit_stream *stream)
{
    char name[HIT_STREAM_TEXT_MAX];
    row_add_text(column, (slice){name, hit_stream_write(stream, name)});
}

/* Adds the stream to its claim and to the question, unless it is loaded. */
static bool ask_one(const struct fence_claims *held, int partition, const struct hit_stream *stream,
                    struct arrays *arrays)
{
    struct claim *claim = claim_find(held, partition);
    if (claim_stream_find(claim, stream) != NULL)
        return false;
    claim_stream_add(claim, stream, (struct received){.count = 0});
    row_add_int32(&arrays->columns[0], partition);
    add_name(&arrays->columns[1], stream);
    return true;
}

static size_t ask_all(const struct fence_claims *held, const struct batch *batch, struct arrays *arrays)
{
    size_t count = 0;
    const struct batch_hit *last = NULL; /* neighbours mostly share their stream */
    for (size_t i = 0; i < batch->hit_count; i++) {
        const struct batch_hit *hit = &batch->hits[i];
        if (!hit->has_stream || (last != NULL && is_same_stream(hit, last)))
            continue;
        last = hit;
        count += ask_one(held, hit->at.partition, &hit->stream, arrays);
    }
    for (size_t i = 0; i < batch->control_count; i++) {
        const struct batch_control *said = &batch->controls[i];
        count += ask_one(held, said->at.partition, &said->control.stream, arrays);
    }
    return count;
}

bool streams_ask(const struct fence_claims *held, const struct batch *batch, struct arrays *arrays,
                 struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_TEXT};
    for (size_t i = 0; i < held->count; i++)
        claim_streams_trim(held->claims[i]); /* all are saved between two batches */
    arrays_begin(arrays, types, 2);
    size_t count = ask_all(held, batch, arrays);
    if (count == 0)
        return false;
    *statement = (struct database_statement){
        /* LIMIT, so that each is looked up: a plan that reads all streams of the topic is impossible. */
        .sql = "SELECT named.partition, named.stream, ranges::text, skipped::text, last, ended_at"
               "  FROM unnest($2::int4[], $3::text[]) AS named (partition, stream)"
               "  LEFT JOIN LATERAL (SELECT ranges FROM footfall.received r WHERE r.topic = $1"
               "        AND r.partition = named.partition AND r.stream = named.stream LIMIT 1) AS r ON true"
               "  LEFT JOIN LATERAL (SELECT skipped, last, ended_at FROM footfall.audit a WHERE a.topic = $1"
               "        AND a.partition = named.partition AND a.stream = named.stream LIMIT 1) AS a ON true"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, count, statement);
    return true;
}

/* A set that is empty so far; NULL: nothing is stored. */
static enum status read_set(const struct pg_result *result, int row, int column, struct received *set)
{
    return result_is_null(result, row, column) ? STATUS_OK
                                               : received_read(result_text(result, row, column), set);
}

static enum status read_audit(const struct pg_result *result, int row, struct audit *audit)
{
    enum status status = read_set(result, row, 3, &audit->skipped);
    bool is_ended = !result_is_null(result, row, 4) && !result_is_null(result, row, 5);
    if (status == STATUS_OK && is_ended)
        audit_note_end(audit, result_int64(result, row, 4), result_time(result, row, 5));
    return status;
}

enum status streams_read(const struct fence_claims *held, const struct pg_result *result, int *partition)
{
    for (int row = 0; row < result_count(result); row++) {
        *partition = result_int32(result, row, 0);
        struct hit_stream name;
        enum status status = hit_stream_read(result_text(result, row, 1), &name);
        if (status != STATUS_OK)
            return status;
        struct claim_stream *stream = claim_stream_find(claim_find(held, *partition), &name);
        status = read_set(result, row, 2, &stream->set);
        if (status == STATUS_OK)
            status = read_audit(result, row, &stream->audit);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* ---- Saving ---- */

static void add_set(struct buf *column, const struct received *set, struct buf *scratch)
{
    buf_clear(scratch);
    received_write(set, scratch);
    MUST(!scratch->overflowed);
    row_add_text(column, buf_slice(scratch));
}

static size_t save_changed(const struct claim *claim, struct buf *scratch, struct arrays *arrays)
{
    size_t count = 0;
    size_t cursor = 0;
    struct claim_stream *stream;
    while ((stream = claim_stream_next(claim, &cursor)) != NULL) {
        if (!stream->changed)
            continue;
        row_add_int32(&arrays->columns[0], claim->partition);
        add_name(&arrays->columns[1], &stream->stream);
        add_set(&arrays->columns[2], &stream->set, scratch);
        stream->changed = false;
        count++;
    }
    return count;
}

bool streams_save(const struct fence_claims *held, struct buf *scratch, struct arrays *arrays,
                  struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_TEXT, ARRAYS_TEXT};
    size_t count = 0;
    arrays_begin(arrays, types, 3);
    for (size_t i = 0; i < held->count; i++)
        count += save_changed(held->claims[i], scratch, arrays);
    if (count == 0)
        return false;
    *statement = (struct database_statement){
        .sql = "INSERT INTO footfall.received (topic, partition, stream, ranges)"
               " SELECT $1, partition, stream, ranges::int8multirange"
               "   FROM unnest($2::int4[], $3::text[], $4::text[]) AS changed (partition, stream, ranges)"
               " ON CONFLICT (topic, partition, stream) DO UPDATE SET ranges = excluded.ranges"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, count, statement);
    return true;
}

static void add_end(const struct claim_stream *stream, struct arrays *arrays)
{
    if (!stream->audit.is_ended) {
        row_add_null(&arrays->columns[3]);
        row_add_null(&arrays->columns[4]);
        row_add_null(&arrays->columns[5]);
        return;
    }
    row_add_int64(&arrays->columns[3], stream->audit.last);
    row_add_timestamp(&arrays->columns[4], stream->audit.ended);
    row_add_int64(&arrays->columns[5], stream->missing_count);
}

static size_t save_audit(struct claim *claim, struct buf *scratch, struct arrays *arrays)
{
    size_t count = 0;
    size_t cursor = 0;
    struct claim_stream *stream;
    while (claim->is_audit_changed && (stream = claim_stream_next(claim, &cursor)) != NULL) {
        if (!stream->is_audit_changed)
            continue;
        row_add_int32(&arrays->columns[0], claim->partition);
        add_name(&arrays->columns[1], &stream->stream);
        add_set(&arrays->columns[2], &stream->audit.skipped, scratch);
        add_end(stream, arrays);
        row_add_text_or_null(&arrays->columns[6], stream->reason);
        stream->reason = (slice){NULL, 0};
        stream->is_audit_changed = false;
        count++;
    }
    claim->is_audit_changed = false;
    return count;
}

bool streams_save_audit(const struct fence_claims *held, struct buf *scratch, struct arrays *arrays,
                        struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4,      ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_INT8,
                                             ARRAYS_TIMESTAMP, ARRAYS_INT8, ARRAYS_TEXT};
    size_t count = 0;
    arrays_begin(arrays, types, sizeof types / sizeof types[0]);
    for (size_t i = 0; i < held->count; i++)
        count += save_audit(held->claims[i], scratch, arrays);
    if (count == 0)
        return false;
    *statement = (struct database_statement){
        .sql = "INSERT INTO footfall.audit AS old"
               "       (topic, partition, stream, skipped, last, ended_at, missing, reason)"
               " SELECT $1, partition, stream, skipped::int8multirange, last, ended_at, missing, reason"
               "   FROM unnest($2::int4[], $3::text[], $4::text[], $5::int8[], $6::timestamp[], $7::int8[],"
               "               $8::text[])"
               "        AS said (partition, stream, skipped, last, ended_at, missing, reason)"
               " ON CONFLICT (topic, partition, stream) DO UPDATE"
               "    SET skipped = excluded.skipped, last = excluded.last, ended_at = excluded.ended_at,"
               "        missing = excluded.missing, reason = coalesce(excluded.reason, old.reason)"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, count, statement);
    return true;
}
