/* SPDX-License-Identifier: Apache-2.0
 * arrays: see the header. */
#include "aggregator/arrays.h"

#include <endian.h>
#include <string.h>

/* A batch's texts are bounded, so this is a guard against bugs. */
enum { START_BYTES = 4096, MAX_BYTES = 64 * 1024 * 1024 };

/* Layout: dimensions, flags, element type, then length and lower bound of the one dimension. */
enum { LENGTH_AT = 12 };

void arrays_init(struct arrays *arrays)
{
    arrays->column_count = 0;
    for (size_t i = 0; i < ARRAYS_MAX_COLUMNS; i++)
        buf_init_growing(&arrays->columns[i], START_BYTES, MAX_BYTES);
}

void arrays_fini(struct arrays *arrays)
{
    for (size_t i = 0; i < ARRAYS_MAX_COLUMNS; i++)
        buf_fini(&arrays->columns[i]);
}

void arrays_begin(struct arrays *arrays, const enum arrays_type *types, size_t column_count)
{
    MUST(column_count <= ARRAYS_MAX_COLUMNS);
    arrays->column_count = column_count;
    for (size_t i = 0; i < column_count; i++) {
        struct buf *column = &arrays->columns[i];
        buf_clear(column);
        buf_add_be32(column, 1);
        buf_add_be32(column, 0);
        buf_add_be32(column, types[i]);
        buf_add_be32(column, 0); /* the length, once it is known */
        buf_add_be32(column, 1);
    }
}

void arrays_bind(struct arrays *arrays, size_t row_count, struct database_statement *statement)
{
    uint32_t length = htobe32((uint32_t)row_count);
    for (size_t i = 0; i < arrays->column_count; i++) {
        memcpy(arrays->columns[i].data + LENGTH_AT, &length, sizeof length);
        database_statement_add_binary(statement, &arrays->columns[i]);
    }
}
