/* SPDX-License-Identifier: Apache-2.0
 * traces: see the header. */
#include "aggregator/traces.h"

#include <libpq-fe.h>
#include <stdio.h>

#include "aggregator/connection.h"
#include "aggregator/mention.h"

enum { PROGRESS_EVERY_MS = 5000, REJECTS_A_PAGE = 200 /* as in fetch_rejects */ };

void traces_init(struct traces *traces, PGconn *conn, ip_address ip, struct why *why)
{
    *traces = (struct traces){.conn = conn, .ip = ip, .why = why, .told_at = mono_now()};
    traces->ip_text[ip_write(ip, traces->ip_text)] = '\0';
    buf_init_growing(&traces->spans, 4096, TRACES_MAX_SPANS_BYTES);
    buf_init_growing(&traces->named, 4096, TRACES_MAX_NAMED_BYTES);
    buf_add_char(&traces->spans, '{');
    buf_add_char(&traces->named, '[');
}

void traces_fini(struct traces *traces)
{
    buf_fini(&traces->spans);
    buf_fini(&traces->named);
}

static enum status ask(struct traces *traces, const struct connection_question *question, PGresult **result)
{
    return connection_ask(traces->conn, question, result, traces->why);
}

static enum status command(struct traces *traces, const char *sql)
{
    return ask(traces, &(struct connection_question){.what = "cannot look through the tables", .sql = sql},
               NULL);
}

/* ---- Texts ---- */

static const char *separator(const struct buf *list)
{
    return list->len > 1 ? "," : "";
}

static void add_span(struct traces *traces, const char *from, const char *to)
{
    buf_add_format(&traces->spans, "%s[\"%s\",\"%s\"]", separator(&traces->spans), from, to);
}

void traces_note(struct traces *traces, const PGresult *times)
{
    for (int row = 0; row < PQntuples(times); row++)
        add_span(traces, PQgetvalue(times, row, 0), PQgetvalue(times, row, 1));
}

static bool is_full(const struct buf *list)
{
    enum { END_BYTES = 2 };
    return list->overflowed || list->max - list->len < END_BYTES;
}

/* The end of the text is taken back: more may be added later. */
static const char *ended(struct buf *list, const char end[2])
{
    buf_add_bytes(list, end, 2);
    MUST(!list->overflowed);
    list->len -= 2;
    return list->data;
}

const char *traces_spans(struct traces *traces)
{
    if (is_full(&traces->spans)) {
        buf_clear(&traces->spans);
        buf_add_char(&traces->spans, '{');
        add_span(traces, "-infinity", "infinity");
    }
    return ended(&traces->spans, "}");
}

const char *traces_named(struct traces *traces)
{
    return ended(&traces->named, "]");
}

/* ---- Hits ---- */

static void tell_progress(struct traces *traces, int done, int of)
{
    mono_ms now = mono_now();
    if (now.ms - traces->told_at.ms < PROGRESS_EVERY_MS)
        return;
    traces->told_at = now;
    fprintf(stderr,
            "footfall-aggregator: looked through %d of %d days of processed_events; nobody waits for this\n",
            done, of);
}

/* Hits that are near to each other are one span. */
static enum status look_through_day(struct traces *traces, const char *from, const char *before)
{
    const struct connection_question question = {
        .what = "cannot look through processed_events",
        .sql =
            "SELECT min(at), max(at)"
            "  FROM (SELECT at, sum(begins) OVER (ORDER BY at) AS island"
            "          FROM (SELECT event_timestamp AS at,"
            "                       (event_timestamp - lag(event_timestamp) OVER (ORDER BY event_timestamp)"
            "                        > interval '5 min')::int AS begins"
            "                  FROM processed_events"
            "                 WHERE ip = $1 AND event_timestamp >= $2::timestamp"
            "                   AND event_timestamp < $3::timestamp) AS hit) AS numbered"
            " GROUP BY coalesce(island, 0)",
        .values = {traces->ip_text, from, before},
        .value_count = 3};
    PGresult *found;
    enum status status = ask(traces, &question, &found);
    if (status != STATUS_OK)
        return status;
    traces_note(traces, found);
    PQclear(found);
    return STATUS_OK;
}

