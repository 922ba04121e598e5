/* SPDX-License-Identifier: Apache-2.0
 * sim_call: one statement on its way through the simulated server: its text, its parameters, its answer.
 *
 * Parameters and answers have Postgres' binary form, as the program writes and reads them. Memory of an
 * answer is kept for the next one. One thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_CALL_H
#define TESTS_UNIT_AGGREGATOR_SIM_CALL_H

#include "aggregator/database.h"
#include "tests/unit/aggregator/sim_postgres.h"

struct pg_result { /* rows are tuples in the binary form of COPY, which is that of a result, too */
    int column_count;
    int row_count;
    int64_t affected;
    const char *tag;
    struct buf tuples;
    size_t cell_cap;
    slice *cells; /* of all rows; data NULL: NULL */
};

enum sim_verdict { SIM_DONE, SIM_WAITS, SIM_FAILED };

struct sim_call {
    struct sim_postgres *postgres;
    size_t backend;
    const char *sql;
    const struct database_statement *statement; /* NULL: it is a COPY */
    const struct database_copy *copy;
    struct pg_result *result;
    char sqlstate[6]; /* of a failure */
};

/* ---- Of a statement ---- */

bool call_says(const struct sim_call *call, const char *text); /* the SQL holds this */
const char *call_text(const struct sim_call *call, int parameter);
int64_t call_number(const struct sim_call *call, int parameter); /* of a text parameter */
/* Array parameters from this one on, read side by side: each column gives its next element. */
enum { CALL_MAX_COLUMNS = 7 };
struct call_arrays {
    size_t count; /* elements that are left */
    size_t column_count;
    slice columns[CALL_MAX_COLUMNS];
    slice row[CALL_MAX_COLUMNS]; /* data NULL: NULL */
};
struct call_arrays call_arrays(const struct sim_call *call, int first_parameter, size_t column_count);
bool call_next(struct call_arrays *arrays);
int call_int(const struct call_arrays *arrays, size_t column);
int64_t call_int64(const struct call_arrays *arrays, size_t column);
wall_ms call_time(const struct call_arrays *arrays, size_t column);

/* ---- Of its transaction ---- */

sim_txn call_txn(const struct sim_call *call); /* 0: none is open */
struct sim_row *call_add(const struct sim_call *call, enum sim_kind kind, int chain);
enum sim_verdict call_fail(struct sim_call *call, const char *sqlstate);

/* ---- Of its answer ---- */

void result_clear(struct pg_result *result, const char *tag);
void result_free(struct pg_result *result);
/* A row of so many columns, which the encoders of row.h fill. */
struct buf *result_add_row(struct pg_result *result, int column_count);
void result_add_session(struct pg_result *result, int first, const struct session *session);
void result_finish(struct pg_result *result);

#endif
