/* SPDX-License-Identifier: Apache-2.0
 * postgres: see the header. */
#include "tests/lib/postgres.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *why)
{
    fprintf(stderr, "tests/lib/postgres: %s: %s\n", what, why);
    abort();
}

static const char *server(void)
{
    const char *conninfo = getenv("FOOTFALL_TEST_CONNINFO");
    if (conninfo == NULL)
        die("FOOTFALL_TEST_CONNINFO is not set", "run the test as tests/lib/with_postgres TEST");
    return conninfo;
}

struct pg_conn *postgres_connect(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK)
        die(conninfo, PQerrorMessage(conn));
    postgres_do(conn, "SET client_min_messages = warning; SET TimeZone = 'UTC'");
    return conn;
}

void postgres_disconnect(struct pg_conn *conn)
{
    PQfinish(conn);
}

static PGresult *run(PGconn *conn, const char *format, va_list arguments)
{
    char sql[4096];
    if (vsnprintf(sql, sizeof sql, format, arguments) >= (int)sizeof sql)
        die("SQL too long", format);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN)
        die(sql, PQresultErrorMessage(result));
    return result;
}

void postgres_do(struct pg_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PQclear(run(conn, format, arguments));
    va_end(arguments);
}

const char *postgres_ask(struct pg_conn *conn, const char *format, ...)
{
    static char answer[65536];
    va_list arguments;
    va_start(arguments, format);
    PGresult *result = run(conn, format, arguments);
    va_end(arguments);
    snprintf(answer, sizeof answer, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return answer;
}

void postgres_drop(const char *name)
{
    PGconn *conn = postgres_connect(server());
    postgres_do(conn, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    PQfinish(conn);
}

const char *postgres_make(const char *name, const char *from)
{
    static char conninfo[1024];
    postgres_drop(name);
    PGconn *conn = postgres_connect(server());
    postgres_do(conn, "CREATE DATABASE %s TEMPLATE %s", name, from != NULL ? from : "template0");
    PQfinish(conn);
    snprintf(conninfo, sizeof conninfo, "%s dbname=%s", server(), name);
    return conninfo;
}
