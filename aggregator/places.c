/* SPDX-License-Identifier: Apache-2.0
 * places: see the header.
 *
 * An address leads to a record by a table without chains: an address that falls on another's slot takes it
 * over. Decoded records stand in an array, found by (database, offset) through a hash; both are emptied
 * together. */
#include "aggregator/places.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/uuid.h"

enum {
    RECORD_SLOTS = 2 * 262144, /* a power of two, more than twice PLACES_MAX_RECORDS */
    PLACE_PRIVATE = 0,         /* the first records are fixed */
    PLACE_UNKNOWN = 1,
    FIRST_DECODED = 2,
    CHUNK_BYTES = 1 << 20,
};
_Static_assert((PLACES_CACHED_ADDRESSES & (PLACES_CACHED_ADDRESSES - 1)) == 0, "slots are found by a mask");

struct cached_address {
    ip_address ip;
    uint32_t record; /* its index + 1; 0: the slot is free */
};

struct record_slot {
    uint32_t offset;
    uint32_t record; /* its index + 1; 0: the slot is free */
    uint32_t database;
};

struct places {
    struct databases *databases;
    uint64_t seed;
    struct cached_address *addresses;
    struct record_slot *slots;
    struct place *records;
    uint32_t record_count;
    struct arena *texts; /* of the records */
    struct places_counts counts;

    /* The service beside the files. */
    struct place_cache *service; /* NULL: none */
    int ipv6_bits;
    wall_ms now;
    size_t wanted_count;
    ip_address wanted[PLACES_MAX_WANTED];
    struct place provisional;
};

/* ---- Life ---- */

static void empty_caches(struct places *places)
{
    memset(places->addresses, 0, PLACES_CACHED_ADDRESSES * sizeof *places->addresses);
    memset(places->slots, 0, RECORD_SLOTS * sizeof *places->slots);
    places->record_count = FIRST_DECODED;
    arena_clear(places->texts);
}

struct places *places_open(const char *databases, struct why *why)
{
    struct databases *opened = databases_open(databases, why);
    if (opened == NULL)
        return NULL;
    struct places *places = must_calloc(1, sizeof *places);
    places->databases = opened;
    random_bytes(&places->seed, sizeof places->seed);
    places->addresses = must_calloc(PLACES_CACHED_ADDRESSES, sizeof *places->addresses);
    places->slots = must_calloc(RECORD_SLOTS, sizeof *places->slots);
    places->records = must_calloc(PLACES_MAX_RECORDS, sizeof *places->records);
    places->texts = arena_new(CHUNK_BYTES, PLACES_MAX_RECORD_BYTES + CHUNK_BYTES);
    places->records[PLACE_PRIVATE] = (struct place){.source = GEO_PRIVATE, .geodata = SLICE("{}")};
    places->records[PLACE_UNKNOWN] = (struct place){.source = GEO_NONE, .geodata = SLICE("{}")};
    places->record_count = FIRST_DECODED;
    return places;
}

void places_close(struct places **places)
{
    if (*places == NULL)
        return;
    databases_close(&(*places)->databases);
    arena_free(&(*places)->texts);
    free((*places)->records);
    free((*places)->slots);
    free((*places)->addresses);
    free(*places);
    *places = NULL;
}

void places_use_take(struct places *places, struct databases *databases)
{
    databases_close(&places->databases);
    places->databases = databases;
    empty_caches(places);
}

/* ---- Decoding a record ---- */

static void decode(struct places *places, const struct mmdb *mmdb, uint32_t offset, struct place *place)
{
    struct place_parts parts;
    struct place composed;
    char memory[PLACE_MAX_TEXT_BYTES];
    struct buf texts;
    mmdb_read(mmdb, offset, &parts);
    buf_init(&texts, memory, sizeof memory);
    place_compose(&parts, GEO_MMDB, &texts, &composed);
    *place = place_copy(&composed, arena_take(places->texts, place_text_bytes(&composed)));
    places->counts.decoded_records++;
}

/* ---- Finding ---- */

static struct record_slot *find_slot(struct places *places, uint32_t database, uint32_t offset)
{
    uint32_t key[] = {database, offset};
    size_t at = XXH3_64bits_withSeed(key, sizeof key, places->seed) & (RECORD_SLOTS - 1);
    struct record_slot *slot;
    while ((slot = &places->slots[at])->record != 0 && (slot->offset != offset || slot->database != database))
        at = (at + 1) & (RECORD_SLOTS - 1);
    return slot;
}

static bool is_full(const struct places *places)
{
    return places->record_count == PLACES_MAX_RECORDS ||
           arena_used_bytes(places->texts) + PLACE_MAX_TEXT_BYTES > PLACES_MAX_RECORD_BYTES;
}

