/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/places on the files of tests/data/mmdb, and of its caches on a file larger than they
 * are. */
#include "aggregator/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "tests/lib/allocations.h"
#include "tests/lib/choice.h"
#include "tests/lib/mmdb_files.h"

#define DATA FOOTFALL_SOURCE_DIR "/tests/data/mmdb/"

/* ---- Helpers ---- */

static struct places *open_sound(const char *databases)
{
    struct why why;
    struct places *places = places_open(databases, &why);
    if (places == NULL)
        fail_msg("%s", why.text);
    return places;
}

static const struct place *find(struct places *places, const char *address)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    return places_find(places, ip);
}

static void assert_text(slice text, const char *expected)
{
    if (!slice_equals(text, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(text), expected);
}

static void assert_geodata(struct places *places, const char *address, const char *expected)
{
    assert_text(find(places, address)->geodata, expected);
}

static void assert_near(float value, double expected)
{
    assert_true(value > expected - 0.0001 && value < expected + 0.0001);
}

/* A file of the test's own with the bytes of one of tests/data/mmdb. */
static void copy_database(const char *path, const char *name)
{
    unsigned char bytes[MMDB_FILES_MAX_BYTES];
    mmdb_files_write(path, bytes, mmdb_files_read(name, bytes));
}

/* ---- What a place says ---- */

#define WORLD DATA "world.mmdb"
#define FLAT  DATA "flat_v4.mmdb, " DATA "flat_v6.mmdb"

static void nested_and_flat_files_name_the_same_places(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1.1.1.1", "{\"country\": \"AU\", \"state\": \"New South Wales\", \"city\": \"Sydney\"}"},
        {"8.8.8.8", "{\"country\": \"US\", \"state\": \"California\", \"city\": \"Mountain View\"}"},
        {"2001:4860:4860::8888",
         "{\"country\": \"US\", \"state\": \"California\", \"city\": \"Mountain View\"}"},
        {"81.2.69.142", "{\"country\": \"GB\", \"state\": \"England\", \"city\": \"London\"}"},
        {"85.214.132.117", "{\"country\": \"DE\", \"state\": \"Bayern\", \"city\": \"München\"}"},
        {"106.51.1.1", "{\"country\": \"IN\", \"state\": \"Karnataka\", \"city\": \"Bengaluru\"}"},
        {"::ffff:106.51.1.1", "{\"country\": \"IN\", \"state\": \"Karnataka\", \"city\": \"Bengaluru\"}"},
        {"2405:200::1", "{\"country\": \"IN\", \"state\": \"Karnataka\", \"city\": \"Bengaluru\"}"},
        {"240b:10::1", "{\"country\": \"JP\", \"state\": \"東京都\", \"city\": \"千代田区\"}"},
        {"2804::1", "{\"country\": \"BR\", \"state\": \"São Paulo\", \"city\": \"São Paulo\"}"},
        {"36.1.2.3", "{\"country\": \"CN\", \"state\": \"-\", \"city\": \"-\"}"},
        {"9.9.9.9", "{}"},
        {"2a0f::1", "{}"},
    };
    struct places *nested = open_sound(WORLD), *flat = open_sound(FLAT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_geodata(nested, cases[i][0], cases[i][1]);
        assert_geodata(flat, cases[i][0], cases[i][1]);
    }
    places_close(&nested);
    places_close(&flat);
    assert_null(nested);
}

static void a_place_has_its_parts(void **state)
{
    (void)state;
    struct places *places = open_sound(FLAT);
    const struct place *place = find(places, "177.1.2.3");
    assert_text(place->country, "BR");
    assert_text(place->state, "São Paulo");
    assert_text(place->city, "São Paulo");
    assert_true(place->has_coordinates);
    assert_near(place->latitude, -23.5475);
    assert_near(place->longitude, -46.6361);
    assert_int_equal(place->source, GEO_MMDB);
    place = find(places, "9.9.9.9");
    assert_int_equal(place->country.len + place->state.len + place->city.len, 0);
    assert_false(place->has_coordinates);
    assert_int_equal(place->source, GEO_NONE);
    assert_int_equal(places_built_at(places).ms, INT64_C(1735689600000));
    places_close(&places);
}

