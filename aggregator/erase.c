/* SPDX-License-Identifier: Apache-2.0
 * erase: see the header. */
#include "aggregator/erase.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/connection.h"
#include "aggregator/traces.h"
#include "base/failpoint.h"

enum { MAX_ATTEMPTS = 3 };

const char *const erase_tables[ERASE_PLACES] = {
    [ERASE_HITS] = "processed_events",
    [ERASE_SESSIONS] = "session_events_aggregated_ip",
    [ERASE_OPEN] = "footfall.open_session_changes",
    [ERASE_STRAYS] = "footfall.strays",
    [ERASE_REJECTS] = "rejected_hits",
    [ERASE_LOCATIONS] = "footfall.ip_locations",
};

struct erase {
    PGconn *conn;
    struct erase_report *report;
    struct why *why;
    struct traces traces;
    int64_t locked_count; /* partitions */
};

static enum status ask(struct erase *erase, const struct connection_question *question, PGresult **result)
{
    return connection_ask(erase->conn, question, result, erase->why);
}

static enum status command(struct erase *erase, const char *what, const char *sql)
{
    return ask(erase, &(struct connection_question){.what = what, .sql = sql}, NULL);
}

/* Its answer is one number. */
static enum status count(struct erase *erase, const struct connection_question *question, int64_t *number)
{
    PGresult *result;
    enum status status = ask(erase, question, &result);
    if (status != STATUS_OK)
        return status;
    *number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return STATUS_OK;
}

/* A long scan is what is wanted, whatever this role is usually allowed; but whoever stands still, or is gone,
 * must not hold the locks. */
static enum status prepare(struct erase *erase)
{
    return command(erase, "cannot prepare the connection",
                   "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET search_path = public; SET jit = off;"
                   " SET application_name = 'footfall-aggregator erase';"
                   " SET statement_timeout = 0; SET lock_timeout = '20s';"
                   " SET idle_in_transaction_session_timeout = '10s';"
                   " SET client_connection_check_interval = '5s'; SET tcp_user_timeout = '10s'");
}

/* ---- The locks ---- */

static void note_topic(struct erase_report *report, const char *topic)
{
    size_t count_before = report->topic_count;
    bool is_known = count_before > 0 && strcmp(report->topics[count_before - 1], topic) == 0;
    if (!is_known && count_before < ERASE_MAX_TOPICS)
        snprintf(report->topics[report->topic_count++], ERASE_MAX_TOPIC_TEXT + 1, "%s", topic);
}

/* In the order of fence_check. */
static enum status lock_partitions(struct erase *erase)
{
    PGresult *locked;
    const struct connection_question question = {
        .what = "cannot lock the rows of footfall.partitions (who holds them: pg_stat_activity)",
        .sql = "SELECT topic FROM footfall.partitions ORDER BY topic, partition FOR UPDATE"};
    enum status status = ask(erase, &question, &locked);
    if (status != STATUS_OK)
        return status;
    erase->locked_count = PQntuples(locked);
    for (int row = 0; row < PQntuples(locked); row++)
        note_topic(erase->report, PQgetvalue(locked, row, 0));
    PQclear(locked);
    timestamp_write(wall_now(), erase->report->moment);
    return STATUS_OK;
}

/* AGAIN: a partition was claimed for the first time meanwhile, so somebody was at work whom no lock has
 * stopped. */
static enum status take_partitions(struct erase *erase)
{
    int64_t taken;
    enum status status =
        count(erase,
              &(struct connection_question){
                  .what = "cannot take the rows of footfall.partitions",
                  .sql = "WITH taken AS"
                         " (UPDATE footfall.partitions SET owner = NULL, version = version + 1 RETURNING 1)"
                         " SELECT count(*) FROM taken"},
              &taken);
    if (status != STATUS_OK || taken == erase->locked_count)
        return status;
    return why_say(erase->why, STATUS_AGAIN,
                   "aggregators claim partitions for the first time just now: run it again");
}

/* ---- What is removed ---- */

/* Other visitors' changes stay in their order; a page that held none of them goes. ip is written into pages
 * as it is compared here, so the search for its text finds every page. */
