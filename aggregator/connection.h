/* SPDX-License-Identifier: Apache-2.0
 * connection: how this program connects to Postgres: the parameters that every connection has, and the
 * blocking way to open one and ask, for start-up and commands.
 *
 * database connects with these parameters asynchronously; migrate, store_group_read and the operator's
 * commands block. What the operator writes in conninfo wins over our defaults, except the encoding: texts are UTF-8 everywhere. */
#ifndef AGGREGATOR_CONNECTION_H
#define AGGREGATOR_CONNECTION_H

#include "base/status.h"

struct pg_conn;
struct pg_result;

enum { CONNECTION_MAX_PARAMETERS = 12, CONNECTION_TIMEOUT_S = 10 };

struct connection_parameters { /* as PQconnectStartParams wants them, with expand_dbname */
    const char *keywords[CONNECTION_MAX_PARAMETERS];
    const char *values[CONNECTION_MAX_PARAMETERS];
};
/* conninfo ("host=… dbname=…" or "postgresql://…") is borrowed as long as *out is used. */
void connection_parameters_init(struct connection_parameters *out, const char *conninfo);

/* Connects; blocks for at most CONNECTION_TIMEOUT_S a host. *conn is for PQfinish. UNAVAILABLE: no answer or
 * refused; CONFLICT: a server too old. */
enum status connection_open(const char *conninfo, struct pg_conn **conn, struct why *why) MUST_CHECK;

/* What a failed statement means for who waits at a terminal: AGAIN: others were in its way, such as a lock;
 * UNAVAILABLE: it may pass by itself; DENIED: a right is missing; else CONFLICT. Says
 * "<what>: <message> (as role …)" in *why. */
enum status connection_explain(struct pg_conn *conn, const struct pg_result *result, const char *what,
                               struct why *why);

enum { CONNECTION_MAX_VALUES = 8 };
struct connection_question { /* values are text; NULL: null */
    const char *what;        /* "cannot …" */
    const char *sql;
    const char *values[CONNECTION_MAX_VALUES];
    int value_count; /* 0: may be several commands */
};
/* *result (may be NULL) is for PQclear. */
enum status connection_ask(struct pg_conn *conn, const struct connection_question *question,
                           struct pg_result **result, struct why *why) MUST_CHECK;

#endif
