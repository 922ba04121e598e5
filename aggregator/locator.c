/* SPDX-License-Identifier: Apache-2.0
 * locator: see the header. Every address that was taken from places ends in settle(), with an answer or with
 * nothing. */
#include "aggregator/locator.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/backoff.h"
#include "aggregator/caution.h"
#include "aggregator/fetcher.h"
#include "aggregator/locations.h"

enum {
    REST_MS = 30 * 1000, /* an address that could not be asked of is left alone for so long */
    EXPIRE_EVERY_MS = 60 * 60 * 1000,
    FIRST_EXPIRY_MS = 60 * 1000,
    DATABASE_MIN_MS = 250,
    DATABASE_MAX_MS = 30 * 1000,
    MAX_STORING = LOCATOR_MAX_BULK_QUEUED,
};

struct question { /* in flight */
    struct locator *locator;
    size_t count; /* of addresses; 0: free */
    ip_address ips[IP2LOCATION_MAX_AT_ONCE];
};

struct stored { /* to be */
    ip_address ip;
    wall_ms until;
};

struct locator {
    struct locator_options options;
    struct ip2location_key key;
    struct place_cache *cache;
    struct fetcher *fetcher;
    struct locations *locations;
    struct budget budget;
    struct caution caution;
    struct backoff backoff; /* of the database */
    mono_ms database_at;
    mono_ms expires_at;

    size_t loading_count; /* addresses that the table is asked for now */
    ip_address loading[LOCATIONS_AT_ONCE];
    size_t queue_count; /* to be asked of the service, the oldest first */
    ip_address queue[LOCATOR_MAX_BULK_QUEUED];
    struct question questions[LOCATOR_MAX_IN_FLIGHT];
    size_t storing_count;
    size_t sent_count; /* of storing: under way to the table */
    struct stored storing[MAX_STORING];
    char scratch[ANSWER_MAX_BYTES];

