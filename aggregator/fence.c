/* SPDX-License-Identifier: Apache-2.0
 * fence: see the header. */
#include "aggregator/fence.h"

#include "aggregator/result.h"
#include "aggregator/row.h"

static void add_held(const struct fence_claims *held, struct arrays *arrays)
{
    for (size_t i = 0; i < held->count; i++) {
        const struct claim *claim = held->claims[i];
        row_add_int32(&arrays->columns[0], claim->partition);
        row_add_uuid(&arrays->columns[1], claim->owner);
        row_add_int64(&arrays->columns[2], claim->next_offset);
        row_add_int64(&arrays->columns[3], claim->version);
    }
}

void fence_check(const struct fence_claims *held, struct arrays *arrays, struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_UUID, ARRAYS_INT8, ARRAYS_INT8};
    arrays_begin(arrays, types, 4);
    add_held(held, arrays);
    *statement = (struct database_statement){
        .sql = "SELECT p.partition, p.owner_pid = pg_backend_pid()"
               "  FROM unnest($2::int4[], $3::uuid[], $4::int8[], $5::int8[])"
               "       AS held (partition, owner, next_offset, version)"
               "  JOIN footfall.partitions p USING (partition, owner, next_offset, version)"
               " WHERE p.topic = $1"
               " ORDER BY p.topic, p.partition"
               "   FOR UPDATE OF p"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, held->count, statement);
}

enum fence_answer fence_read(const struct fence_claims *held, const struct pg_result *result, int *partition)
{
    int row_count = result_count(result);
    for (int row = 0; row < (int)held->count; row++) {
        *partition = held->claims[row]->partition;
        if (row >= row_count || result_int32(result, row, 0) != *partition)
            return FENCE_LOST;
        if (!result_bool(result, row, 1))
            return FENCE_OTHER_CONNECTION;
    }
    return FENCE_HELD;
}

static int64_t moved_offset(const struct claim *claim, const int64_t *next_offsets)
{
    int64_t next = next_offsets[claim->partition];
    return next >= 0 ? next : claim->next_offset;
}

void fence_move(const struct fence_claims *held, const int64_t *next_offsets, struct arrays *arrays,
                struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_UUID, ARRAYS_INT8,
                                             ARRAYS_INT8, ARRAYS_INT8, ARRAYS_TIMESTAMP};
    arrays_begin(arrays, types, 6);
    add_held(held, arrays);
    for (size_t i = 0; i < held->count; i++) {
        const struct claim *claim = held->claims[i];
        row_add_int64(&arrays->columns[4], moved_offset(claim, next_offsets));
        if (claim->stored_until.ms == INT64_MIN)
            row_add_null(&arrays->columns[5]);
        else
            row_add_timestamp(&arrays->columns[5], claim->stored_until);
    }
    *statement = (struct database_statement){
        .sql =
            "UPDATE footfall.partitions p"
            "   SET next_offset = held.new_offset, version = p.version + 1, stored_until = held.stored_until"
            "  FROM unnest($2::int4[], $3::uuid[], $4::int8[], $5::int8[], $6::int8[], $7::timestamp[])"
            "       AS held (partition, owner, next_offset, version, new_offset, stored_until)"
            " WHERE p.topic = $1 AND p.partition = held.partition AND p.owner = held.owner"
            "   AND p.next_offset = held.next_offset AND p.version = held.version"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, held->count, statement);
}

void fence_note_moved(const struct fence_claims *held, const int64_t *next_offsets)
{
    for (size_t i = 0; i < held->count; i++) {
        struct claim *claim = held->claims[i];
        claim->next_offset = moved_offset(claim, next_offsets);
        claim->version++;
    }
}
