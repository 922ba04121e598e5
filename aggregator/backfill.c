/* SPDX-License-Identifier: Apache-2.0
 * backfill: see the header.
 *
 *   each hour -> each chunk of its addresses -> find_places (loop runs until all are answered)
 *             -> repeatable read: those with an open session are left out, sessions, sums, hits, commit
 * All that a transaction sees of an address is one moment: its hits, and no open session that they could be part of. */
#include "aggregator/backfill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <uv.h>

#include "aggregator/arrays.h"
#include "aggregator/locating.h"
#include "aggregator/result.h"
#include "aggregator/row.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

enum { MAX_ATTEMPTS = 3 };

struct found {
    ip_address ip;
    bool is_open;
    struct place place;
    char texts[PLACE_MAX_TEXT_BYTES];
};

struct backfill {
    uv_loop_t loop;
    struct places *places;
    struct locator *locator;
    struct database *database;
    struct metrics metrics;
    const char *hindrance; /* why the service cannot be asked (any more); NULL: it can */

    wall_ms hour;
    char last_ip[IP_TEXT_MAX + 1]; /* of the chunk */
    size_t address_count;          /* of the chunk */
    ip_address addresses[BACKFILL_ADDRESSES];
    size_t found_count;
    struct found found[BACKFILL_ADDRESSES];
    struct arrays arrays;

    /* The reply that is waited for. */
    void (*take)(struct backfill *backfill, const struct pg_result *result);
    bool is_answered;
    enum database_outcome outcome;
    char sqlstate[6];
    char message[256];

    int64_t changed;                              /* of the statement */
    int64_t hit_count, session_count, left_count; /* of the run */
};

/* ---- Asking the database, one thing after the other ---- */

static void on_reply(void *context, const struct database_reply *reply)
{
    struct backfill *backfill = context;
    backfill->is_answered = true;
    backfill->outcome = reply->outcome;
    memcpy(backfill->sqlstate, reply->sqlstate, sizeof reply->sqlstate);
    snprintf(backfill->message, sizeof backfill->message, "%.*s", SLICE_ARGS(reply->message));
    if (reply->outcome != DATABASE_OK)
        return;
    backfill->changed = result_affected(reply->result);
    if (backfill->take != NULL)
        backfill->take(backfill, reply->result);
}

static bool wait_reply(struct backfill *backfill)
{
    backfill->is_answered = false;
    while (!backfill->is_answered)
        uv_run(&backfill->loop, UV_RUN_ONCE);
    return backfill->outcome == DATABASE_OK;
}

static bool ask(struct backfill *backfill, const struct database_statement *statement,
                void (*take)(struct backfill *backfill, const struct pg_result *result))
{
    backfill->take = take;
    database_query(backfill->database, statement, on_reply, backfill);
    return wait_reply(backfill);
}

static bool command(struct backfill *backfill, const char *sql)
{
    return ask(backfill, &(struct database_statement){.sql = sql}, NULL);
}

/* Statements of many rows: planned for these, not for look-ups by key. */
static bool open_database(struct backfill *backfill)
{
    backfill->take = NULL;
    database_open(backfill->database, on_reply, backfill);
    return wait_reply(backfill) && command(backfill, "SET enable_seqscan = on; SET enable_hashjoin = on");
}

/* ---- Which addresses ---- */

static void take_addresses(struct backfill *backfill, const struct pg_result *result)
{
    int count = result_count(result);
    backfill->address_count = 0;
    for (int row = 0; row < count; row++) {
        slice text = result_text(result, row, 0);
        if (row == count - 1)
            snprintf(backfill->last_ip, sizeof backfill->last_ip, "%.*s", SLICE_ARGS(text));
        ip_address *ip = &backfill->addresses[backfill->address_count];
        backfill->address_count += ip_read(text, ip) == STATUS_OK; /* else a person wrote it */
    }
    if (count == 0)
        backfill->last_ip[0] = '\0';
}

/* The next ones of the hour, in the order of their texts; last_ip is empty when there are no more. */
static bool ask_addresses(struct backfill *backfill)
{
    char hour[TIMESTAMP_TEXT_LEN + 1] = "", last[IP_TEXT_MAX + 1];
    timestamp_write(backfill->hour, hour);
    memcpy(last, backfill->last_ip, sizeof last);
    struct database_statement statement = {
        .sql =
            "SELECT DISTINCT ip FROM processed_events"
            " WHERE event_timestamp >= $1::timestamp AND event_timestamp < $1::timestamp + interval '1 hour'"
            "   AND geo_source IN ('mmdb', 'none') AND ip > $2 ORDER BY ip LIMIT 64"};
    database_statement_add_text(&statement, hour);
    database_statement_add_text(&statement, last);
    return ask(backfill, &statement, take_addresses);
}

