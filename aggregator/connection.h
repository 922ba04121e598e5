/* SPDX-License-Identifier: Apache-2.0
 * connection: how this program connects to Postgres: the parameters that every connection has, and the
 * blocking way to open one at start-up.
 *
 * database connects with these parameters asynchronously; migrate and store_group_read block. What the
 * operator writes in conninfo wins over our defaults, except the encoding: texts are UTF-8 everywhere. */
#ifndef AGGREGATOR_CONNECTION_H
#define AGGREGATOR_CONNECTION_H

#include "base/status.h"

struct pg_conn;

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

#endif
