/* SPDX-License-Identifier: Apache-2.0
 * arrays: rows given to one statement as parallel array parameters, which its SQL opens with unnest().
 *
 *   arrays_begin -> row_add_… on columns for each row -> arrays_bind
 * An element of a binary array has the form of a field of a row, so the encoders of row.h write them. Memory
 * is kept for the next statement; borrowed by the statement until its reply. One thread. */
#ifndef AGGREGATOR_ARRAYS_H
#define AGGREGATOR_ARRAYS_H

#include "aggregator/database.h"

enum { ARRAYS_MAX_COLUMNS = 7 };

/* Object ids of element types, fixed by Postgres' catalog. */
enum arrays_type {
    ARRAYS_INT8 = 20,
    ARRAYS_INT4 = 23,
    ARRAYS_TEXT = 25,
    ARRAYS_REAL = 700,
    ARRAYS_DATE = 1082,
    ARRAYS_TIMESTAMP = 1114,
    ARRAYS_UUID = 2950
};

struct arrays {
    size_t column_count;
    struct buf columns[ARRAYS_MAX_COLUMNS];
};

void arrays_init(struct arrays *arrays);
void arrays_fini(struct arrays *arrays);
void arrays_begin(struct arrays *arrays, const enum arrays_type *types, size_t column_count);
/* Adds the columns as the next parameters; each holds row_count elements. */
void arrays_bind(struct arrays *arrays, size_t row_count, struct database_statement *statement);

#endif
