/* SPDX-License-Identifier: Apache-2.0
 * locations: see the header. */
#include "aggregator/locations.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/arrays.h"
#include "aggregator/result.h"
#include "aggregator/row.h"
#include "aggregator/steps.h"
#include "base/log.h"

#define DAY_MS INT64_C(86400000)

enum { INT64_TEXT_MAX = 21 };

struct locations {
    struct database *database;
    struct steps steps;
    struct arrays arrays;
    struct log log;

    /* The work under way. */
    const ip_address *ips;
    size_t count;
    locations_found_fn *on_found;
    char numbers[3][INT64_TEXT_MAX];
    struct budget_lease lease;
    bool is_spent; /* as of the last lease */
    locations_leased_fn *on_leased;
    locations_done_fn *on_done;
    void *context;

    void (*on_closed)(void *context);
    void *closed_context;
};

struct locations *locations_new(struct uv_loop_s *loop, const char *conninfo)
{
    struct locations *locations = must_calloc(1, sizeof *locations);
    locations->database = database_new(loop, conninfo);
    locations->log = log_new("locations");
    steps_init(&locations->steps, locations->database);
    arrays_init(&locations->arrays);
    return locations;
}

static void on_database_closed(void *context)
{
    struct locations *locations = context;
    void (*on_closed)(void *) = locations->on_closed;
    void *closed_context = locations->closed_context;
    arrays_fini(&locations->arrays);
    free(locations);
    if (on_closed != NULL)
        on_closed(closed_context);
}

void locations_close(struct locations **locations, void (*on_closed)(void *context), void *context)
{
    struct locations *closing = *locations;
    *locations = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    database_close(&closing->database, on_database_closed, closing);
}

bool locations_is_busy(const struct locations *locations)
{
    return steps_is_busy(&locations->steps);
}

/* ---- What all have in common ---- */

static enum step_move connect(void *job)
{
    struct locations *locations = job;
    return steps_connect(&locations->steps);
}

static bool is_done(const struct locations *locations, const struct store_result *result)
{
    if (result->outcome != STORE_DONE)
        log_warning(&locations->log, "postgres_retry", "%s", result->reason);
    return result->outcome == STORE_DONE;
}

static void finish(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct locations *locations = job;
    (void)failed;
    locations->on_done(locations->context, is_done(locations, result));
}

static void add_ip(struct buf *column, ip_address ip)
{
    char text[IP_TEXT_MAX];
    row_add_text(column, (slice){text, ip_write(ip, text)});
}

static void start(struct locations *locations, const struct step *list, locations_done_fn *on_done,
                  void *context)
{
    locations->on_done = on_done;
    locations->context = context;
    steps_start(&locations->steps, list, locations, finish);
}

/* ---- Loading ---- */

static enum step_move ask_locations(void *job)
{
    struct locations *locations = job;
    static const enum arrays_type types[] = {ARRAYS_TEXT};
    arrays_begin(&locations->arrays, types, 1);
    for (size_t i = 0; i < locations->count; i++)
        add_ip(&locations->arrays.columns[0], locations->ips[i]);
    struct database_statement statement = {
        .sql = "SELECT position::int4, country, state, city, latitude, longitude,"
               "       ceil(extract(epoch FROM expires_at - (now() AT TIME ZONE 'UTC')) * 1000)::int8"
               "  FROM unnest($1::text[]) WITH ORDINALITY AS asked (ip, position)"
               "  JOIN footfall.ip_locations known ON known.ip = asked.ip"
               " WHERE known.version = 1 AND known.expires_at > (now() AT TIME ZONE 'UTC')"};
    arrays_bind(&locations->arrays, locations->count, &statement);
    return steps_query(&locations->steps, &statement);
}

static struct location read_location(const struct locations *locations, const struct pg_result *result,
                                     int row)
{
    struct location location = {
        .ip = locations->ips[result_int32(result, row, 0) - 1],
        .is_known = !result_is_null(result, row, 1),
        .parts = {.country = result_text(result, row, 1),
                  .state = result_text(result, row, 2),
                  .city = result_text(result, row, 3)},
        .left_ms = result_int64(result, row, 6),
    };
    if (!result_is_null(result, row, 4) && !result_is_null(result, row, 5)) {
        location.parts.latitude = (double)result_real(result, row, 4);
        location.parts.longitude = (double)result_real(result, row, 5);
        location.parts.has_coordinates = place_is_on_globe(location.parts.latitude, location.parts.longitude);
    }
    return location;
}

static enum step_move take_locations(void *job, const struct database_reply *reply)
{
    struct locations *locations = job;
    for (int row = 0; row < result_count(reply->result); row++) {
        struct location location = read_location(locations, reply->result, row);
        locations->on_found(locations->context, &location);
    }
    return STEP_NEXT;
}

static const struct step load_steps[] = {
    {"locations_connect", connect, NULL},
    {"locations_load", ask_locations, take_locations},
    {NULL, NULL, NULL},
};

void locations_load(struct locations *locations, const ip_address *ips, size_t count,
                    locations_found_fn *on_found, locations_done_fn *on_loaded, void *context)
{
    MUST(count > 0 && count <= LOCATIONS_AT_ONCE);
    locations->ips = ips;
    locations->count = count;
    locations->on_found = on_found;
    start(locations, load_steps, on_loaded, context);
}

/* ---- Storing ---- */

static void add_coordinate(struct buf *column, bool is_there, double value)
{
    if (is_there)
        row_add_real(column, (float)value);
    else
        row_add_null(column);
}

