/* SPDX-License-Identifier: Apache-2.0
 * database: one connection to Postgres, driven by the loop: one statement at a time, answered by a callback.
 *
 * steps -> database_query | database_copy -> libpq, socket watched by uv_poll -> on_reply, never before the
 * call returns. Connecting, sending, COPY and reading are asynchronous; only the look-up of a host name
 * blocks (name a hostaddr to avoid it). Owns the PGconn. A failure of the connection or of a statement
 * reaches the callback with its SQLSTATE; after DATABASE_LOST the connection is gone and database_open starts
 * anew. No answer within DATABASE_DEADLINE_MS counts as lost: the server's own statement_timeout, set on
 * connect like everything else that bounds a stuck backend, comes first when the server is well. Loop thread
 * only. Not here: retries, what a failure means (outcome). */
#ifndef AGGREGATOR_DATABASE_H
#define AGGREGATOR_DATABASE_H

#include "base/buf.h"

struct uv_loop_s;
struct pg_result;
struct database;

enum { DATABASE_DEADLINE_MS = 20000 };

enum database_outcome {
    DATABASE_OK,    /* result is valid during the callback */
    DATABASE_ERROR, /* the server refused: sqlstate says why; the connection lives */
    DATABASE_LOST,  /* no connection (any more); sqlstate is "08006" or what the server said last */
};

struct database_reply {
    enum database_outcome outcome;
    const struct pg_result *result; /* see result.h; of the last command; NULL unless OK */
    char sqlstate[6];
    bool names_constraint; /* the error is about a constraint that has a name */
    slice message;         /* primary message of the server or of libpq: clean text, at most 256 bytes */
};
typedef void database_reply_fn(void *context, const struct database_reply *reply);

/* conninfo is copied. */
struct database *database_new(struct uv_loop_s *loop, const char *conninfo);
/* A statement under way is abandoned: its callback is not called. */
void database_close(struct database **database, void (*on_closed)(void *context), void *context);
/* Connects (or connects anew) and sets the session up. */
void database_open(struct database *database, database_reply_fn *on_open, void *context);
bool database_is_open(const struct database *database);
/* Which connection this is: counts up with each one that was opened. */
uint64_t database_session(const struct database *database);
/* Ends the connection, for one that is not to be trusted any more; nothing is under way. */
void database_drop(struct database *database);
/* False when there is no connection. */
bool database_is_in_transaction(const struct database *database);

/* With parameters: prepared on its first use in a connection, result in binary form. Without: sent as it
 * stands, may be several commands, result as text. sql is constant text, told apart by its address; values
 * travel as parameters only and are borrowed until the reply. */
enum { DATABASE_MAX_PARAMETERS = 8, DATABASE_MAX_PREPARED = 24 };
struct database_statement {
    const char *sql;
    const char *failpoint; /* passed when the answer is there and not yet read; NULL: none */
    int parameter_count;
    const char *values[DATABASE_MAX_PARAMETERS];
    int lengths[DATABASE_MAX_PARAMETERS];
    int formats[DATABASE_MAX_PARAMETERS]; /* 1: binary */
};
void database_statement_add_text(struct database_statement *statement, const char *text);
void database_statement_add_binary(struct database_statement *statement, const struct buf *value);

/* Without a connection: answered with DATABASE_LOST. */
void database_query(struct database *database, const struct database_statement *statement,
                    database_reply_fn *on_reply, void *context);

/* COPY … FROM STDIN (FORMAT binary) of the given pieces (header and trailer are added). Pieces are borrowed
 * until the reply. */
struct database_copy {
    const char *sql;
    const slice *pieces;
    size_t piece_count;
};
void database_copy(struct database *database, const struct database_copy *copy, database_reply_fn *on_reply,
                   void *context);

#endif