static void coordinates_need_a_city(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD "," DATA "odd_flat.mmdb");
    assert_false(find(places, "36.1.2.3")->has_coordinates);
    assert_false(find(places, "20.0.0.1")->has_coordinates);
    assert_true(find(places, "81.2.69.142")->has_coordinates);
    places_close(&places);
}

static void odd_names_become_clean(void **state)
{
    (void)state;
    struct places *places = open_sound(DATA "odd_flat.mmdb");
    assert_geodata(places, "20.0.0.1", "{\"country\": \"US\", \"state\": \"-\", \"city\": \"-\"}");
    assert_geodata(places, "22.0.0.1", "{}");
    assert_geodata(places, "26.0.0.1", "{\"country\": \"FR\", \"state\": \"Bretagne\", \"city\": \"Brest\"}");
    assert_geodata(places, "27.0.0.1", "{\"country\": \"FR\", \"state\": \"a\\\"b\", \"city\": \"c\\\\d\"}");
    assert_geodata(places, "28.0.0.1",
                   "{}"); /* `fra` is no code, and without a country the record says nothing */
    const struct place *place = find(places, "23.0.0.1");
    assert_int_equal(place->state.len, 128);
    assert_int_equal(place->city.len, 128);
    assert_true(text_is_clean(place->city));
    places_close(&places);
}

static void geodata_is_json(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD "," DATA "odd_flat.mmdb");
    for (unsigned i = 0; i < 256; i++) {
        struct json_value value;
        char address[16];
        snprintf(address, sizeof address, "%u.1.1.1", i);
        assert_int_equal(json_read(find(places, address)->geodata, &value, NULL), STATUS_OK);
        assert_int_equal(value.kind, JSON_OBJECT);
    }
    places_close(&places);
}

static void private_addresses_answer_themselves(void **state)
{
    (void)state;
    static const char *const addresses[] = {"10.0.0.1", "127.0.0.1",   "::1",
                                            "fe80::1",  "203.0.113.5", "2001:db8::1"};
    struct places *places = open_sound(DATA "odd_flat.mmdb, " DATA "odd_nested.mmdb"); /* name the last two */
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        assert_geodata(places, addresses[i], "{}");
        assert_int_equal(find(places, addresses[i])->source, GEO_PRIVATE);
    }
    assert_int_equal(places_counts(places)->decoded_records, 0);
    places_close(&places);
}

static void sources_have_names(void **state)
{
    (void)state;
    assert_text(geo_source_text(GEO_NONE), "none");
    assert_text(geo_source_text(GEO_PRIVATE), "private");
    assert_text(geo_source_text(GEO_MMDB), "mmdb");
    assert_text(geo_source_text(GEO_API), "api");
}

/* ---- Which file answers ---- */

static void the_first_file_that_names_a_country_wins(void **state)
{
    (void)state;
    struct places *places = open_sound(DATA "country.mmdb," WORLD);
    assert_text(find(places, "1.1.1.1")->country, "NZ");
    assert_text(find(places, "8.8.8.8")->country, "US");
    places_close(&places);
    places = open_sound(WORLD "," DATA "country.mmdb");
    assert_text(find(places, "1.1.1.1")->country, "AU");
    assert_text(find(places, "41.1.1.1")->country, "ZA");
    assert_text(find(places, "2c0f::1")->country, "KE");
    places_close(&places);
    places =
        open_sound(DATA "odd_flat.mmdb," DATA "odd_nested.mmdb"); /* the second has nothing but coordinates */
    assert_int_equal(find(places, "22.0.0.1")->source, GEO_NONE);
    places_close(&places);
}