static void add_row(struct buf *columns, const struct location *row)
{
    add_ip(&columns[0], row->ip);
    row_add_text_or_null(&columns[1], row->parts.country);
    row_add_text_or_null(&columns[2], row->parts.state);
    row_add_text_or_null(&columns[3], row->parts.city);
    add_coordinate(&columns[4], row->parts.has_coordinates, row->parts.latitude);
    add_coordinate(&columns[5], row->parts.has_coordinates, row->parts.longitude);
    row_add_int64(&columns[6], row->left_ms);
}

/* In one order everywhere: two programs that store the same addresses cannot deadlock. */
static enum step_move send_rows(void *job)
{
    struct locations *locations = job;
    struct database_statement statement = {
        .sql =
            "INSERT INTO footfall.ip_locations"
            "       (ip, country, state, city, latitude, longitude, source, version, expires_at)"
            " SELECT ip, country, state, city, latitude, longitude, 'ip2location', 1,"
            "        (now() AT TIME ZONE 'UTC') + left_ms * interval '1 ms'"
            "   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::real[], $6::real[], "
            "$7::int8[])"
            "     AS fresh (ip, country, state, city, latitude, longitude, left_ms)"
            "  ORDER BY ip"
            " ON CONFLICT (ip) DO UPDATE"
            "    SET country = excluded.country, state = excluded.state, city = excluded.city,"
            "        latitude = excluded.latitude, longitude = excluded.longitude, source = excluded.source,"
            "        version = excluded.version, located_at = excluded.located_at,"
            "        expires_at = excluded.expires_at"};
    arrays_bind(&locations->arrays, locations->count, &statement);
    return steps_query(&locations->steps, &statement);
}

static const struct step store_steps[] = {
    {"locations_connect", connect, NULL},
    {"locations_store", send_rows, NULL},
    {NULL, NULL, NULL},
};

void locations_store(struct locations *locations, const struct location *rows, size_t count,
                     locations_done_fn *on_stored, void *context)
{
    static const enum arrays_type types[] = {ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_TEXT,
                                             ARRAYS_REAL, ARRAYS_REAL, ARRAYS_INT8};
    MUST(count > 0 && count <= LOCATIONS_AT_ONCE);
    arrays_begin(&locations->arrays, types, sizeof types / sizeof types[0]);
    for (size_t i = 0; i < count; i++)
        add_row(locations->arrays.columns, &rows[i]);
    locations->count = count;
    start(locations, store_steps, on_stored, context);
}

/* ---- Leasing calls ---- */

/* A crash of the server must not give calls back that are being made, whatever the batches are allowed. */
static enum step_move ask_lease(void *job)
{
    struct locations *locations = job;
    struct database_statement statement = {.sql =
                                               "SELECT leased, extract(epoch FROM today)::int8, day_left_ms,"
                                               "       set_config('synchronous_commit', 'on', true)"
                                               "  FROM footfall.lease_calls($1::int8, $2::int8, $3::int8)"};
    for (size_t i = 0; i < 3; i++)
        database_statement_add_text(&statement, locations->numbers[i]);
    return steps_query(&locations->steps, &statement);
}

static enum step_move take_lease(void *job, const struct database_reply *reply)
{
    struct locations *locations = job;
    locations->lease.calls = result_int64(reply->result, 0, 0);
    locations->lease.day = (int32_t)(result_int64(reply->result, 0, 1) * 1000 / DAY_MS);
    locations->lease.day_left_ms = result_int64(reply->result, 0, 2);
    return STEP_NEXT;
}

static const struct step lease_steps[] = {
    {"locations_connect", connect, NULL},
    {"locations_lease", ask_lease, take_lease},
    {NULL, NULL, NULL},
};

static void note_spent(struct locations *locations, bool is_spent)
{
    if (is_spent && !locations->is_spent)
        log_warning(&locations->log, "budget_spent",
                    "the calls of ip2location.daily_budget (%s) or ip2location.monthly_budget (%s) are used "
                    "up, by all aggregators together: the files of geo.databases answer until the next day "
                    "or month (UTC), or until a larger budget is set",
                    locations->numbers[1], locations->numbers[2]);
    locations->is_spent = is_spent;
}

static void finish_lease(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct locations *locations = job;
    (void)failed;
    bool is_leased = is_done(locations, result);
    if (is_leased)
        note_spent(locations, locations->lease.calls == 0);
    locations->on_leased(locations->context, is_leased ? &locations->lease : NULL);
}

void locations_lease(struct locations *locations, int64_t wanted, int64_t daily, int64_t monthly,
                     locations_leased_fn *on_leased, void *context)
{
    const int64_t numbers[] = {wanted, daily, monthly};
    for (size_t i = 0; i < 3; i++)
        snprintf(locations->numbers[i], INT64_TEXT_MAX, "%lld", (long long)numbers[i]);
    locations->on_leased = on_leased;
    locations->context = context;
    steps_start(&locations->steps, lease_steps, locations, finish_lease);
}

/* ---- Expiring ---- */

static enum step_move expire(void *job)
{
    struct locations *locations = job;
    return steps_command(&locations->steps,
                         "DELETE FROM footfall.ip_locations WHERE ip IN"
                         " (SELECT ip FROM footfall.ip_locations"
                         "   WHERE expires_at <= (now() AT TIME ZONE 'UTC') ORDER BY expires_at LIMIT 1000"
                         "   FOR UPDATE SKIP LOCKED)");
}

static const struct step expire_steps[] = {
    {"locations_connect", connect, NULL},
    {"locations_expire", expire, NULL},
    {NULL, NULL, NULL},
};

void locations_expire(struct locations *locations, locations_done_fn *on_expired, void *context)
{
    start(locations, expire_steps, on_expired, context);
}