/* The index of a record of one file. */
static uint32_t record_of(struct places *places, uint32_t database, uint32_t offset)
{
    struct record_slot *slot = find_slot(places, database, offset);
    if (slot->record != 0)
        return slot->record - 1;
    if (is_full(places)) {
        empty_caches(places);
        slot = find_slot(places, database, offset);
    }
    uint32_t index = places->record_count++;
    decode(places, places->databases->open[database], offset, &places->records[index]);
    *slot = (struct record_slot){.offset = offset, .record = index + 1, .database = database};
    return index;
}

/* The first file that names a country wins. */
static uint32_t look_up(struct places *places, ip_address ip)
{
    if (ip_is_private(ip))
        return PLACE_PRIVATE;
    for (uint32_t i = 0; i < places->databases->count; i++) {
        uint32_t offset;
        if (mmdb_find(places->databases->open[i], ip, &offset) != STATUS_OK)
            continue;
        uint32_t record = record_of(places, i, offset);
        if (places->records[record].country.len > 0)
            return record;
    }
    return PLACE_UNKNOWN;
}

static const struct place *find_in_files(struct places *places, ip_address ip)
{
    size_t at = XXH3_64bits_withSeed(ip.bytes, sizeof ip.bytes, places->seed) & (PLACES_CACHED_ADDRESSES - 1);
    struct cached_address *cached = &places->addresses[at];
    if (cached->record != 0 && ip_equals(cached->ip, ip)) {
        places->counts.cached_answers++;
    } else {
        uint32_t record = look_up(places, ip); /* may empty the caches */
        *cached = (struct cached_address){.ip = ip, .record = record + 1};
    }
    return &places->records[cached->record - 1];
}

static const struct place *count(struct places *places, const struct place *place)
{
    places->counts.answers[place->source]++;
    return place;
}

/* ---- The service ---- */

void places_ask_service(struct places *places, struct place_cache *cache, int ipv6_bits)
{
    places->service = cache;
    places->ipv6_bits = ipv6_bits;
}

void places_set_time(struct places *places, wall_ms now)
{
    places->now = now;
}

/* What the service is asked instead of this address. */
static ip_address service_address(const struct places *places, ip_address ip)
{
    if (ip_is_v4(ip))
        return ip;
    for (int bit = places->ipv6_bits; bit < 128; bit++)
        ip.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return ip;
}

/* False: not now. */
static bool want(struct places *places, ip_address asked)
{
    if (places->wanted_count == PLACES_MAX_WANTED || ip_is_private(asked))
        return false;
    place_cache_ask(places->service, asked);
    places->wanted[places->wanted_count++] = asked;
    return true;
}

static const struct place *make_provisional(struct places *places, const struct place *place)
{
    places->provisional = *place;
    places->provisional.is_provisional = true;
    return &places->provisional;
}

const struct place *places_find(struct places *places, ip_address ip)
{
    const struct place *place = find_in_files(places, ip), *answer;
    if (places->service == NULL || place->source == GEO_PRIVATE)
        return count(places, place);
    ip_address asked = service_address(places, ip);
    switch (place_cache_find(places->service, asked, places->now, &answer)) {
    case PLACE_KNOWN:
        return count(places, answer);
    case PLACE_NOTHING:
        return count(places, place);
    case PLACE_NEW:
        if (!want(places, asked))
            return count(places, place);
        break;
    case PLACE_ASKED:
        break;
    }
    return make_provisional(places, place);
}

size_t places_take_wanted(struct places *places, ip_address *out, size_t max)
{
    size_t taken = places->wanted_count < max ? places->wanted_count : max;
    memcpy(out, places->wanted, taken * sizeof *out);
    places->wanted_count -= taken;
    memmove(places->wanted, places->wanted + taken, places->wanted_count * sizeof *out);
    return taken;
}

bool places_awaits(struct places *places, ip_address ip)
{
    const struct place *answer;
    return place_cache_find(places->service, service_address(places, ip), places->now, &answer) ==
           PLACE_ASKED;
}

const struct place *places_settle(struct places *places, ip_address ip)
{
    const struct place *answer;
    if (place_cache_find(places->service, service_address(places, ip), places->now, &answer) == PLACE_KNOWN)
        return count(places, answer);
    return count(places, find_in_files(places, ip));
}

/* ---- What is known of it ---- */

const struct places_counts *places_counts(const struct places *places)
{
    return &places->counts;
}

wall_ms places_built_at(const struct places *places)
{
    return databases_built_at(places->databases);
}
