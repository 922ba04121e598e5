/* SPDX-License-Identifier: Apache-2.0
 * database: see the header.
 *
 *   closed -> connecting -> running (session set-up) -> idle
 *   idle -> preparing (first use) -> running -> idle                      a query
 *   idle -> running -> copying (the server asked for data) -> running -> idle     a copy
 *   any -> closed                                                         lost
 *
 * Every operation ends in settle(), which calls back; every failure of the connection goes through lose(). */
#include "aggregator/database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aggregator/connection.h"
#include "aggregator/copying.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"

/* Half of STORE_REASON_MAX: what stands around it, as the mend at its end, must not be cut off. */
enum { MESSAGE_MAX = 256 };
/* Two dead hosts of a list may each use up tcp_user_timeout. */
enum { CONNECT_DEADLINE_MS = 30000 };

static const char session_setup[] =
    "SET TimeZone = 'UTC';"
    "SET search_path = public;"
    /* What frees the partition's row when this program stands still or its host is gone. */
    "SET idle_in_transaction_session_timeout = '10s';"
    "SET statement_timeout = '15s';"
    "SET tcp_user_timeout = '10s';"
    "SET tcp_keepalives_idle = 5;"
    "SET tcp_keepalives_interval = 2;"
    "SET tcp_keepalives_count = 3;"
    /* Every statement is a look-up by key: planned once, and not by what the tables held at that moment. */
    "SET plan_cache_mode = force_generic_plan;"
    "SET enable_seqscan = off;"
    "SET enable_hashjoin = off;"
    "SET enable_mergejoin = off;"
    "SET jit = off";

enum database_state { CLOSED, CONNECTING, IDLE, PREPARING, RUNNING, COPYING };

struct database {
    struct uv_loop_s *loop;
    char *conninfo;
    struct log log;
    enum database_state state;
    uint64_t session;
    bool is_setting_up; /* the statement under way belongs to database_open */
    PGconn *conn;
    uv_poll_t *watcher; /* memory of its own: it closes a turn later, a new connection need not wait */
    int watched_events;
    uv_timer_t deadline;
    const char *prepared[DATABASE_MAX_PREPARED]; /* SQL of the prepared statements s0, s1 … */
    size_t prepared_count;

    /* The operation under way. */
    struct database_statement statement;
    struct database_copy copy;
    struct copying copying;
    PGresult *result;
    char sqlstate[6];
    bool names_constraint;
    char message[MESSAGE_MAX + 1];
    database_reply_fn *on_reply;
    void *context;

    void (*on_closed)(void *context);
    void *closed_context;
};

/* ---- Ending an operation ---- */

static void note_error(struct database *database, const char *sqlstate, const char *message)
{
    if (database->sqlstate[0] != '\0')
        return; /* the first one says why, later ones are its consequences */
    memcpy(database->sqlstate, sqlstate, 5);
    struct buf clean;
    buf_init(&clean, database->message, MESSAGE_MAX);
    (void)text_add_clean(&clean, (slice){message, strcspn(message, "\n")}, MESSAGE_MAX);
    database->message[clean.len] = '\0';
}

/* Tells the caller, who may start the next operation or close at once: nothing of *database is touched
 * afterwards. */
static void settle(struct database *database, enum database_outcome outcome)
{
    PGresult *result = database->result;
    struct database_reply reply = {.outcome = outcome,
                                   .result = outcome == DATABASE_OK ? result : NULL,
                                   .names_constraint = database->names_constraint,
                                   .message = slice_of(database->message)};
    memcpy(reply.sqlstate, database->sqlstate, sizeof reply.sqlstate);
    database->result = NULL;
    database->is_setting_up = false;
    database->statement.failpoint = NULL;
    database->state = outcome == DATABASE_LOST ? CLOSED : IDLE;
    uv_timer_stop(&database->deadline);
    database->on_reply(database->context, &reply);
    PQclear(result);
}

static void free_watcher(uv_handle_t *handle)
{
    free(handle);
}

/* Before libpq closes or changes the socket: its number may come back for another one. */
static void unwatch(struct database *database)
{
    if (database->watcher == NULL)
        return;
    uv_poll_stop(database->watcher);
    uv_close((uv_handle_t *)database->watcher, free_watcher);
    database->watcher = NULL;
}

static void disconnect(struct database *database)
{
    unwatch(database);
    PQfinish(database->conn);
    database->conn = NULL;
    database->prepared_count = 0;
    database->state = CLOSED;
}

static void lose(struct database *database)
{
    note_error(database, "08006", database->conn ? PQerrorMessage(database->conn) : "not connected");
    disconnect(database);
    settle(database, DATABASE_LOST);
}

static void complete(struct database *database)
{
    if (PQstatus(database->conn) != CONNECTION_OK ||
        (database->is_setting_up && database->sqlstate[0] != '\0'))
        lose(database);
    else
        settle(database, database->sqlstate[0] == '\0' ? DATABASE_OK : DATABASE_ERROR);
}