/* ---- Where they are ---- */

static void on_change(void *context)
{
    (void)context; /* find_places looks after every turn of the loop */
}

static void on_settled(void *context, ip_address asked, const char *why)
{
    struct backfill *backfill = context;
    (void)asked;
    if (backfill->metrics.values[METRICS_IP2LOCATION_UNASKED] > 0 && backfill->hindrance == NULL)
        backfill->hindrance = why; /* this is the first address that could not be asked of */
}

static bool awaits_any(struct backfill *backfill)
{
    for (size_t i = 0; i < backfill->address_count; i++)
        if (places_awaits(backfill->places, backfill->addresses[i]))
            return true;
    return false;
}

static void keep_found(struct backfill *backfill, ip_address ip, const struct place *place)
{
    struct found *found = &backfill->found[backfill->found_count++];
    MUST(place_text_bytes(place) <= sizeof found->texts);
    found->ip = ip;
    found->is_open = false;
    found->place = place_copy(place, found->texts);
}

static void find_places(struct backfill *backfill)
{
    for (size_t i = 0; i < backfill->address_count; i++)
        (void)places_find(backfill->places, backfill->addresses[i]);
    locator_turn(backfill->locator);
    while (awaits_any(backfill))
        uv_run(&backfill->loop, UV_RUN_ONCE);
    backfill->found_count = 0;
    for (size_t i = 0; i < backfill->address_count; i++) {
        const struct place *place = places_settle(backfill->places, backfill->addresses[i]);
        if (place->source == GEO_API)
            keep_found(backfill, backfill->addresses[i], place);
    }
}

/* ---- Changing rows ---- */

static void add_ip(struct buf *column, ip_address ip)
{
    char text[IP_TEXT_MAX];
    row_add_text(column, (slice){text, ip_write(ip, text)});
}

static void add_coordinate(struct buf *column, const struct place *place, float value)
{
    if (place->has_coordinates)
        row_add_real(column, value);
    else
        row_add_null(column);
}

static void add_found(struct buf *columns, const struct found *found)
{
    const struct place *place = &found->place;
    add_ip(&columns[0], found->ip);
    row_add_text_or_null(&columns[1], place->country);
    row_add_text_or_null(&columns[2], place->state);
    row_add_text_or_null(&columns[3], place->city);
    add_coordinate(&columns[4], place, place->latitude);
    add_coordinate(&columns[5], place, place->longitude);
    row_add_text(&columns[6], place->geodata);
}

/* Those that are not open, as a statement sees them after bind_found. */
#define FOUND                                                                                                \
    "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::real[], $6::real[], $7::text[])"             \
    " AS found (ip, country, state, city, latitude, longitude, geodata)"

static void bind_found(struct backfill *backfill, struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_TEXT, ARRAYS_TEXT,
                                             ARRAYS_REAL, ARRAYS_REAL, ARRAYS_TEXT};
    size_t count = 0;
    arrays_begin(&backfill->arrays, types, sizeof types / sizeof types[0]);
    for (size_t i = 0; i < backfill->found_count; i++)
        if (!backfill->found[i].is_open) {
            add_found(backfill->arrays.columns, &backfill->found[i]);
            count++;
        }
    arrays_bind(&backfill->arrays, count, statement);
}

static void take_open(struct backfill *backfill, const struct pg_result *result)
{
    for (int row = 0; row < result_count(result); row++) {
        ip_address ip;
        if (ip_read(result_text(result, row, 0), &ip) != STATUS_OK)
            continue;
        for (size_t i = 0; i < backfill->found_count; i++)
            backfill->found[i].is_open |= ip_equals(backfill->found[i].ip, ip);
    }
}

static bool leave_out_open(struct backfill *backfill)
{
    struct database_statement statement = {
        .sql = "SELECT found.ip FROM " FOUND " JOIN footfall.open_sessions open ON open.ip = found.ip"
               " UNION SELECT found.ip FROM " FOUND " JOIN footfall.strays stray ON stray.ip = found.ip"};
    bind_found(backfill, &statement);
    return ask(backfill, &statement, take_open);
}

/* $8 is the hour. */
static bool change(struct backfill *backfill, const char *sql, const char *hour)
{
    struct database_statement statement = {.sql = sql};
    bind_found(backfill, &statement);
    database_statement_add_text(&statement, hour);
    return ask(backfill, &statement, NULL);
}

