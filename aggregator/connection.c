/* SPDX-License-Identifier: Apache-2.0
 * connection: see the header. */
#include "aggregator/connection.h"

#include <libpq-fe.h>
#include <string.h>

enum { OLDEST_SERVER = 150000 }; /* the first whose unique indexes take NULL for equal */

static const struct {
    const char *keyword;
    const char *value; /* NULL: the conninfo goes here */
} parameters[] = {
    {"application_name", "footfall-aggregator"},
    {"target_session_attrs", "read-write"}, /* after a failover the old primary may answer first */
    {"connect_timeout", "10"},              /* CONNECTION_TIMEOUT_S */
    {"keepalives_idle", "5"},               /* a dead peer is noticed after 5 + 3 x 2 s */
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},
    {"dbname", NULL}, /* later ones win: what stands before is a default, what follows is fixed */
    {"client_encoding", "UTF8"},
};
enum { PARAMETER_COUNT = sizeof(parameters) / sizeof(parameters[0]) };
_Static_assert((int)PARAMETER_COUNT < (int)CONNECTION_MAX_PARAMETERS, "room for the NULL at the end");

void connection_parameters_init(struct connection_parameters *out, const char *conninfo)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        out->keywords[i] = parameters[i].keyword;
        out->values[i] = parameters[i].value ? parameters[i].value : conninfo;
    }
    out->keywords[PARAMETER_COUNT] = NULL;
    out->values[PARAMETER_COUNT] = NULL;
}

static enum status refuse(struct pg_conn *conn, enum status status, const char *reason, struct why *why)
{
    why_say(why, status, "cannot use Postgres (postgres.conninfo): %.*s", (int)strcspn(reason, "\n"), reason);
    PQfinish(conn);
    return status;
}

enum status connection_open(const char *conninfo, struct pg_conn **conn, struct why *why)
{
    struct connection_parameters with;
    connection_parameters_init(&with, conninfo);
    struct pg_conn *opened = PQconnectdbParams(with.keywords, with.values, 1);
    MUST(opened != NULL);
    if (PQstatus(opened) != CONNECTION_OK)
        return refuse(opened, STATUS_UNAVAILABLE, PQerrorMessage(opened), why);
    if (PQserverVersion(opened) < OLDEST_SERVER)
        return refuse(opened, STATUS_CONFLICT, "the server is older than PostgreSQL 15", why);
    *conn = opened;
    return STATUS_OK;
}

static enum status status_of(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        enum status status;
    } table[] = {
        {"42501", STATUS_DENIED},   {"40", STATUS_AGAIN},          {"55P03", STATUS_AGAIN},
        {"08", STATUS_UNAVAILABLE}, {"25006", STATUS_UNAVAILABLE}, {"53", STATUS_UNAVAILABLE},
        {"57", STATUS_UNAVAILABLE},
    };
    for (size_t i = 0; sqlstate != NULL && i < sizeof table / sizeof table[0]; i++)
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].status;
    return sqlstate != NULL ? STATUS_CONFLICT : STATUS_UNAVAILABLE;
}

enum status connection_explain(struct pg_conn *conn, const struct pg_result *result, const char *what,
                               struct why *why)
{
    enum status status = status_of(PQresultErrorField(result, PG_DIAG_SQLSTATE));
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *message = primary != NULL ? primary : PQerrorMessage(conn);
    return why_say(why, status, "%s: %.*s (as role %s)", what, (int)strcspn(message, "\n"), message,
                   PQuser(conn));
}

enum status connection_ask(struct pg_conn *conn, const struct connection_question *question,
                           struct pg_result **result, struct why *why)
{
    PGresult *got = question->value_count == 0 ? PQexec(conn, question->sql)
                                               : PQexecParams(conn, question->sql, question->value_count,
                                                              NULL, question->values, NULL, NULL, 0);
    ExecStatusType got_status = PQresultStatus(got);
    enum status status = STATUS_OK;
    if (got_status != PGRES_COMMAND_OK && got_status != PGRES_TUPLES_OK)
        status = connection_explain(conn, got, question->what, why);
    if (status == STATUS_OK && result != NULL)
        *result = got;
    else
        PQclear(got);
    return status;
}
