/* SPDX-License-Identifier: Apache-2.0
 * sim_database: see the header. */
#include "tests/unit/aggregator/sim_database.h"

#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "tests/unit/aggregator/sim_statements.h"
#include "tests/unit/aggregator/sim_trace.h"

/* Turns that a statement waits for a lock: about as long as lock_timeout and statement_timeout let it. */
enum { MAX_LOCK_WAITS = 4, MAX_STATEMENT_WAITS = 20, IDLE_MS = 10000 };

enum pending { PENDING_NOTHING, PENDING_OPEN, PENDING_QUERY, PENDING_COPY };

struct database {
    bool is_open;
    bool is_broken; /* it is open as far as we know */
    bool is_pooled; /* a pooler has moved it to another server */
    bool is_in_transaction;
    size_t backend;
    uint64_t session;
    enum pending pending;
    struct database_statement statement;
    struct database_copy copy;
    database_reply_fn *on_reply;
    void *context;
    int waits;
    bool is_answered; /* the answer is on its way */
    struct database_reply reply;
    struct pg_result result;
};

static struct sim_net *net;
static struct database *newest;

void sim_database_use(struct sim_net *wanted)
{
    net = wanted;
}

struct database *sim_database_newest(void)
{
    return newest;
}

static struct sim_backend *backend_of(const struct database *database)
{
    return &net->postgres.backends[database->backend];
}

/* Servers give few numbers to many backends, so that two of them share one now and then. */
static size_t connect_backend(void)
{
    return sim_connect(&net->postgres, 100 + (int)choice_below(&net->choice, SIM_PIDS), net->mono);
}

/* ---- What the linker calls instead of database.c ---- */

struct database *__wrap_database_new(struct uv_loop_s *loop, const char *conninfo);
void __wrap_database_close(struct database **database, void (*on_closed)(void *context), void *context);
void __wrap_database_open(struct database *database, database_reply_fn *on_open, void *context);
bool __wrap_database_is_open(const struct database *database);
uint64_t __wrap_database_session(const struct database *database);
void __wrap_database_drop(struct database *database);
bool __wrap_database_is_in_transaction(const struct database *database);
void __wrap_database_query(struct database *database, const struct database_statement *statement,
                           database_reply_fn *on_reply, void *context);
void __wrap_database_copy(struct database *database, const struct database_copy *copy,
                          database_reply_fn *on_reply, void *context);

struct database *__wrap_database_new(struct uv_loop_s *loop, const char *conninfo)
{
    (void)loop;
    (void)conninfo;
    newest = must_calloc(1, sizeof *newest);
    return newest;
}

void __wrap_database_close(struct database **database, void (*on_closed)(void *context), void *context)
{
    result_free(&(*database)->result);
    free(*database);
    *database = NULL;
    on_closed(context);
}

static void expect(struct database *database, enum pending what, database_reply_fn *on_reply, void *context)
{
    MUST(database->pending == PENDING_NOTHING);
    database->pending = what;
    database->on_reply = on_reply;
    database->context = context;
    database->waits = 0;
    database->is_answered = false;
}

void __wrap_database_open(struct database *database, database_reply_fn *on_open, void *context)
{
    expect(database, PENDING_OPEN, on_open, context);
}

bool __wrap_database_is_open(const struct database *database)
{
    return database->is_open;
}

uint64_t __wrap_database_session(const struct database *database)
{
    return database->session;
}

void __wrap_database_drop(struct database *database)
{
    if (database->is_open && !database->is_broken && backend_of(database)->is_alive)
        sim_end_backend(&net->postgres, database->backend);
    database->is_open = false;
}

bool __wrap_database_is_in_transaction(const struct database *database)
{
    return database->is_open && database->is_in_transaction;
}

void __wrap_database_query(struct database *database, const struct database_statement *statement,
                           database_reply_fn *on_reply, void *context)
{
    expect(database, PENDING_QUERY, on_reply, context);
    database->statement = *statement;
}

void __wrap_database_copy(struct database *database, const struct database_copy *copy,
                          database_reply_fn *on_reply, void *context)
{
    expect(database, PENDING_COPY, on_reply, context);
    database->copy = *copy;
    backend_of(database)->is_in_copy = true;
}