static void on_deadline(uv_timer_t *timer)
{
    struct database *database = timer->data;
    note_error(database, "08006", "Postgres did not answer in time");
    lose(database);
}

/* Out of the caller's stack: a callback never comes before the call has returned. */
static void lose_soon(struct database *database)
{
    note_error(database, "08006", database->conn ? PQerrorMessage(database->conn) : "not connected");
    unwatch(database);
    uv_timer_start(&database->deadline, on_deadline, 0, 0);
}

/* ---- The socket ---- */

static void on_socket(uv_poll_t *watcher, int status, int events);

static void watch(struct database *database, int events)
{
    if (database->watcher == NULL) {
        database->watcher = must_malloc(sizeof *database->watcher);
        database->watcher->data = database;
        database->watched_events = 0;
        MUST(uv_poll_init(database->loop, database->watcher, PQsocket(database->conn)) == 0);
    }
    if (database->watched_events == events)
        return;
    database->watched_events = events;
    MUST(uv_poll_start(database->watcher, events, on_socket) == 0);
}

static void note_result(struct database *database, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        PQclear(database->result);
        database->result = result;
        return;
    }
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (database->sqlstate[0] == '\0')
        database->names_constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) != NULL;
    note_error(database, sqlstate ? sqlstate : "08006", message ? message : PQresultErrorMessage(result));
    PQclear(result);
}

/* Reads what is there. A dying server's last words arrive before the end of the stream: they say why. */
static bool read_socket(struct database *database)
{
    if (database->statement.failpoint != NULL)
        FAILPOINT(database->statement.failpoint);
    if (PQconsumeInput(database->conn) == 1)
        return true;
    PGresult *result;
    while (PQstatus(database->conn) == CONNECTION_BAD && (result = PQgetResult(database->conn)) != NULL)
        note_result(database, result);
    return false;
}

/* Once the end of the data is in libpq's buffer, a COPY waits for its answer like any other statement. */
static int leave_copying(struct database *database, int unsent)
{
    if (database->copying.is_ended)
        database->state = RUNNING;
    return unsent;
}

static int send_rest(struct database *database)
{
    if (database->state == COPYING)
        return leave_copying(database, copying_send(&database->copying));
    return PQflush(database->conn);
}

