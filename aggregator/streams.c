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
    MUST(false && "a hit belongs to a claim that takes part");
    return NULL;
}

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

/* Adds the hit's stream to its claim and to the question, unless it is loaded. */
static bool ask_one(const struct fence_claims *held, const struct batch_hit *hit, struct arrays *arrays)
{
    struct claim *claim = claim_find(held, hit->at.partition);
    if (claim_stream_find(claim, &hit->stream) != NULL)
        return false;
    claim_stream_add(claim, &hit->stream, (struct received){.count = 0});
    row_add_int32(&arrays->columns[0], claim->partition);
    add_name(&arrays->columns[1], &hit->stream);
    return true;
}

bool streams_ask(const struct fence_claims *held, const struct batch *batch, struct arrays *arrays,
                 struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_TEXT};
    size_t count = 0;
    const struct batch_hit *last = NULL; /* neighbours mostly share their stream */
    for (size_t i = 0; i < held->count; i++)
        claim_streams_trim(held->claims[i]); /* all are saved between two batches */
    arrays_begin(arrays, types, 2);
    for (size_t i = 0; i < batch->hit_count; i++) {
        const struct batch_hit *hit = &batch->hits[i];
        if (!hit->has_stream || (last != NULL && is_same_stream(hit, last)))
            continue;
        last = hit;
        count += ask_one(held, hit, arrays);
    }
    if (count == 0)
        return false;
    *statement = (struct database_statement){
        /* A subquery, not a join: a plan that reads all streams of the topic is impossible. */
        .sql = "SELECT partition, stream,"
               "       (SELECT ranges::text FROM footfall.received r"
               "         WHERE r.topic = $1 AND r.partition = named.partition AND r.stream = named.stream)"
               "  FROM unnest($2::int4[], $3::text[]) AS named (partition, stream)"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, count, statement);
    return true;
}

enum status streams_read(const struct fence_claims *held, const struct pg_result *result, int *partition)
{
    for (int row = 0; row < result_count(result); row++) {
        if (result_is_null(result, row, 2))
            continue; /* nothing was received of this stream */
        *partition = result_int32(result, row, 0);
        struct hit_stream stream;
        struct received set = {.count = 0};
        enum status status = hit_stream_read(result_text(result, row, 1), &stream);
        if (status == STATUS_OK)
            status = received_read(result_text(result, row, 2), &set);
        if (status != STATUS_OK)
            return status;
        claim_stream_find(claim_find(held, *partition), &stream)->set = set; /* was empty */
    }
    return STATUS_OK;
}

static void save_one(int partition, struct claim_stream *stream, struct buf *scratch, struct arrays *arrays)
{
    buf_clear(scratch);
    received_write(&stream->set, scratch);
    MUST(!scratch->overflowed);
    row_add_int32(&arrays->columns[0], partition);
    add_name(&arrays->columns[1], &stream->stream);
    row_add_text(&arrays->columns[2], buf_slice(scratch));
    stream->changed = false;
}

static size_t save_changed(const struct claim *claim, struct buf *scratch, struct arrays *arrays)
{
    size_t count = 0;
    size_t cursor = 0;
    struct claim_stream *stream;
    while ((stream = claim_stream_next(claim, &cursor)) != NULL) {
        if (!stream->changed)
            continue;
        save_one(claim->partition, stream, scratch, arrays);
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