static void without_files_nothing_is_known(void **state)
{
    (void)state;
    struct places *places = open_sound("");
    assert_geodata(places, "8.8.8.8", "{}");
    assert_int_equal(find(places, "8.8.8.8")->source, GEO_NONE);
    assert_int_equal(find(places, "10.1.1.1")->source, GEO_PRIVATE);
    assert_int_equal(places_built_at(places).ms, 0);
    places_close(&places);
}

static void a_bad_setting_is_refused(void **state)
{
    (void)state;
    struct why why;
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_null(places_open(WORLD "," DATA "missing.mmdb", &why));
    assert_non_null(strstr(why.text, "missing.mmdb"));
    assert_null(places_open(long_path, &why));
    assert_non_null(strstr(why.text, "geo.databases"));
    assert_null(places_open(
        WORLD "," WORLD "," WORLD "," WORLD "," WORLD "," WORLD "," WORLD "," WORLD "," WORLD, &why));
    assert_non_null(strstr(why.text, "at most 8"));
}

/* ---- Reloading ---- */

static bool reload(struct places *places, const char *path, struct why *why)
{
    struct databases *fresh = databases_open(path, why);
    if (fresh != NULL)
        places_use_take(places, fresh);
    return fresh != NULL;
}

static void a_reload_takes_the_new_file_or_keeps_the_old(void **state)
{
    (void)state;
    char path[] = "/tmp/footfall-place.XXXXXX", fresh[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    struct why why;
    copy_database(path, "world.mmdb");
    struct places *places = open_sound(path);
    assert_text(find(places, "1.1.1.1")->country, "AU");

    copy_database(fresh, "country.mmdb");
    assert_int_equal(rename(fresh, path), 0);
    assert_text(find(places, "1.1.1.1")->country, "AU");
    assert_true(reload(places, path, &why));
    assert_text(find(places, "1.1.1.1")->country, "NZ"); /* and not what the cache had */

    copy_database(path, "truncated.mmdb"); /* in place */
    assert_text(find(places, "36.1.1.1")->country, "TW");
    assert_false(reload(places, path, &why));
    assert_non_null(strstr(why.text, path));
    assert_text(find(places, "41.1.1.1")->country, "ZA");
    places_close(&places);
    unlink(path);
}

/* ---- The caches ---- */

static void answers_are_cached(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD);
    const struct places_counts *counts = places_counts(places);
    find(places, "8.8.8.8");
    assert_int_equal(counts->cached_answers, 0);
    find(places, "8.8.8.8");
    assert_int_equal(counts->cached_answers, 1);
    find(places, "8.8.4.4"); /* another address of the same record */
    assert_int_equal(counts->cached_answers, 1);
    assert_int_equal(counts->decoded_records, 1);
    find(places, "9.9.9.9");
    find(places, "9.9.9.9"); /* that nothing is known is cached too */
    assert_int_equal(counts->cached_answers, 2);
    assert_int_equal(counts->answers[GEO_MMDB], 3);
    assert_int_equal(counts->answers[GEO_NONE], 2);
    places_close(&places);
}

static void a_warm_look_up_allocates_nothing(void **state)
{
    (void)state;
    static const char *const addresses[] = {"8.8.8.8", "1.1.1.1",  "2405:200::1",
                                            "9.9.9.9", "10.1.1.1", "36.1.1.1"};
    struct places *places = open_sound(WORLD);
    for (size_t i = 0; i < 6; i++)
        find(places, addresses[i]);
    size_t before = allocations_count();
    assert_true(before > 0); /* the counter counts */
    for (size_t i = 0; i < 6000; i++)
        find(places, addresses[i % 6]);
    assert_int_equal(allocations_count(), before);
    places_close(&places);
}

enum { FULL_BITS = 18, FULL_NETWORKS = 1 << FULL_BITS };