static const char open_sql[] =
    "WITH page AS MATERIALIZED"
    " (SELECT ctid AS place, changes FROM footfall.open_session_pages"
    "   WHERE strpos(changes, '\"' || $1::text || '\"') > 0),"
    " change AS MATERIALIZED"
    " (SELECT place, number, change, change ->> 0 = $1 AS is_gone"
    "    FROM page CROSS JOIN LATERAL"
    "         json_array_elements(changes::json) WITH ORDINALITY AS each (change, number)),"
    " rest AS MATERIALIZED"
    " (SELECT place,"
    "         '[' || string_agg(change::text, ',' ORDER BY number) FILTER (WHERE NOT is_gone) || ']' AS "
    "changes"
    "    FROM change GROUP BY place HAVING bool_or(is_gone)),"
    " emptied AS"
    " (DELETE FROM footfall.open_session_pages p USING rest"
    "   WHERE p.ctid = rest.place AND rest.changes IS NULL),"
    " thinned AS"
    " (UPDATE footfall.open_session_pages p SET changes = rest.changes FROM rest"
    "   WHERE p.ctid = rest.place AND rest.changes IS NOT NULL)"
    " SELECT footfall.time_of_ms((change ->> 2)::bigint), footfall.time_of_ms((change ->> 3)::bigint)"
    "   FROM change WHERE is_gone";

/* Each answers with the times of the hits that it speaks of. */
static const struct {
    enum erase_place place;
    const char *what;
    const char *sql;
} of_sessions[] = {
    {ERASE_OPEN, "cannot change footfall.open_session_pages", open_sql},
    {ERASE_STRAYS, "cannot delete from footfall.strays",
     "DELETE FROM footfall.strays WHERE ip = $1 RETURNING start_hit, last_hit"},
    {ERASE_SESSIONS, "cannot delete from session_events_aggregated_ip",
     "DELETE FROM session_events_aggregated_ip WHERE ip = $1 RETURNING start_session, last_hit"},
};

static enum status remove_sessions(struct erase *erase)
{
    for (size_t i = 0; i < sizeof of_sessions / sizeof of_sessions[0]; i++) {
        const struct connection_question question = {.what = of_sessions[i].what,
                                                     .sql = of_sessions[i].sql,
                                                     .values = {erase->traces.ip_text},
                                                     .value_count = 1};
        PGresult *gone;
        enum status status = ask(erase, &question, &gone);
        if (status != STATUS_OK)
            return status;
        erase->report->removed[of_sessions[i].place] = PQntuples(gone);
        traces_note(&erase->traces, gone);
        PQclear(gone);
    }
    return STATUS_OK;
}

/* What they are counted as in the rollups is taken back. */
static enum status remove_hits(struct erase *erase)
{
    const struct connection_question question = {
        .what = "cannot delete from processed_events",
        .sql =
            "WITH gone AS"
            " (DELETE FROM processed_events p USING unnest($2::tsmultirange) AS span"
            "   WHERE p.ip = $1 AND p.event_timestamp >= lower(span) AND p.event_timestamp <= upper(span)"
            "  RETURNING p.event_timestamp, p.host, p.url, p.referrer, p.country, p.state, p.city, p.source,"
            "            p.flags),"
            " sums AS"
            " (INSERT INTO footfall.rollup_sums"
            "         (kind, at, host, name, country, state, city, bot, source, counted, hits)"
            "  SELECT kind, at, host, name, part.country, part.state, part.city, bot, source,"
            "         footfall.is_counted(flags), -count(*)"
            "    FROM gone CROSS JOIN LATERAL (VALUES"
            "         ('traffic', date_trunc('hour', event_timestamp), NULL,"
            "          country, state, city, footfall.is_bot(flags)),"
            "         ('page', date_trunc('day', event_timestamp), footfall.page_of(url),"
            "          NULL, NULL, NULL, NULL),"
            "         ('referrer', date_trunc('day', event_timestamp), footfall.host_of(referrer),"
            "          NULL, NULL, NULL, NULL)) AS part (kind, at, name, country, state, city, bot)"
            "   GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"
            " SELECT count(*) FROM gone",
        .values = {erase->traces.ip_text, traces_spans(&erase->traces)},
        .value_count = 2};
    return count(erase, &question, &erase->report->removed[ERASE_HITS]);
}

/* By their places in the log: somebody else may have deleted some of them. */
static enum status remove_rejects(struct erase *erase)
{
    enum status status = traces_look_again(&erase->traces);
    if (status != STATUS_OK)
        return status;
    const struct connection_question question = {
        .what = "cannot delete from rejected_hits",
        .sql = "WITH gone AS"
               " (DELETE FROM rejected_hits r USING json_array_elements($1::json) AS named"
               "   WHERE r.topic = named ->> 0 AND r.kafka_partition = (named ->> 1)::int4"
               "     AND r.kafka_offset = (named ->> 2)::int8 AND r.rejected_at = (named ->> 3)::timestamp"
               "  RETURNING 1)"
               " SELECT count(*) FROM gone",
        .values = {traces_named(&erase->traces)},
        .value_count = 1};
    return count(erase, &question, &erase->report->removed[ERASE_REJECTS]);
}

