/* SPDX-License-Identifier: Apache-2.0
 * migrate: see the header. */
#include "aggregator/migrate.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/connection.h"
#include "sql/migrations.h"

static const char set_up[] =
    "SET TimeZone = 'UTC'; SET search_path = public; SET client_min_messages = warning";

/* One migrator at a time; after that no statement may queue for long behind a reader's lock, since everybody
 * else would queue behind it. */
static const char begin[] =
    "BEGIN; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(1181708148, 1);"
    "SET LOCAL lock_timeout = '2s'";

/* A plain query: to_regclass looks into a cache that waiting for the lock does not refresh, and would miss
 * what another process has just made. */
static const char has_versions[] =
    "SELECT FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'footfall')"
    "   AND relname = 'migrations'";

/* Through JSON: the column is missing in tables of before 0014. */
static const char find_versions[] = "SELECT version, coalesce((to_jsonb(m) ->> 'oldest')::integer, version)"
                                    "  FROM footfall.migrations m ORDER BY version";

/* The public relations that our files make, but for the reports. */
static const char find_foreign[] =
    "SELECT string_agg(format('ALTER TABLE public.%I RENAME TO %I;', relname, relname || '_before_footfall'),"
    "                  ' ' ORDER BY relname)"
    "  FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace"
    "   AND relname IN ('processed_events', 'user_agents', 'session_events_aggregated_ip', 'rejected_hits',"
    "                   'traffic_by_hour', 'pages_by_day', 'referrers_by_day')";

/* Which files are in the database. */
struct versions {
    bool is_applied[64]; /* by index in migrations */
    int newest;
    int needed; /* by those that we do not know; 0: there are none */
};

static int newest_known(void)
{
    return migrations[migration_count - 1].version;
}

/* Runs one text of SQL; *result (may be NULL) is for PQclear. */
static enum status run_sql(PGconn *conn, const char *sql, const char *what, PGresult **result,
                           struct why *why)
{
    struct why said;
    struct connection_question question = {.what = what, .sql = sql};
    enum status status = connection_ask(conn, &question, result, &said);
    if (status == STATUS_OK)
        return STATUS_OK;
    const char *mend = "";
    if (status == STATUS_DENIED)
        mend = ": run `footfall-aggregator migrate` with postgres.owner_conninfo of a role that may";
    else if (status == STATUS_AGAIN)
        mend = ": somebody keeps a table locked, pg_stat_activity says who";
    return why_say(why, status, "%s%s", said.text, mend);
}

static void note_versions(const PGresult *result, struct versions *versions)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int version = atoi(PQgetvalue(result, row, 0));
        int oldest = atoi(PQgetvalue(result, row, 1));
        versions->newest = version;
        if (version > newest_known() && oldest > versions->needed)
            versions->needed = oldest;
        for (size_t i = 0; i < migration_count; i++)
            versions->is_applied[i] |= migrations[i].version == version;
    }
}

static enum status find_out_versions(PGconn *conn, struct versions *versions, struct why *why)
{
    static const char what[] = "cannot read the version of the schema";
    *versions = (struct versions){.newest = 0};
    PGresult *result;
    enum status status = run_sql(conn, has_versions, what, &result, why);
    if (status != STATUS_OK)
        return status;
    bool has_table = PQntuples(result) > 0;
    PQclear(result);
    if (!has_table)
        return STATUS_OK;
    status = run_sql(conn, find_versions, what, &result, why);
    if (status != STATUS_OK)
        return status;
    note_versions(result, versions);
    PQclear(result);
    return STATUS_OK;
}

static enum status refuse_newer(const struct versions *versions, struct why *why)
{
    if (versions->needed <= newest_known())
        return STATUS_OK;
    return why_say(
        why, STATUS_CONFLICT,
        "the database's schema is at version %d, for programs that know version %d, and this one knows"
        " %d: run the newer program",
        versions->newest, versions->needed, newest_known());
}

/* The first file that is not in the database; migration_count: there is none. */
static size_t find_pending(const struct versions *versions)
{
    size_t at = 0;
    while (at < migration_count && versions->is_applied[at])
        at++;
    return at;
}

static enum status refuse_foreign(PGconn *conn, struct why *why)
{
    PGresult *result;
    enum status status = run_sql(conn, find_foreign, "cannot look for tables of our names", &result, why);
    if (status != STATUS_OK)
        return status;
    if (!PQgetisnull(result, 0, 0))
        status =
            why_say(why, STATUS_CONFLICT,
                    "the database has tables of our names that Footfall did not make; keep them with: %s",
                    PQgetvalue(result, 0, 0));
    PQclear(result);
    return status;
}

static enum status apply(PGconn *conn, struct versions *versions, size_t at, struct why *why)
{
    char what[96];
    snprintf(what, sizeof what, "migration %s does not apply", migrations[at].name);
    enum status status = run_sql(conn, migrations[at].sql, what, NULL, why);
    versions->is_applied[at] = true;
    if (status == STATUS_OK && find_pending(versions) == migration_count)
        status = run_sql(conn, "SELECT footfall.grant_rights()", "cannot grant the rights of the roles", NULL,
                         why);
    return status;
}

/* Under the lock, where another process may just have done it all. */
static enum status apply_next(PGconn *conn, bool *is_done, struct why *why)
{
    enum status status = run_sql(conn, begin, "cannot take the lock of migrations", NULL, why);
    struct versions versions;
    if (status == STATUS_OK)
        status = find_out_versions(conn, &versions, why);
    if (status == STATUS_OK)
        status = refuse_newer(&versions, why);
    if (status == STATUS_OK && versions.newest == 0)
        status = refuse_foreign(conn, why);
    if (status != STATUS_OK)
        return status;
    size_t at = find_pending(&versions);
    *is_done = at == migration_count;
    if (!*is_done)
        status = apply(conn, &versions, at, why);
    if (status == STATUS_OK)
        status = run_sql(conn, "COMMIT", "cannot commit a migration", NULL, why);
    return status;
}

static enum status apply_pending(PGconn *conn, struct why *why)
{
    enum status status = STATUS_OK;
    bool is_done = false;
    while (status == STATUS_OK && !is_done)
        status = apply_next(conn, &is_done, why);
    return status;
}

static enum status migrate(PGconn *conn, struct migrate_report *report, struct why *why)
{
    enum status status = run_sql(conn, set_up, "cannot set the session up", NULL, why);
    struct versions versions;
    if (status == STATUS_OK)
        status = find_out_versions(conn, &versions, why);
    if (status == STATUS_OK)
        status = refuse_newer(&versions, why);
    if (status == STATUS_OK && find_pending(&versions) < migration_count)
        status = apply_pending(conn, why);
    if (status == STATUS_OK)
        *report = (struct migrate_report){versions.newest, versions.newest > newest_known() ? versions.newest
                                                                                            : newest_known()};
    return status;
}

enum status migrate_run(const char *conninfo, struct migrate_report *report, struct why *why)
{
    MUST(migration_count <= sizeof(((struct versions *)NULL)->is_applied));
    PGconn *conn;
    enum status status = connection_open(conninfo, &conn, why);
    if (status != STATUS_OK)
        return status;
    status = migrate(conn, report, why);
    PQfinish(conn); /* an open transaction is rolled back */
    return status;
}