/* Any address of network `number`. */
static ip_address address_in(uint32_t number, uint32_t host)
{
    uint32_t v4 = number << (32 - FULL_BITS) | host;
    return (ip_address){
        {[10] = 0xff, 0xff, (uint8_t)(v4 >> 24), (uint8_t)(v4 >> 16), (uint8_t)(v4 >> 8), (uint8_t)v4}};
}

static void assert_is_number(struct places *places, ip_address ip, uint32_t number)
{
    char city[16];
    snprintf(city, sizeof city, "%u", number);
    const struct place *place = places_find(places, ip);
    if (place->source == GEO_PRIVATE)
        assert_true(ip_is_private(ip));
    else
        assert_text(place->city, city);
}

/* More records than are kept, more addresses than are cached: both are given up and found again. */
static void full_caches_do_not_mix_places_up(void **state)
{
    (void)state;
    char path[] = "/tmp/footfall-place.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    mmdb_files_make_full(path, FULL_BITS);
    struct places *places = open_sound(path);
    unlink(path);
    for (uint32_t i = 0; i < FULL_NETWORKS; i++)
        assert_is_number(places, address_in(i, 1), i);
    assert_true(places_counts(places)->decoded_records > PLACES_MAX_RECORDS);
    struct choice choice = choice_seeded(1);
    size_t before = allocations_count();
    for (int i = 0; i < 600000; i++) {
        uint32_t number = (uint32_t)choice_below(&choice, FULL_NETWORKS);
        assert_is_number(places, address_in(number, (uint32_t)choice_below(&choice, 4)), number);
    }
    assert_true(places_counts(places)->decoded_records > 2 * PLACES_MAX_RECORDS);
    assert_true(places_counts(places)->cached_answers > 0);
    assert_int_equal(allocations_count(), before);
    places_close(&places);
}

/* ---- A service beside the files ---- */

static ip_address address_of(const char *text)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(text), &ip), STATUS_OK);
    return ip;
}

static void answer(struct place_cache *cache, const char *asked, const char *city)
{
    struct place place = {
        .country = SLICE("IN"), .city = slice_of(city), .source = GEO_API, .geodata = SLICE("{…}")};
    place_cache_put(cache, address_of(asked), city != NULL ? &place : NULL, (wall_ms){1000});
}

static void assert_wanted(struct places *places, const char *address)
{
    ip_address wanted;
    assert_int_equal(places_take_wanted(places, &wanted, 1), 1);
    assert_true(ip_equals(wanted, address_of(address)));
}

static void the_service_comes_first(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD);
    struct place_cache *cache = place_cache_new(1000);
    ip_address wanted;
    places_ask_service(places, cache, 64);
    for (int i = 0; i < 3; i++) {
        const struct place *place = find(places, "8.8.8.8");
        assert_true(place->is_provisional);
        assert_text(place->country, "US");
    }
    assert_wanted(places, "8.8.8.8");
    assert_int_equal(places_take_wanted(places, &wanted, 1), 0); /* once */
    assert_true(places_awaits(places, address_of("8.8.8.8")));
    answer(cache, "8.8.8.8", "Pune");
    assert_false(places_awaits(places, address_of("8.8.8.8")));
    assert_text(places_settle(places, address_of("8.8.8.8"))->city, "Pune");
    assert_text(find(places, "8.8.8.8")->city, "Pune");
    assert_false(find(places, "8.8.8.8")->is_provisional);
    assert_int_equal(places_counts(places)->answers[GEO_API], 3); /* provisional ones do not count */
    assert_int_equal(places_counts(places)->answers[GEO_MMDB], 0);
    places_set_time(places, (wall_ms){1000}); /* it has expired */
    assert_true(find(places, "8.8.8.8")->is_provisional);
    places_close(&places);
    place_cache_free(&cache);
}