/* What comes next on the socket after sending; false: no connection. */
static bool watch_after(struct database *database, int unsent)
{
    if (unsent < 0)
        return false;
    watch(database, unsent ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    return true;
}

static int send_prepared(struct database *database, size_t at)
{
    const struct database_statement *statement = &database->statement;
    char name[24];
    snprintf(name, sizeof name, "s%zu", at);
    if (at < database->prepared_count)
        return PQsendQueryPrepared(database->conn, name, statement->parameter_count, statement->values,
                                   statement->lengths, statement->formats, 1);
    MUST(at < DATABASE_MAX_PREPARED);
    return PQsendPrepare(database->conn, name, statement->sql, 0, NULL);
}

/* The server has answered everything of the statement under way. */
static void finish_statement(struct database *database)
{
    if (database->state != PREPARING || database->sqlstate[0] != '\0') {
        complete(database);
        return;
    }
    size_t at = database->prepared_count++;
    database->prepared[at] = database->statement.sql;
    database->state = RUNNING;
    if (send_prepared(database, at) != 1 || !watch_after(database, PQflush(database->conn)))
        lose(database);
}

static int begin_copy(struct database *database)
{
    const struct database_copy *copy = &database->copy;
    database->state = COPYING;
    return leave_copying(database,
                         copying_begin(&database->copying, database->conn, copy->pieces, copy->piece_count));
}

static void take_results(struct database *database)
{
    while (database->state != COPYING && !PQisBusy(database->conn)) {
        PGresult *result = PQgetResult(database->conn);
        if (result == NULL) {
            finish_statement(database);
            return;
        }
        if (PQresultStatus(result) != PGRES_COPY_IN) {
            note_result(database, result);
            continue;
        }
        PQclear(result);
        if (!watch_after(database, begin_copy(database))) {
            lose(database);
            return;
        }
    }
}

/* The server says something though nothing was asked: a notice, or that it ends the connection; the next
 * operation will find none. */
static void read_idle(struct database *database)
{
    bool is_alive = read_socket(database);
    (void)PQisBusy(database->conn); /* hands notices to on_notice */
    if (!is_alive)
        disconnect(database);
    else
        watch(database, UV_READABLE);
}

static void go_on_connecting(struct database *database);

static void on_socket(uv_poll_t *watcher, int status, int events)
{
    struct database *database = watcher->data;
    bool is_readable = status < 0 || (events & UV_READABLE) != 0;
    if (status < 0)
        database->watched_events = 0; /* libuv has stopped the watcher, yet there may be more to read */
    if (database->state == CONNECTING)
        go_on_connecting(database);
    else if (database->state == IDLE)
        read_idle(database);
    else if ((is_readable && !read_socket(database)) || !watch_after(database, send_rest(database)))
        lose(database);
    else
        take_results(database);
}

/* ---- Starting an operation ---- */

static void on_notice(void *context, const PGresult *notice)
{
    const struct database *database = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    log_info(&database->log, "notice", "%s: %s", severity ? severity : "?", message ? message : "?");
}

static void begin(struct database *database, database_reply_fn *on_reply, void *context)
{
    MUST(!uv_is_active((uv_handle_t *)&database->deadline)); /* one operation at a time */
    database->on_reply = on_reply;
    database->context = context;
    database->sqlstate[0] = '\0';
    database->message[0] = '\0';
    database->names_constraint = false;
}

/* The statement is in libpq's buffer (or is not: sent is 0). */
static void sent(struct database *database, int is_sent)
{
    database->state = RUNNING;
    if (is_sent != 1 || !watch_after(database, PQflush(database->conn)))
        lose_soon(database);
    else
        uv_timer_start(&database->deadline, on_deadline, DATABASE_DEADLINE_MS, 0);
}

static void set_up_session(struct database *database)
{
    PQsetnonblocking(database->conn, 1);
    PQsetNoticeReceiver(database->conn, on_notice, database);
    database->is_setting_up = true;
    database->session++;
    sent(database, PQsendQuery(database->conn, session_setup));
}

static void go_on_connecting(struct database *database)
{
    unwatch(database);
    switch (PQconnectPoll(database->conn)) {
    case PGRES_POLLING_READING:
        watch(database, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch(database, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        set_up_session(database);
        break;
    default:
        lose(database);
    }
}

void database_open(struct database *database, database_reply_fn *on_open, void *context)
{
    begin(database, on_open, context);
    disconnect(database);
    struct connection_parameters with;
    connection_parameters_init(&with, database->conninfo);
    database->conn = PQconnectStartParams(with.keywords, with.values, 1);
    MUST(database->conn != NULL);
    if (PQstatus(database->conn) == CONNECTION_BAD) {
        lose_soon(database);
        return;
    }
    database->state = CONNECTING;
    uv_timer_start(&database->deadline, on_deadline, CONNECT_DEADLINE_MS, 0);
    watch(database, UV_WRITABLE);
}

void database_drop(struct database *database)
{
    MUST(database->state == IDLE || database->state == CLOSED);
    disconnect(database);
}

bool database_is_open(const struct database *database)
{
    return database->state == IDLE;
}

uint64_t database_session(const struct database *database)
{
    return database->session;
}

bool database_is_in_transaction(const struct database *database)
{
    return database->conn != NULL && PQtransactionStatus(database->conn) != PQTRANS_IDLE;
}

void database_statement_add_text(struct database_statement *statement, const char *text)
{
    MUST(statement->parameter_count < DATABASE_MAX_PARAMETERS);
    statement->values[statement->parameter_count++] = text;
}

void database_statement_add_binary(struct database_statement *statement, const struct buf *value)
{
    MUST(statement->parameter_count < DATABASE_MAX_PARAMETERS && !value->overflowed);
    int at = statement->parameter_count++;
    statement->values[at] = value->data;
    statement->lengths[at] = (int)value->len;
    statement->formats[at] = 1;
}

static size_t prepared_find(const struct database *database, const char *sql)
{
    size_t at = 0;
    while (at < database->prepared_count && database->prepared[at] != sql)
        at++;
    return at;
}

void database_query(struct database *database, const struct database_statement *statement,
                    database_reply_fn *on_reply, void *context)
{
    begin(database, on_reply, context);
    database->statement = *statement;
    if (database->state == CLOSED) {
        lose_soon(database);
    } else if (statement->parameter_count == 0) {
        sent(database, PQsendQuery(database->conn, statement->sql));
    } else {
        size_t at = prepared_find(database, statement->sql);
        sent(database, send_prepared(database, at));
        if (at == database->prepared_count)
            database->state = PREPARING;
    }
}

void database_copy(struct database *database, const struct database_copy *copy, database_reply_fn *on_reply,
                   void *context)
{
    begin(database, on_reply, context);
    database->copy = *copy;
    if (database->state == CLOSED)
        lose_soon(database);
    else
        sent(database, PQsendQuery(database->conn, copy->sql));
}

/* ---- Life ---- */

struct database *database_new(struct uv_loop_s *loop, const char *conninfo)
{
    struct database *database = must_calloc(1, sizeof *database);
    database->loop = loop;
    database->conninfo = strdup(conninfo);
    MUST(database->conninfo != NULL);
    database->log = log_new("database");
    MUST(uv_timer_init(loop, &database->deadline) == 0);
    database->deadline.data = database;
    return database;
}

static void on_deadline_closed(uv_handle_t *handle)
{
    struct database *database = handle->data;
    void (*on_closed)(void *) = database->on_closed;
    void *context = database->closed_context;
    free(database->conninfo);
    free(database);
    if (on_closed != NULL)
        on_closed(context);
}

void database_close(struct database **database, void (*on_closed)(void *context), void *context)
{
    struct database *closing = *database;
    *database = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    disconnect(closing);
    PQclear(closing->result);
    uv_close((uv_handle_t *)&closing->deadline, on_deadline_closed);
}
