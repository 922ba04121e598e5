/* SPDX-License-Identifier: Apache-2.0
 * taking: see the header. */
#include "aggregator/taking.h"

#include "aggregator/result.h"
#include "aggregator/row.h"

bool taking_ask_strays(const struct fence_claims *held, struct arrays *arrays,
                       struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4};
    size_t count = 0;
    arrays_begin(arrays, types, 1);
    for (size_t i = 0; i < held->count; i++) {
        if (!held->claims[i]->has_strays)
            continue;
        row_add_int32(&arrays->columns[0], held->claims[i]->partition);
        count++;
    }
    if (count == 0)
        return false;
    /* Only the home's owner deletes strays and nobody updates them, so a ctid stays what it was. LATERAL and
     * LIMIT keep it to one look-up a home. */
    *statement = (struct database_statement){
        .sql = "DELETE FROM footfall.strays"
               " WHERE ctid = ANY (ARRAY ("
               "    SELECT waiting.ctid FROM unnest($2::int4[]) AS held (home),"
               "           LATERAL (SELECT ctid FROM footfall.strays s"
               "                     WHERE s.topic = $1 AND s.home = held.home LIMIT 5000) AS waiting"
               "     LIMIT 5000))" /* TAKING_MAX_STRAYS */
               " RETURNING home, ip, host, start_hit, last_hit, events, bot_events, entry_url, referrer, "
               "country,"
               "           state, city, exit_url"};
    database_statement_add_text(statement, held->topic);
    arrays_bind(arrays, count, statement);
    return true;
}

enum status taking_read_strays(const struct fence_claims *held, const struct pg_result *result,
                               struct merge *merge)
{
    int count = result_count(result);
    for (int row = 0; row < count; row++) {
        struct session stray;
        enum status status = result_session(result, row, 1, &stray);
        if (status != STATUS_OK)
            return status;
        merge_take_stray(merge, result_int32(result, row, 0), &stray);
    }
    for (size_t i = 0; i < held->count && count < TAKING_MAX_STRAYS; i++)
        held->claims[i]->has_strays = false;
    return STATUS_OK;
}

static void add_lookup(const struct merge_lookup *lookup, struct arrays *arrays)
{
    char ip[IP_TEXT_MAX];
    row_add_int32(&arrays->columns[0], lookup->partition);
    row_add_text(&arrays->columns[1], (slice){ip, ip_write(lookup->ip, ip)});
    row_add_text(&arrays->columns[2], lookup->host);
    row_add_timestamp(&arrays->columns[3], lookup->from);
    row_add_timestamp(&arrays->columns[4], lookup->to);
}

bool taking_ask_stored(const struct merge *merge, struct arrays *arrays, struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT4, ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_TIMESTAMP,
                                             ARRAYS_TIMESTAMP};
    size_t count = 0;
    size_t cursor = 0;
    struct merge_lookup lookup;
    arrays_begin(arrays, types, 5);
    while (merge_next_lookup(merge, &cursor, &lookup)) {
        add_lookup(&lookup, arrays);
        count++;
    }
    if (count == 0)
        return false;
    /* The rows of a visitor do not overlap: of those that start before the part, only the last can reach it.
     * Nobody walks over all that a visitor has ever stored. */
    *statement = (struct database_statement){
        .sql = "DELETE FROM session_events_aggregated_ip s"
               " USING unnest($1::int4[], $2::text[], $3::text[], $4::timestamp[], $5::timestamp[])"
               "       AS part (partition, ip, host, from_time, to_time)"
               " WHERE s.host = part.host AND s.ip = part.ip"
               "   AND s.start_session <= part.to_time AND s.end_session >= part.from_time"
               "   AND s.start_session >= coalesce("
               "       (SELECT b.start_session FROM session_events_aggregated_ip b"
               "         WHERE b.host = part.host AND b.ip = part.ip AND b.start_session <= part.from_time"
               "         ORDER BY b.start_session DESC LIMIT 1), part.from_time)"
               " RETURNING part.partition, s.ip, s.host, s.start_session, s.last_hit, s.web_events, "
               "s.bot_events,"
               "           s.entry_url, s.referrer, s.country, s.state, s.city, s.exit_url"};
    arrays_bind(arrays, count, statement);
    return true;
}

enum status taking_read_stored(const struct pg_result *result, struct merge *merge)
{
    for (int row = 0; row < result_count(result); row++) {
        struct session stored;
        enum status status = result_session(result, row, 1, &stored);
        if (status != STATUS_OK)
            return status;
        merge_take_stored(merge, result_int32(result, row, 0), &stored);
    }
    return STATUS_OK;
}