/* Those whose first hit change_hits is about to change: the place of a session is that of its first hit. */
static bool change_sessions(struct backfill *backfill, const char *hour)
{
    return change(
        backfill,
        "UPDATE session_events_aggregated_ip s"
        "   SET country = found.country, state = found.state, city = found.city"
        "  FROM " FOUND " WHERE s.ip = found.ip"
        "   AND s.start_session >= $8::timestamp AND s.start_session < $8::timestamp + interval '1 hour'"
        "   AND EXISTS (SELECT FROM processed_events p"
        "                WHERE p.ip = s.ip AND p.host = s.host AND p.event_timestamp = s.start_session"
        "                  AND p.url = s.entry_url AND p.referrer = coalesce(s.referrer, '')"
        "                  AND p.geo_source IN ('mmdb', 'none')"
        "                  AND p.event_timestamp >= $8::timestamp"
        "                  AND p.event_timestamp < $8::timestamp + interval '1 hour')",
        hour);
}

/* What change_hits is about to take from one place and give to another, for the view traffic_by_hour: this transaction
 * sees the same hits in both, or fails. */
static bool move_sums(struct backfill *backfill, const char *hour)
{
    return change(
        backfill,
        "INSERT INTO footfall.rollup_sums (kind, at, host, country, state, city, bot, source, counted, hits)"
        " SELECT 'traffic', date_trunc('hour', p.event_timestamp), p.host, moved.country, moved.state,"
        "        moved.city, footfall.is_bot(p.flags), p.source, footfall.is_counted(p.flags),"
        "        sum(moved.hits)"
        "   FROM processed_events p JOIN " FOUND " ON found.ip = p.ip"
        "  CROSS JOIN LATERAL (VALUES (p.country, p.state, p.city, -1),"
        "                             (found.country, found.state, found.city, 1))"
        "          AS moved (country, state, city, hits)"
        "  WHERE p.geo_source IN ('mmdb', 'none')"
        "    AND p.event_timestamp >= $8::timestamp AND p.event_timestamp < $8::timestamp + interval '1 hour'"
        "  GROUP BY 2, 3, 4, 5, 6, 7, 8, 9 HAVING sum(moved.hits) <> 0",
        hour);
}

static bool change_hits(struct backfill *backfill, const char *hour)
{
    return change(
        backfill,
        "UPDATE processed_events p"
        "   SET country = found.country, state = found.state, city = found.city, geo_source = 'api',"
        "       latitude = found.latitude, longitude = found.longitude, geodata = found.geodata"
        "  FROM " FOUND " WHERE p.ip = found.ip AND p.geo_source IN ('mmdb', 'none')"
        "   AND p.event_timestamp >= $8::timestamp AND p.event_timestamp < $8::timestamp + interval '1 hour'",
        hour);
}

static bool change_rows(struct backfill *backfill)
{
    char hour[TIMESTAMP_TEXT_LEN + 1] = "";
    timestamp_write(backfill->hour, hour);
    if (!command(backfill, "BEGIN ISOLATION LEVEL REPEATABLE READ") || !leave_out_open(backfill) ||
        !change_sessions(backfill, hour))
        return false;
    int64_t session_count = backfill->changed;
    if (!move_sums(backfill, hour) || !change_hits(backfill, hour))
        return false;
    int64_t hit_count = backfill->changed;
    if (!command(backfill, "COMMIT"))
        return false;
    backfill->session_count += session_count;
    backfill->hit_count += hit_count;
    for (size_t i = 0; i < backfill->found_count; i++)
        backfill->left_count += backfill->found[i].is_open;
    return true;
}

/* Class 40: an aggregator changed a session at the same moment. False: the database does not do it. */
static bool change_chunk(struct backfill *backfill)
{
    if (backfill->found_count == 0)
        return true;
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        if (change_rows(backfill))
            return true;
        if (backfill->outcome != DATABASE_ERROR || strncmp(backfill->sqlstate, "40", 2) != 0)
            return false;
        if (!command(backfill, "ROLLBACK"))
            return false;
    }
    backfill->left_count += (int64_t)backfill->found_count;
    return true;
}

/* ---- The walk ---- */

static bool walk_hour(struct backfill *backfill)
{
    backfill->last_ip[0] = '\0';
    do {
        if (!ask_addresses(backfill))
            return false;
        find_places(backfill);
        if (!change_chunk(backfill))
            return false;
    } while (backfill->last_ip[0] != '\0' && backfill->hindrance == NULL);
    return true;
}

