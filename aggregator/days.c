/* SPDX-License-Identifier: Apache-2.0
 * days: see the header. */
#include "aggregator/days.h"

#include "aggregator/result.h"
#include "aggregator/row.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };
enum { POSTGRES_EPOCH_DAY = 10957 }; /* 2000-01-01, in days since 1970-01-01 */

void days_init(struct days *days)
{
    *days = (struct days){
        .known = known_new(DAYS_MAX_KNOWN), .doubtful = known_new(DAYS_MAX_KNOWN), .first_sure = INT32_MIN};
}

void days_fini(struct days *days)
{
    known_free(&days->known);
    known_free(&days->doubtful);
}

void days_begin(struct days *days, const struct batch *batch, wall_ms now, int64_t kept_days)
{
    days->first_sure = (int32_t)(now.ms / DAY_MS - kept_days + 1); /* other clocks may be ahead of ours */
    for (size_t i = 0; i < batch->day_count; i++) {
        if (batch->days[i] < days->first_sure) {
            known_clear(days->doubtful);
            return;
        }
    }
}

static struct known *set_of(const struct days *days, int32_t day)
{
    return day < days->first_sure ? days->doubtful : days->known;
}

static void ask(struct days *days, int32_t day)
{
    if (days->asked_count < DAYS_MAX_MADE && !known_has(set_of(days, day), day))
        days->asked[days->asked_count++] = day;
}

/* The asked ones are the parameter of this SQL; false: there are none. */
static bool bind(const struct days *days, const char *sql, struct arrays *arrays,
                 struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_DATE};
    if (days->asked_count == 0)
        return false;
    arrays_begin(arrays, types, 1);
    for (size_t i = 0; i < days->asked_count; i++)
        row_add_int32(&arrays->columns[0], days->asked[i] - POSTGRES_EPOCH_DAY);
    *statement = (struct database_statement){.sql = sql};
    arrays_bind(arrays, days->asked_count, statement);
    return true;
}

bool days_ask(struct days *days, const struct batch *batch, struct arrays *arrays,
              struct database_statement *statement)
{
    static const char make[] = "SELECT footfall.make_day(day) FROM unnest($1::date[]) AS day ORDER BY day";
    days->asked_count = 0;
    for (size_t i = 0; i < batch->day_count; i++)
        ask(days, batch->days[i]);
    return bind(days, make, arrays, statement);
}

bool days_ask_ahead(struct days *days, wall_ms now, struct arrays *arrays,
                    struct database_statement *statement)
{
    static const char make[] = "SELECT day - date '1970-01-01' FROM unnest($1::date[]) AS day"
                               " WHERE footfall.make_day_ahead(day)";
    int32_t today = (int32_t)(now.ms / DAY_MS);
    days->asked_count = 0;
    for (int32_t ahead = 0; ahead <= DAYS_AHEAD; ahead++)
        ask(days, today + ahead);
    return bind(days, make, arrays, statement);
}

void days_note_made(struct days *days)
{
    for (size_t i = 0; i < days->asked_count; i++)
        known_add(set_of(days, days->asked[i]), days->asked[i]);
}

void days_note_made_ahead(struct days *days, const struct pg_result *result)
{
    for (int row = 0; row < result_count(result); row++)
        known_add(days->known, result_int32(result, row, 0));
}

void days_forget(struct days *days)
{
    known_clear(days->known);
    known_clear(days->doubtful);
}
