/* SPDX-License-Identifier: Apache-2.0
 * database: one connection to Postgres, driven by the loop: one statement at a time, answered by a callback.
 *
 * store -> database_query | database_copy -> libpq, socket watched by uv_poll -> on_result. Never blocks:
 * connecting, sending, COPY and reading are asynchronous. Owns the PGconn. A failure of the connection or of
 * a statement reaches the callback as a SQLSTATE class; after DATABASE_LOST the connection is gone and
 * database_open starts anew. Loop thread only. Session settings that bound a stuck backend are sent on
 * connect (statement_timeout and so on, TimeZone UTC). Not here: retries, what a failure means (store). */
#ifndef AGGREGATOR_DATABASE_H
#define AGGREGATOR_DATABASE_H

#include "base/slice.h"

struct uv_loop_s;
struct pg_result;
struct database;

enum database_outcome {
    DATABASE_OK,    /* result is valid during the callback */
    DATABASE_ERROR, /* the server refused: sqlstate says why; the connection lives */
    DATABASE_LOST,  /* no connection (any more); sqlstate is "08006" or what the server said last */
};

struct database_reply {
    enum database_outcome outcome;
    const struct pg_result *result; /* rows in binary format; NULL unless OK */
    char sqlstate[6];
    slice message; /* primary message of the server or of libpq, one line */
};
typedef void database_reply_fn(void *context, const struct database_reply *reply);

struct database *database_new(struct uv_loop_s *loop, const char *conninfo);
void database_close(struct database **database, void (*on_closed)(void *context), void *context);
/* Connects (or connects anew) and sets the session up. */
void database_open(struct database *database, database_reply_fn *on_open, void *context);
bool database_is_open(const struct database *database);
int database_backend_pid(const struct database *database);

/* Parameters in binary or text form; NULL value: SQL NULL. Borrowed until the reply. */
enum { DATABASE_MAX_PARAMETERS = 16 };
struct database_statement {
    const char *sql; /* constant text; values travel as parameters only */
    int parameter_count;
    const char *values[DATABASE_MAX_PARAMETERS];
    int lengths[DATABASE_MAX_PARAMETERS];
    int formats[DATABASE_MAX_PARAMETERS]; /* 1: binary */
};
void database_query(struct database *database, const struct database_statement *statement,
                    database_reply_fn *on_reply, void *context);

/* COPY … FROM STDIN BINARY of the given pieces (header and trailer are added). Pieces are borrowed until the
 * reply. */
struct database_copy {
    const char *sql;
    const slice *pieces;
    size_t piece_count;
};
void database_copy(struct database *database, const struct database_copy *copy, database_reply_fn *on_reply,
                   void *context);

#endif