void sim_database_begin(struct database *database)
{
    MUST(database->pending == PENDING_NOTHING);
    database->is_open = false;
}

/* ---- Answers ---- */

static const char *sql_of(const struct database *database)
{
    return database->pending == PENDING_COPY ? database->copy.sql : database->statement.sql;
}

static void answer(struct database *database, enum database_outcome outcome, const char *sqlstate)
{
    database->is_answered = true;
    database->reply = (struct database_reply){.outcome = outcome,
                                              .message = slice_of(sqlstate),
                                              .names_constraint = true,
                                              .result = outcome == DATABASE_OK ? &database->result : NULL};
    memcpy(database->reply.sqlstate, sqlstate, strlen(sqlstate) + 1);
}

static void answer_lost(struct database *database)
{
    database->is_open = false;
    answer(database, DATABASE_LOST, "08006");
}

static void deliver(struct database *database)
{
    database_reply_fn *on_reply = database->on_reply;
    database->pending = PENDING_NOTHING;
    database->is_answered = false;
    on_reply(database->context, &database->reply);
}

static void open_connection(struct database *database)
{
    static uint64_t sessions;
    database->is_open = true;
    database->is_broken = false;
    database->is_pooled = false;
    database->is_in_transaction = false;
    database->session = ++sessions;
    database->backend = connect_backend();
    answer(database, DATABASE_OK, "");
}

/* ---- A statement happens ---- */

static void note_transaction(struct database *database, const char *sql)
{
    if (strncmp(sql, "BEGIN", 5) == 0)
        database->is_in_transaction = true;
    else if (strcmp(sql, "COMMIT") == 0 || strcmp(sql, "ROLLBACK") == 0)
        database->is_in_transaction = false;
}

/* An error, but for one of COMMIT, leaves the transaction to be rolled back. */
static void answer_error(struct database *database, const char *sqlstate)
{
    sim_abort(&net->postgres, backend_of(database)->txn);
    backend_of(database)->txn = 0;
    answer(database, DATABASE_ERROR, sqlstate);
}

static void wait_for_lock(struct database *database)
{
    const char *sql = sql_of(database);
    net->waits++;
    database->waits++;
    if (!sim_statements_may_wait(sql) && !net->postgres.locks_no_row)
        trace_fail("a batch that holds its partitions waits for somebody else: %.60s", sql);
    if (strstr(sql, "SET owner") != NULL && database->waits > MAX_LOCK_WAITS)
        answer_error(database, "55P03");
    else if (database->waits > MAX_STATEMENT_WAITS)
        answer_error(database, "57014");
}

static void carry_out(struct database *database)
{
    bool is_copy = database->pending == PENDING_COPY;
    struct sim_call call = {.postgres = &net->postgres,
                            .backend = database->backend,
                            .sql = sql_of(database),
                            .statement = is_copy ? NULL : &database->statement,
                            .copy = is_copy ? &database->copy : NULL,
                            .result = &database->result};
    switch (sim_statements_run(&call)) {
    case SIM_WAITS:
        wait_for_lock(database);
        break;
    case SIM_FAILED:
        trace_say("    error %s: %.60s", call.sqlstate, sql_of(database));
        answer_error(database, call.sqlstate);
        break;
    case SIM_DONE:
        note_transaction(database, sql_of(database));
        answer(database, DATABASE_OK, "");
    }
}

static bool is_usable(const struct database *database)
{
    return database->is_open && !database->is_broken && backend_of(database)->is_alive;
}

static void happen(struct database *database)
{
    if (database->pending == PENDING_OPEN) {
        open_connection(database);
    } else if (!is_usable(database)) {
        answer_lost(database);
    } else {
        backend_of(database)->active_at = net->mono;
        carry_out(database);
        backend_of(database)->is_in_copy = false;
    }
}

bool sim_database_is_committing(const struct database *database)
{
    return database->pending == PENDING_QUERY && !database->is_answered &&
           strcmp(database->statement.sql, "COMMIT") == 0;
}

void sim_database_cut(struct database *database, bool is_noticed)
{
    if (is_usable(database) && (is_noticed || database->is_pooled))
        sim_end_backend(&net->postgres, database->backend);
    database->is_broken = true;
    if (database->pending != PENDING_NOTHING)
        answer_lost(database);
}