/* A partition without such bounds is none of ours, and is looked through all the same. */
static enum status look_for_hits(struct traces *traces)
{
    const struct connection_question question = {
        .what = "cannot list the days of processed_events",
        .sql = "SELECT coalesce(bounds[1], '-infinity'), coalesce(bounds[2], 'infinity')"
               "  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
               "  LEFT JOIN LATERAL"
               "       regexp_match(pg_get_expr(c.relpartbound, c.oid),"
               "                    'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)') AS bounds ON true"
               " WHERE inhparent = 'processed_events'::regclass ORDER BY 1"};
    PGresult *days;
    enum status status = ask(traces, &question, &days);
    if (status != STATUS_OK)
        return status;
    for (int day = 0; day < PQntuples(days) && status == STATUS_OK; day++) {
        tell_progress(traces, day, PQntuples(days));
        status = look_through_day(traces, PQgetvalue(days, day, 0), PQgetvalue(days, day, 1));
    }
    PQclear(days);
    return status;
}

/* ---- Rejects ---- */

static bool names_address(const struct traces *traces, const char *hex)
{
    size_t len = 0;
    unsigned char *raw = PQunescapeBytea((const unsigned char *)hex, &len);
    MUST(raw != NULL);
    bool names = mention_has((slice){(const char *)raw, len}, traces->ip);
    PQfreemem(raw);
    return names;
}

static void take_rejects(struct traces *traces, const PGresult *page)
{
    for (int row = 0; row < PQntuples(page); row++)
        if (names_address(traces, PQgetvalue(page, row, 1)))
            buf_add_format(&traces->named, "%s%s", separator(&traces->named), PQgetvalue(page, row, 0));
}

static enum status fetch_rejects(struct traces *traces)
{
    const struct connection_question fetch = {.what = "cannot look through rejected_hits",
                                              .sql = "FETCH 200 FROM rejects"};
    int page_rows = REJECTS_A_PAGE;
    while (page_rows == REJECTS_A_PAGE) {
        PGresult *page;
        enum status status = ask(traces, &fetch, &page);
        if (status != STATUS_OK)
            return status;
        take_rejects(traces, page);
        page_rows = PQntuples(page);
        PQclear(page);
    }
    return STATUS_OK;
}

/* In the transaction that is open. */
static enum status look_for_rejects(struct traces *traces, const char *since)
{
    const struct connection_question declare = {
        .what = "cannot look through rejected_hits",
        .sql = "DECLARE rejects NO SCROLL CURSOR FOR"
               " SELECT json_build_array(topic, kafka_partition, kafka_offset, rejected_at), raw"
               "   FROM rejected_hits WHERE rejected_at >= $1::timestamp AND raw IS NOT NULL",
        .values = {since},
        .value_count = 1};
    enum status status = ask(traces, &declare, NULL);
    if (status == STATUS_OK)
        status = fetch_rejects(traces);
    if (status == STATUS_OK && is_full(&traces->named))
        status = why_say(traces->why, STATUS_CONFLICT,
                         "more than half a million rows of rejected_hits name %s: delete some by hand",
                         traces->ip_text);
    return status == STATUS_OK ? command(traces, "CLOSE rejects") : status;
}

/* ---- Both ---- */

static enum status note_beginning(struct traces *traces)
{
    PGresult *result;
    enum status status =
        ask(traces,
            &(struct connection_question){
                .what = "cannot ask for the time",
                .sql = "SELECT (now() AT TIME ZONE 'UTC' - interval '1 hour')::timestamp(3)"},
            &result);
    if (status != STATUS_OK)
        return status;
    snprintf(traces->began, sizeof traces->began, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return STATUS_OK;
}

enum status traces_look(struct traces *traces)
{
    enum status status = note_beginning(traces);
    if (status == STATUS_OK)
        status = look_for_hits(traces);
    if (status == STATUS_OK)
        status = command(traces, "BEGIN READ ONLY");
    if (status == STATUS_OK)
        status = look_for_rejects(traces, "-infinity");
    return status == STATUS_OK ? command(traces, "COMMIT") : status;
}

enum status traces_look_again(struct traces *traces)
{
    return look_for_rejects(traces, traces->began);
}