/* Of IPv6 the row of its network, whatever ip2location.ipv6_prefix is or was: 32 at least. */
static enum status remove_locations(struct erase *erase)
{
    const struct connection_question question = {
        .what = "cannot delete from footfall.ip_locations",
        .sql = "WITH gone AS"
               " (DELETE FROM footfall.ip_locations"
               "   WHERE ip = ANY (ARRAY("
               "         SELECT host(network(set_masklen($1::text::inet, bits)))"
               "           FROM generate_series(32, CASE family($1::text::inet) WHEN 4 THEN 32 ELSE 128 END)"
               "             AS bits))"
               "  RETURNING 1)"
               " SELECT count(*) FROM gone",
        .values = {erase->traces.ip_text},
        .value_count = 1};
    return count(erase, &question, &erase->report->removed[ERASE_LOCATIONS]);
}

static enum status remove_all(struct erase *erase)
{
    enum status status = remove_sessions(erase);
    if (status == STATUS_OK)
        status = remove_hits(erase);
    if (status == STATUS_OK)
        status = remove_rejects(erase);
    return status == STATUS_OK ? remove_locations(erase) : status;
}

/* ---- The transaction ---- */

static enum status commit(struct erase *erase)
{
    FAILPOINT("before_erase_commit");
    enum status status =
        command(erase, "no good answer to COMMIT, so run it again: it says what is left", "COMMIT");
    FAILPOINT("after_erase_commit");
    return status;
}

static enum status finish(struct erase *erase)
{
    for (size_t i = 0; i < ERASE_PLACES; i++)
        erase->report->total += erase->report->removed[i];
    if (erase->report->total == 0)
        return command(erase, "cannot end the transaction", "ROLLBACK");
    enum status status = take_partitions(erase);
    return status == STATUS_OK ? commit(erase) : status;
}

/* Now that others wait: hits by the index of their times, a look-up a span, not by a scan of all days. */
static enum status begin(struct erase *erase)
{
    return command(erase, "cannot begin",
                   "BEGIN; SET LOCAL synchronous_commit = on;"
                   " SET LOCAL enable_seqscan = off; SET LOCAL enable_material = off");
}

static enum status try_once(struct erase *erase)
{
    *erase->report = (struct erase_report){.total = 0};
    enum status status = begin(erase);
    if (status == STATUS_OK)
        status = lock_partitions(erase);
    FAILPOINT("erase_locked");
    if (status == STATUS_OK)
        status = remove_all(erase);
    return status == STATUS_OK ? finish(erase) : status;
}

/* Somebody else was at the same rows, or holds a partition just now. */
static enum status try_often(struct erase *erase)
{
    enum status status = try_once(erase);
    for (int attempt = 1; attempt < MAX_ATTEMPTS && status == STATUS_AGAIN; attempt++) {
        status = command(erase, "cannot begin anew", "ROLLBACK");
        if (status == STATUS_OK)
            status = try_once(erase);
    }
    return status;
}

/* What the address alone has brought into the rollups, such as the name of a page, goes from them at once. When
 * somebody else folds, or this fails, it is for the next fold of an aggregator. */
static void fold(struct erase *erase)
{
    static const int64_t most = 100000;
    const struct connection_question question = {.what = "cannot fold",
                                                 .sql = "SELECT coalesce(footfall.fold_rollups(100000), 0)"};
    int64_t folded = most;
    while (folded == most)
        if (count(erase, &question, &folded) != STATUS_OK)
            return;
}

enum status erase_run(const char *conninfo, ip_address ip, struct erase_report *report, struct why *why)
{
    struct erase erase = {.report = report, .why = why};
    enum status status = connection_open(conninfo, &erase.conn, why);
    if (status != STATUS_OK)
        return status;
    traces_init(&erase.traces, erase.conn, ip, why);
    status = prepare(&erase);
    if (status == STATUS_OK)
        status = traces_look(&erase.traces);
    if (status == STATUS_OK)
        status = try_often(&erase);
    if (status == STATUS_OK)
        fold(&erase); /* also what an earlier run left, that was interrupted behind its COMMIT */
    traces_fini(&erase.traces);
    PQfinish(erase.conn); /* what is not committed is rolled back */
    return status;
}
