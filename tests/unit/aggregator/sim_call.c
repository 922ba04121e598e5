/* SPDX-License-Identifier: Apache-2.0
 * sim_call: see the header. */
#include "tests/unit/aggregator/sim_call.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/row.h"
#include "tests/unit/aggregator/tuples.h"

enum { START_BYTES = 4096, MAX_BYTES = 16 * 1024 * 1024, ARRAY_HEADER_BYTES = 20, ARRAY_COUNT_AT = 12 };

/* ---- Of a statement ---- */

bool call_says(const struct sim_call *call, const char *text)
{
    return strstr(call->sql, text) != NULL;
}

const char *call_text(const struct sim_call *call, int parameter)
{
    MUST(parameter < call->statement->parameter_count && call->statement->formats[parameter] == 0);
    return call->statement->values[parameter];
}

int64_t call_number(const struct sim_call *call, int parameter)
{
    int64_t number;
    slice text = slice_of(call_text(call, parameter));
    MUST(slice_to_int64(text, INT64_MIN, INT64_MAX, &number) == STATUS_OK);
    return number;
}

struct call_arrays call_arrays(const struct sim_call *call, int first_parameter, size_t column_count)
{
    const struct database_statement *statement = call->statement;
    struct call_arrays arrays = {.column_count = column_count};
    MUST(first_parameter + (int)column_count == statement->parameter_count);
    for (size_t i = 0; i < column_count; i++) {
        size_t parameter = (size_t)first_parameter + i;
        slice whole = {statement->values[parameter], (size_t)statement->lengths[parameter]};
        MUST(statement->formats[parameter] == 1 && whole.len >= ARRAY_HEADER_BYTES);
        size_t count = (size_t)tuples_number(slice_head(slice_from(whole, ARRAY_COUNT_AT), 4));
        MUST(i == 0 || count == arrays.count);
        arrays.count = count;
        arrays.columns[i] = slice_from(whole, ARRAY_HEADER_BYTES);
    }
    return arrays;
}

bool call_next(struct call_arrays *arrays)
{
    if (arrays->count == 0)
        return false;
    arrays->count--;
    for (size_t i = 0; i < arrays->column_count; i++)
        arrays->row[i] = tuples_field(&arrays->columns[i]);
    return true;
}

int call_int(const struct call_arrays *arrays, size_t column)
{
    return (int)tuples_number(arrays->row[column]);
}

int64_t call_int64(const struct call_arrays *arrays, size_t column)
{
    return tuples_number(arrays->row[column]);
}

wall_ms call_time(const struct call_arrays *arrays, size_t column)
{
    return row_time(tuples_number(arrays->row[column]));
}

/* ---- Of its transaction ---- */

sim_txn call_txn(const struct sim_call *call)
{
    return call->postgres->backends[call->backend].txn;
}

struct sim_row *call_add(const struct sim_call *call, enum sim_kind kind, int chain)
{
    return sim_add(call->postgres, kind, chain, call_txn(call));
}

enum sim_verdict call_fail(struct sim_call *call, const char *sqlstate)
{
    MUST(strlen(sqlstate) < sizeof call->sqlstate);
    memcpy(call->sqlstate, sqlstate, strlen(sqlstate) + 1);
    return SIM_FAILED;
}

/* ---- Of its answer ---- */

void result_clear(struct pg_result *result, const char *tag)
{
    if (result->tuples.data == NULL)
        buf_init_growing(&result->tuples, START_BYTES, MAX_BYTES);
    buf_clear(&result->tuples);
    result->column_count = result->row_count = 0;
    result->affected = 0;
    result->tag = tag;
}

void result_free(struct pg_result *result)
{
    buf_fini(&result->tuples);
    free(result->cells);
}

struct buf *result_add_row(struct pg_result *result, int column_count)
{
    MUST(result->row_count == 0 || result->column_count == column_count);
    result->column_count = column_count;
    result->row_count++;
    row_begin(&result->tuples, column_count);
    return &result->tuples;
}

void result_add_session(struct pg_result *result, int first, const struct session *session)
{
    struct buf *out = result_add_row(result, 1 + ROW_SESSION_PART_FIELDS);
    row_add_int32(out, first);
    row_add_session_part(out, session);
}

void result_finish(struct pg_result *result)
{
    size_t cell_count = (size_t)(result->row_count * result->column_count);
    slice rest = buf_slice(&result->tuples);
    MUST(!result->tuples.overflowed);
    if (cell_count > result->cell_cap) {
        result->cell_cap = 2 * cell_count;
        result->cells = must_realloc(result->cells, result->cell_cap * sizeof *result->cells);
    }
    for (size_t i = 0; i < cell_count; i++) {
        if (i % (size_t)result->column_count == 0)
            rest = slice_from(rest, 2); /* how many columns */
        result->cells[i] = tuples_field(&rest);
    }
    if (result->affected == 0)
        result->affected = result->row_count;
}