static void print_progress(const struct backfill *backfill, const char *what)
{
    char hour[TIMESTAMP_TEXT_LEN];
    timestamp_write(backfill->hour, hour);
    printf("%.13s:00 %s: %lld hits and %lld sessions changed, %lld addresses left for the next run\n", hour,
           what, (long long)backfill->hit_count, (long long)backfill->session_count,
           (long long)backfill->left_count);
    fflush(stdout);
}

static int walk(struct backfill *backfill, wall_ms from, wall_ms to)
{
    for (backfill->hour.ms = from.ms - from.ms % HOUR_MS; backfill->hour.ms <= to.ms;
         backfill->hour.ms += HOUR_MS) {
        if (!walk_hour(backfill)) {
            print_progress(backfill, "stopped");
            fprintf(stderr, "footfall-aggregator: Postgres: %s\n", backfill->message);
            return EX_UNAVAILABLE;
        }
        if (backfill->hindrance != NULL) {
            print_progress(backfill, "stopped, go on here");
            fprintf(stderr, "footfall-aggregator: %s\n", backfill->hindrance);
            return EX_TEMPFAIL;
        }
        if (backfill->hour.ms % DAY_MS == 0)
            print_progress(backfill, "reached");
    }
    backfill->hour = to;
    print_progress(backfill, "done");
    return 0;
}

/* ---- Life ---- */

static void start_parts(struct backfill *backfill, const struct configuration *configuration,
                        const struct ip2location_key *key)
{
    struct locator_options options = locating_options(configuration, key);
    bool has_owner = configuration->postgres_owner_conninfo[0] != '\0'; /* writers may not change hits */
    options.places = backfill->places;
    options.metrics = &backfill->metrics;
    options.on_change = on_change;
    options.on_settled = on_settled;
    options.context = backfill;
    backfill->locator = locator_new(&backfill->loop, &options);
    locator_set_key(backfill->locator, key);
    arrays_init(&backfill->arrays);
    backfill->database = database_new(&backfill->loop, has_owner ? configuration->postgres_owner_conninfo
                                                                 : configuration->postgres_conninfo);
}

static void on_closed(void *context)
{
    (void)context; /* the loop ends by itself */
}

static void stop_parts(struct backfill *backfill)
{
    while (!locator_is_idle(backfill->locator))
        uv_run(&backfill->loop, UV_RUN_ONCE);
    locator_close(&backfill->locator, on_closed, NULL);
    database_close(&backfill->database, NULL, NULL);
    uv_run(&backfill->loop, UV_RUN_DEFAULT);
    arrays_fini(&backfill->arrays);
}

/* A date is a time without its second half. */
static bool read_since(const char *text, wall_ms *since)
{
    char whole[64];
    int64_t now_ms = wall_now().ms;
    *since = (wall_ms){now_ms - BACKFILL_DEFAULT_DAYS * DAY_MS};
    snprintf(whole, sizeof whole, "%.40sT00:00:00Z", text);
    return text[0] == '\0' || ((timestamp_read(slice_of(text), since) == STATUS_OK ||
                                timestamp_read(slice_of(whole), since) == STATUS_OK) &&
                               since->ms >= now_ms - BACKFILL_MAX_DAYS * DAY_MS);
}

static int complain(const char *reason, int exit_code)
{
    fprintf(stderr, "footfall-aggregator: %s\n", reason);
    return exit_code;
}

static int run(struct backfill *backfill, const struct configuration *configuration,
               const struct ip2location_key *key, wall_ms since)
{
    MUST(uv_loop_init(&backfill->loop) == 0);
    start_parts(backfill, configuration, key);
    int exit_code = open_database(backfill) ? walk(backfill, since, wall_now())
                                            : complain(backfill->message, EX_UNAVAILABLE);
    stop_parts(backfill);
    MUST(uv_loop_close(&backfill->loop) == 0);
    return exit_code;
}

int backfill_run(const struct configuration *configuration, const char *since_text)
{
    struct ip2location_key key;
    struct why why;
    wall_ms since;
    if (!read_since(since_text, &since))
        return complain("--since needs a date, or a time such as 2025-02-02T04:00:00Z, at most ten years ago",
                        EX_USAGE);
    if (locating_read_key(configuration, &key, &why) != STATUS_OK)
        return complain(why.text, EX_CONFIG);
    if (!locating_is_on(configuration, &key))
        return complain("ip2location.io is not asked: there is no key, or ip2location.enabled = false",
                        EX_CONFIG);
    struct backfill *backfill = must_calloc(1, sizeof *backfill);
    backfill->places = places_open("", &why); /* the files have said what they know */
    MUST(backfill->places != NULL);
    int exit_code = run(backfill, configuration, &key, since);
    places_close(&backfill->places);
    free(backfill);
    return exit_code;
}