    int open_parts;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* ---- Ends of an address ---- */

static void settle(struct locator *locator, ip_address ip, const struct place *place, int64_t good_ms,
                   const char *why)
{
    place_cache_put(locator->cache, ip, place, (wall_ms){wall_now().ms + good_ms});
    if (locator->options.on_settled != NULL)
        locator->options.on_settled(locator->options.context, ip, why);
}

static void settle_unasked(struct locator *locator, ip_address ip, const char *why)
{
    metrics_add(locator->options.metrics, METRICS_IP2LOCATION_UNASKED, 1);
    settle(locator, ip, NULL, REST_MS, why);
}

static void settle_known(struct locator *locator, ip_address ip, const struct place_parts *parts,
                         int64_t good_ms, const char *why)
{
    char memory[PLACE_MAX_TEXT_BYTES];
    struct buf texts;
    struct place place;
    buf_init(&texts, memory, sizeof memory);
    place_compose(parts, GEO_API, &texts, &place);
    settle(locator, ip, &place, good_ms, why);
}

/* Forgotten when too many wait already: the table only spares others a call. */
static void store_later(struct locator *locator, ip_address ip, int64_t good_ms)
{
    if (locator->storing_count < MAX_STORING)
        locator->storing[locator->storing_count++] = (struct stored){ip, {wall_now().ms + good_ms}};
}

static void tell_change(struct locator *locator)
{
    locator->options.on_change(locator->options.context);
}

/* ---- The service ---- */

static const enum metrics_id answer_metrics[] = {
    [ANSWER_PLACE] = METRICS_IP2LOCATION_PLACE,
    [ANSWER_UNKNOWN] = METRICS_IP2LOCATION_UNKNOWN,
    [ANSWER_BAD_ADDRESS] = METRICS_IP2LOCATION_BAD_ADDRESS,
    [ANSWER_REFUSED] = METRICS_IP2LOCATION_REFUSED,
    [ANSWER_MISCONFIGURED] = METRICS_IP2LOCATION_MISCONFIGURED,
    [ANSWER_BUSY] = METRICS_IP2LOCATION_BUSY,
    [ANSWER_FAILED] = METRICS_IP2LOCATION_FAILED,
    [ANSWER_MALFORMED] = METRICS_IP2LOCATION_MALFORMED,
};

static void take_answer(struct locator *locator, ip_address ip, enum answer_kind kind,
                        const struct place_parts *parts)
{
    switch (kind) {
    case ANSWER_PLACE:
        settle_known(locator, ip, parts, locator->options.keep_ms, "ip2location.io said so just now");
        store_later(locator, ip, locator->options.keep_ms);
        break;
    case ANSWER_UNKNOWN:
    case ANSWER_BAD_ADDRESS:
        settle(locator, ip, NULL, LOCATOR_NOTHING_MS, "ip2location.io does not know it");
        store_later(locator, ip, LOCATOR_NOTHING_MS);
        break;
    case ANSWER_REFUSED:
        settle_unasked(locator, ip, "ip2location.io refuses the key, or its credit is used up");
        break;
    case ANSWER_BUSY:
        settle_unasked(locator, ip, "ip2location.io has too many requests");
        break;
    default:
        settle(locator, ip, NULL, REST_MS, "ip2location.io did not give a usable answer");
    }
}

/* Gives each address of the question its answer; returns what these say of the service. */
static enum answer_kind take_answers(struct question *question, int http_status, slice body)
{
    struct locator *locator = question->locator;
    enum answer_kind whole = ANSWER_FAILED;
    struct answer_many many;
    struct buf scratch;
    buf_init(&scratch, locator->scratch, sizeof locator->scratch);
    if (locator->options.form.is_bulk)
        answer_read_many(http_status, body, question->ips, question->count, &many);
    for (size_t i = 0; i < question->count; i++) {
        struct place_parts parts;
        ip_address ip = question->ips[i];
        enum answer_kind kind = locator->options.form.is_bulk
                                    ? answer_of(&many, i, ip, &scratch, &parts)
                                    : answer_read(http_status, body, ip, &scratch, &parts);
        metrics_add(locator->options.metrics, answer_metrics[kind], 1);
        take_answer(locator, ip, kind, &parts);
        whole = i == 0 ? kind : answer_weightier(whole, kind);
    }
    return whole;
}

static void take_silence(struct question *question)
{
    struct locator *locator = question->locator;
    metrics_add(locator->options.metrics, METRICS_IP2LOCATION_UNREACHED, (int64_t)question->count);
    for (size_t i = 0; i < question->count; i++)
        take_answer(locator, question->ips[i], ANSWER_FAILED, NULL);
}

static void on_reply(void *context, const struct fetch_reply *reply)
{
    struct question *question = context;
    struct locator *locator = question->locator;
    enum answer_kind kind = ANSWER_FAILED;
    if (reply->outcome == FETCH_ANSWERED)
        kind = take_answers(question, reply->http_status, reply->body);
    else
        take_silence(question);
    question->count = 0;
    metrics_add(locator->options.metrics, METRICS_IP2LOCATION_TIME, reply->took_ms);
    caution_note(&locator->caution, kind, reply, locator->budget.day_ends);
    locator_turn(locator);
    tell_change(locator);
}

static struct question *find_free_question(struct locator *locator)
{
    struct question *question = locator->questions;
    while (question->count > 0)
        question++;
    return question;
}

/* Of the first in the queue. */
static void ask(struct locator *locator, size_t count)
{
    struct ip2location_request request;
    struct question *question = find_free_question(locator);
    question->locator = locator;
    question->count = count;
    memcpy(question->ips, locator->queue, count * sizeof question->ips[0]);
    locator->queue_count -= count;
    memmove(locator->queue, locator->queue + count, locator->queue_count * sizeof locator->queue[0]);
    ip2location_write(&locator->options.form, &locator->key, question->ips, count, &request);
    fetcher_ask(locator->fetcher, &(struct fetch_request){request.url, request.header, request.body},
                on_reply, question);
    explicit_bzero(&request, sizeof request);
}

/* Why nobody can be asked now, so that the files' answer is final; NULL: the service may be. */
static const char *find_hindrance(const struct locator *locator, mono_ms now)
{
    const char *hindrance = caution_find_hindrance(&locator->caution, now);
    return hindrance != NULL ? hindrance : budget_find_hindrance(&locator->budget, now);
}

static void give_up_queue(struct locator *locator, const char *why)
{
    for (size_t i = 0; i < locator->queue_count; i++)
        settle_unasked(locator, locator->queue[i], why);
    locator->queue_count = 0;
}

/* A call for each address of the next request, as far as the budget goes. */
static size_t take_calls(struct locator *locator, mono_ms now)
{
    size_t max = locator->options.form.is_bulk ? IP2LOCATION_MAX_AT_ONCE : 1, count = 0;
    while (count < max && count < locator->queue_count && budget_take(&locator->budget, now))
        count++;
    return count;
}

static void ask_service(struct locator *locator, mono_ms now)
{
    while (locator->queue_count > 0 && fetcher_has_room(locator->fetcher)) {
        const char *hindrance = find_hindrance(locator, now);
        if (hindrance != NULL) {
            give_up_queue(locator, hindrance);
            return;
        }
        size_t count = take_calls(locator, now);
        if (count == 0) {
            if (now.ms < locator->database_at.ms)
                give_up_queue(locator, "the database, which holds the budget, is away");
            return; /* else a lease is on its way */
        }
        caution_admit(&locator->caution, now);
        ask(locator, count);
    }
}

static void queue_up(struct locator *locator, ip_address ip)
{
    size_t max = locator->options.form.is_bulk ? LOCATOR_MAX_BULK_QUEUED : LOCATOR_MAX_QUEUED;
    if (locator->queue_count < max)
        locator->queue[locator->queue_count++] = ip;
    else
        settle_unasked(locator, ip, "too many addresses wait for ip2location.io");
}

/* ---- The tables ---- */

static void note_database(struct locator *locator, bool is_done)
{
    if (is_done) {
        backoff_reset(&locator->backoff);
        return;
    }
    locator->database_at = (mono_ms){mono_now().ms + backoff_next(&locator->backoff)};
}

static void on_found(void *context, const struct location *location)
{
    struct locator *locator = context;
    metrics_add(locator->options.metrics, METRICS_LOCATIONS_LOADED, 1);
    if (location->is_known)
        settle_known(locator, location->ip, &location->parts, location->left_ms,
                     "ip2location.io said so before: footfall.ip_locations");
    else
        settle(locator, location->ip, NULL, location->left_ms,
               "ip2location.io did not know it before: footfall.ip_locations");
}

static void on_loaded(void *context, bool is_done)
{
    struct locator *locator = context;
    const struct place *place;
    note_database(locator, is_done);
    for (size_t i = 0; i < locator->loading_count; i++) {
        ip_address ip = locator->loading[i];
        if (place_cache_find(locator->cache, ip, wall_now(), &place) != PLACE_ASKED)
            continue; /* found */
        if (is_done)
            queue_up(locator, ip);
        else
            settle_unasked(locator, ip, "the database is away");
    }
    locator->loading_count = 0;
    locator_turn(locator);
    tell_change(locator);
}

static void on_leased(void *context, const struct budget_lease *lease)
{
    struct locator *locator = context;
    note_database(locator, lease != NULL);
    if (lease == NULL)
        budget_note_failure(&locator->budget, mono_now());
    else
        budget_note_lease(&locator->budget, lease, mono_now());
    locator_turn(locator);
    tell_change(locator);
}

static void forget_sent(struct locator *locator)
{
    locator->storing_count -= locator->sent_count;
    memmove(locator->storing, locator->storing + locator->sent_count,
            locator->storing_count * sizeof locator->storing[0]);
    locator->sent_count = 0;
}

static void on_stored(void *context, bool is_done)
{
    struct locator *locator = context;
    note_database(locator, is_done);
    metrics_add(locator->options.metrics, METRICS_LOCATIONS_STORED,
                is_done ? (int64_t)locator->sent_count : 0);
    forget_sent(locator);
    locator_turn(locator);
}

static void on_expired(void *context, bool is_done)
{
    struct locator *locator = context;
    note_database(locator, is_done);
    locator_turn(locator);
}

/* The answer is still in the cache, unless that is far too small. */
static bool read_stored(struct locator *locator, const struct stored *stored, struct location *location)
{
    const struct place *place;
    wall_ms now = wall_now();
    enum place_standing standing = place_cache_find(locator->cache, stored->ip, now, &place);
    *location = (struct location){.ip = stored->ip, .left_ms = stored->until.ms - now.ms};
    if (standing == PLACE_KNOWN)
        location->parts = (struct place_parts){.country = place->country,
                                               .state = place->state,
                                               .city = place->city,
                                               .latitude = (double)place->latitude,
                                               .longitude = (double)place->longitude,
                                               .has_coordinates = place->has_coordinates};
    return standing == PLACE_KNOWN || standing == PLACE_NOTHING;
}

static void store(struct locator *locator)
{
    struct location rows[LOCATIONS_AT_ONCE];
    size_t count = 0;
    locator->sent_count =
        locator->storing_count < LOCATIONS_AT_ONCE ? locator->storing_count : LOCATIONS_AT_ONCE;
    for (size_t i = 0; i < locator->sent_count; i++)
        count += read_stored(locator, &locator->storing[i], &rows[count]);
    if (count > 0)
        locations_store(locator->locations, rows, count, on_stored, locator);
    else
        forget_sent(locator);
}

static void load(struct locator *locator)
{
    locator->loading_count = places_take_wanted(locator->options.places, locator->loading, LOCATIONS_AT_ONCE);
    if (locator->loading_count > 0)
        locations_load(locator->locations, locator->loading, locator->loading_count, on_found, on_loaded,
                       locator);
}

/* What is queued is used at once, so that no more is lost at the end than otherwise. */
static int64_t lease_size(const struct locator *locator)
{
    int64_t size = locator->budget.lease_size, queued = (int64_t)locator->queue_count;
    return locator->options.form.is_bulk && queued > size ? queued : size;
}

static bool lease(struct locator *locator, mono_ms now)
{
    if (locator->queue_count == 0 || caution_find_hindrance(&locator->caution, now) != NULL ||
        !budget_begin_lease(&locator->budget, now))
        return false;
    locations_lease(locator->locations, lease_size(locator), locator->options.daily_budget,
                    locator->options.monthly_budget, on_leased, locator);
    return true;
}

static void give_up_wanted(struct locator *locator)
{
    ip_address wanted[PLACES_MAX_WANTED];
    size_t count = places_take_wanted(locator->options.places, wanted, PLACES_MAX_WANTED);
    for (size_t i = 0; i < count; i++)
        settle_unasked(locator, wanted[i], "the database is away");
}

/* One thing at a time: what somebody waits for comes first. */
static void use_tables(struct locator *locator, mono_ms now)
{
    if (now.ms < locator->database_at.ms) {
        give_up_wanted(locator);
        return;
    }
    if (locations_is_busy(locator->locations) || lease(locator, now))
        return;
    load(locator);
    while (!locations_is_busy(locator->locations) && locator->storing_count > 0)
        store(locator);
    if (!locations_is_busy(locator->locations) && now.ms >= locator->expires_at.ms) {
        locator->expires_at = (mono_ms){now.ms + EXPIRE_EVERY_MS};
        locations_expire(locator->locations, on_expired, locator);
    }
}

void locator_turn(struct locator *locator)
{
    mono_ms now = mono_now();
    places_set_time(locator->options.places, wall_now());
    ask_service(locator, now);
    use_tables(locator, now);
}

bool locator_is_idle(const struct locator *locator)
{
    if (locations_is_busy(locator->locations) || !fetcher_is_idle(locator->fetcher))
        return false;
    return locator->storing_count == 0 || mono_now().ms < locator->database_at.ms;
}

/* ---- Life ---- */

struct locator *locator_new(struct uv_loop_s *loop, const struct locator_options *options)
{
    struct locator *locator = must_calloc(1, sizeof *locator);
    locator->options = *options;
    caution_init(&locator->caution);
    locator->backoff = (struct backoff){.min_ms = DATABASE_MIN_MS, .max_ms = DATABASE_MAX_MS};
    locator->cache = place_cache_new(LOCATOR_CACHED_ADDRESSES);
    locator->fetcher =
        fetcher_new(loop, &(struct fetcher_options){.base = options->form.base,
                                                    .ca_file = options->ca_file,
                                                    .max_in_flight = LOCATOR_MAX_IN_FLIGHT,
                                                    .max_bytes = options->form.is_bulk ? ANSWER_MAX_MANY_BYTES
                                                                                       : ANSWER_MAX_BYTES,
                                                    .connect_ms = LOCATOR_CONNECT_MS,
                                                    .total_ms = LOCATOR_TOTAL_MS});
    locator->expires_at = (mono_ms){mono_now().ms + FIRST_EXPIRY_MS};
    locator->locations = locations_new(loop, options->conninfo);
    budget_init(&locator->budget, options->daily_budget, options->monthly_budget);
    if (options->max_lease > 0 && options->max_lease < locator->budget.lease_size)
        locator->budget.lease_size = options->max_lease;
    places_ask_service(options->places, locator->cache, options->ipv6_bits);
    places_set_time(options->places, wall_now());
    return locator;
}

void locator_set_key(struct locator *locator, const struct ip2location_key *key)
{
    locator->key = *key;
    caution_init(&locator->caution);
}

void locator_measure(const struct locator *locator)
{
    struct metrics *metrics = locator->options.metrics;
    metrics_set(metrics, METRICS_IP2LOCATION_UP, find_hindrance(locator, mono_now()) == NULL);
    metrics_set(metrics, METRICS_LOCATIONS_CACHED, (int64_t)place_cache_count(locator->cache));
}

static void on_part_closed(void *context)
{
    struct locator *locator = context;
    if (--locator->open_parts > 0)
        return;
    void (*on_closed)(void *) = locator->on_closed;
    void *closed_context = locator->closed_context;
    explicit_bzero(&locator->key, sizeof locator->key);
    place_cache_free(&locator->cache);
    free(locator);
    on_closed(closed_context);
}

void locator_close(struct locator **locator, void (*on_closed)(void *context), void *context)
{
    struct locator *closing = *locator;
    *locator = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    closing->open_parts = 2;
    places_ask_service(closing->options.places, NULL, 0);
    fetcher_close(&closing->fetcher, on_part_closed, closing);
    locations_close(&closing->locations, on_part_closed, closing);
}