static void what_the_service_does_not_know_the_files_do(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD);
    struct place_cache *cache = place_cache_new(1000);
    places_ask_service(places, cache, 64);
    find(places, "8.8.8.8");
    answer(cache, "8.8.8.8", NULL);
    assert_text(places_settle(places, address_of("8.8.8.8"))->country, "US");
    assert_false(find(places, "8.8.8.8")->is_provisional);
    assert_int_equal(find(places, "8.8.8.8")->source, GEO_MMDB);
    places_close(&places);
    place_cache_free(&cache);
}

static void private_addresses_are_not_given_away(void **state)
{
    (void)state;
    static const char *const addresses[] = {"10.0.0.1",    "127.0.0.1",       "::1", "fe80::1", "203.0.113.5",
                                            "2001:db8::1", "2002:c0a8:101::1"};
    struct places *places = open_sound(WORLD);
    struct place_cache *cache = place_cache_new(1000);
    ip_address wanted;
    places_ask_service(places, cache, 64);
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        assert_int_equal(find(places, addresses[i])->source, GEO_PRIVATE);
    assert_int_equal(places_take_wanted(places, &wanted, 1), 0);
    places_close(&places);
    place_cache_free(&cache);
}

static void networks_of_ipv6_are_one_address(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD);
    struct place_cache *cache = place_cache_new(1000);
    ip_address wanted;
    places_ask_service(places, cache, 60);
    find(places, "2405:200:1:2f:a::1");
    find(places, "2405:200:1:20:b::2");
    find(places, "2405:200:1:30::1");
    assert_wanted(places, "2405:200:1:20::");
    assert_wanted(places, "2405:200:1:30::");
    assert_int_equal(places_take_wanted(places, &wanted, 1), 0);
    answer(cache, "2405:200:1:20::", "Pune");
    assert_text(find(places, "2405:200:1:2a::77")->city, "Pune");
    places_close(&places);
    place_cache_free(&cache);
}

static void wanted_addresses_are_bounded(void **state)
{
    (void)state;
    struct places *places = open_sound(WORLD);
    struct place_cache *cache = place_cache_new(1000);
    static ip_address wanted[PLACES_MAX_WANTED + 1];
    places_ask_service(places, cache, 64);
    for (uint32_t i = 0; i < PLACES_MAX_WANTED; i++)
        assert_true(places_find(places, address_in(0x9000 + i, 1))->is_provisional);
    assert_false(find(places, "8.8.8.8")->is_provisional); /* there is no room: the file's answer is final */
    assert_int_equal(places_take_wanted(places, wanted, 56), 56);
    assert_true(find(places, "8.8.8.8")->is_provisional);
    assert_int_equal(places_take_wanted(places, wanted + 56, PLACES_MAX_WANTED), PLACES_MAX_WANTED - 55);
    for (uint32_t i = 0; i < PLACES_MAX_WANTED; i++)
        assert_true(ip_equals(wanted[i], address_in(0x9000 + i, 1)));
    places_close(&places);
    place_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_and_flat_files_name_the_same_places),
        cmocka_unit_test(a_place_has_its_parts),
        cmocka_unit_test(coordinates_need_a_city),
        cmocka_unit_test(odd_names_become_clean),
        cmocka_unit_test(geodata_is_json),
        cmocka_unit_test(private_addresses_answer_themselves),
        cmocka_unit_test(sources_have_names),
        cmocka_unit_test(the_first_file_that_names_a_country_wins),
        cmocka_unit_test(without_files_nothing_is_known),
        cmocka_unit_test(a_bad_setting_is_refused),
        cmocka_unit_test(a_reload_takes_the_new_file_or_keeps_the_old),
        cmocka_unit_test(answers_are_cached),
        cmocka_unit_test(a_warm_look_up_allocates_nothing),
        cmocka_unit_test(full_caches_do_not_mix_places_up),
        cmocka_unit_test(the_service_comes_first),
        cmocka_unit_test(what_the_service_does_not_know_the_files_do),
        cmocka_unit_test(private_addresses_are_not_given_away),
        cmocka_unit_test(networks_of_ipv6_are_one_address),
        cmocka_unit_test(wanted_addresses_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
