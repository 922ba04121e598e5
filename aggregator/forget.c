/* SPDX-License-Identifier: Apache-2.0
 * forget: see the header. */
#include "aggregator/forget.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdlib.h>

#include "aggregator/connection.h"

_Static_assert(FORGET_DAYS == 30, "the statement below says the same");

/* Both tables in one statement. $2: a name, or NULL for the old ones. */
static const char forget_sql[] =
    "WITH chosen AS MATERIALIZED"
    " (SELECT partition, stream FROM footfall.streams"
    "   WHERE topic = $1 AND missing = 0"
    "     AND CASE WHEN $2::varchar IS NOT NULL THEN stream = $2"
    "              ELSE ended_at < now() AT TIME ZONE 'UTC' - interval '30 days' END),"
    " received AS"
    " (DELETE FROM footfall.received r USING chosen"
    "   WHERE r.topic = $1 AND r.partition = chosen.partition AND r.stream = chosen.stream),"
    " audit AS"
    " (DELETE FROM footfall.audit a USING chosen"
    "   WHERE a.topic = $1 AND a.partition = chosen.partition AND a.stream = chosen.stream)"
    " SELECT count(*) FROM chosen";

static const char look_sql[] =
    "SELECT missing IS NULL, coalesce(missing, 0) FROM footfall.streams WHERE topic = $1 AND stream = $2";

static enum status ask(PGconn *conn, const char *topic, const char *stream, int64_t *count, struct why *why)
{
    const struct connection_question question = {
        .what = "cannot forget streams", .sql = forget_sql, .values = {topic, stream}, .value_count = 2};
    PGresult *result;
    enum status status = connection_ask(conn, &question, &result, why);
    if (status != STATUS_OK)
        return status;
    *count = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return STATUS_OK;
}

static enum status explain(PGconn *conn, const char *topic, const char *stream, struct why *why)
{
    const struct connection_question question = {
        .what = "cannot look for the stream", .sql = look_sql, .values = {topic, stream}, .value_count = 2};
    PGresult *result;
    enum status status = connection_ask(conn, &question, &result, why);
    if (status != STATUS_OK)
        return status;
    if (PQntuples(result) == 0)
        status = why_say(why, STATUS_CONFLICT, "topic %s has no stream %s", topic, stream);
    else if (PQgetvalue(result, 0, 0)[0] == 't')
        status =
            why_say(why, STATUS_CONFLICT,
                    "stream %s has not ended: its collector may send more, or send it once more", stream);
    else
        status = why_say(why, STATUS_CONFLICT, "%s numbers of stream %s are missing: see footfall.streams",
                         PQgetvalue(result, 0, 1), stream);
    PQclear(result);
    return status;
}

enum status forget_run_old(const char *conninfo, const char *topic, int64_t *count, struct why *why)
{
    PGconn *conn;
    enum status status = connection_open(conninfo, &conn, why);
    if (status != STATUS_OK)
        return status;
    status = ask(conn, topic, NULL, count, why);
    PQfinish(conn);
    return status;
}

enum status forget_run_one(const char *conninfo, const char *topic, const char *stream, struct why *why)
{
    PGconn *conn;
    int64_t count;
    enum status status = connection_open(conninfo, &conn, why);
    if (status != STATUS_OK)
        return status;
    status = ask(conn, topic, stream, &count, why);
    if (status == STATUS_OK && count == 0)
        status = explain(conn, topic, stream, why);
    PQfinish(conn);
    return status;
}