void sim_database_end_idle(void)
{
    for (size_t i = 0; i < net->postgres.backend_count; i++) {
        const struct sim_backend *backend = &net->postgres.backends[i];
        if (backend->is_alive && backend->txn != 0 && (!backend->is_in_copy || net->postgres.locks_no_row) &&
            net->mono.ms - backend->active_at.ms > IDLE_MS)
            sim_end_backend(&net->postgres, i);
    }
}

/* What concerns nobody else happens along with what comes before it. */
static bool is_private(const struct database *database)
{
    return database->pending == PENDING_OPEN ||
           (database->pending == PENDING_QUERY && sim_statements_is_private(database->statement.sql));
}

void sim_database_turn(struct database *database, enum sim_fault fault)
{
    if (database->pending == PENDING_NOTHING)
        return;
    bool was_answered = database->is_answered;
    if (!was_answered && fault == SIM_CUT_BEFORE)
        sim_database_cut(database, choice_one_in(&net->choice, 2));
    if (!database->is_answered)
        happen(database);
    if (!was_answered && database->is_answered && fault == SIM_CUT_AFTER)
        sim_database_cut(database, choice_one_in(&net->choice, 2));
    if (!database->is_answered || (!was_answered && fault == SIM_LATE))
        return;
    deliver(database);
    if (is_private(database))
        sim_database_turn(database, SIM_NO_FAULT);
}

void sim_database_move_server(struct database *database, bool has_pooler)
{
    bool is_kept = has_pooler && database->is_open && !database->is_broken && !database->is_in_transaction &&
                   !database->is_answered;
    if (is_kept)
        database->backend = connect_backend();
    database->is_pooled = is_kept;
    database->is_broken = !is_kept;
    if (database->is_answered && database->reply.outcome == DATABASE_OK && choice_one_in(&net->choice, 2))
        answer_lost(database); /* the answer was on its way, and did not arrive */
}

/* ---- What result.c reads of an answer ---- */

int __wrap_PQntuples(const struct pg_result *result);
char *__wrap_PQcmdTuples(struct pg_result *result);
char *__wrap_PQcmdStatus(struct pg_result *result);
int __wrap_PQgetisnull(const struct pg_result *result, int row, int column);
int __wrap_PQfformat(const struct pg_result *result, int column);
int __wrap_PQgetlength(const struct pg_result *result, int row, int column);
char *__wrap_PQgetvalue(const struct pg_result *result, int row, int column);

static slice cell(const struct pg_result *result, int row, int column)
{
    MUST(row >= 0 && row < result->row_count && column >= 0 && column < result->column_count);
    return result->cells[row * result->column_count + column];
}

int __wrap_PQntuples(const struct pg_result *result)
{
    return result->row_count;
}

char *__wrap_PQcmdTuples(struct pg_result *result)
{
    static char text[24];
    struct buf out;
    buf_init(&out, text, sizeof text);
    buf_add_int64(&out, result->affected);
    buf_add_char(&out, '\0');
    return text;
}

char *__wrap_PQcmdStatus(struct pg_result *result)
{
    return (char *)result->tag;
}

int __wrap_PQgetisnull(const struct pg_result *result, int row, int column)
{
    return cell(result, row, column).data == NULL;
}

int __wrap_PQfformat(const struct pg_result *result, int column)
{
    (void)result;
    (void)column;
    return 1;
}

int __wrap_PQgetlength(const struct pg_result *result, int row, int column)
{
    return (int)cell(result, row, column).len;
}

char *__wrap_PQgetvalue(const struct pg_result *result, int row, int column)
{
    return (char *)cell(result, row, column).data;
}

/* ---- Time and chance ---- */

wall_ms __wrap_wall_now(void);
mono_ms __wrap_mono_now(void);
void __wrap_random_bytes(void *out, size_t len);
uuid __wrap_uuid_v4(void);

wall_ms __wrap_wall_now(void)
{
    return net->wall;
}

mono_ms __wrap_mono_now(void)
{
    return net->mono;
}

void __wrap_random_bytes(void *out, size_t len)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)choice_below(&net->choice, 256);
}

uuid __wrap_uuid_v4(void)
{
    uuid id;
    __wrap_random_bytes(id.bytes, sizeof id.bytes);
    return id;
}
