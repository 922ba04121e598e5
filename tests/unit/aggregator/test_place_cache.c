/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/place_cache, at last against a model that never forgets. */
#include "aggregator/place_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

static ip_address address(uint32_t number)
{
    return (ip_address){
        {[12] = (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static void put(struct place_cache *cache, uint32_t number, const char *city, int64_t until)
{
    struct place place = {.country = SLICE("IN"), .city = slice_of(city), .geodata = SLICE("{…}")};
    place_cache_put(cache, address(number), &place, (wall_ms){until});
}

static enum place_standing standing(struct place_cache *cache, uint32_t number, int64_t now)
{
    const struct place *place;
    return place_cache_find(cache, address(number), (wall_ms){now}, &place);
}

static void assert_city(struct place_cache *cache, uint32_t number, int64_t now, const char *city)
{
    const struct place *place;
    assert_int_equal(place_cache_find(cache, address(number), (wall_ms){now}, &place), PLACE_KNOWN);
    assert_true(slice_equals(place->city, slice_of(city)));
    assert_true(slice_equals(place->country, SLICE("IN")));
    assert_true(slice_equals(place->geodata, SLICE("{…}")));
}

static void an_address_goes_through_its_standings(void **state)
{
    (void)state;
    struct place_cache *cache = place_cache_new(4);
    assert_int_equal(standing(cache, 1, 0), PLACE_NEW);
    place_cache_ask(cache, address(1));
    assert_int_equal(standing(cache, 1, INT64_MAX), PLACE_ASKED);
    put(cache, 1, "Pune", 100);
    assert_city(cache, 1, 99, "Pune");
    assert_int_equal(standing(cache, 1, 100), PLACE_NEW);
    place_cache_ask(cache, address(1));
    place_cache_put(cache, address(1), NULL, (wall_ms){200});
    assert_int_equal(standing(cache, 1, 199), PLACE_NOTHING);
    assert_int_equal(standing(cache, 1, 200), PLACE_NEW);
    put(cache, 1, "Agra", 300);
    put(cache, 1, "Surat", 400); /* as when two heard of it */
    assert_city(cache, 1, 350, "Surat");
    assert_int_equal(place_cache_count(cache), 1);
    place_cache_free(&cache);
    assert_null(cache);
}

static void what_is_used_stays(void **state)
{
    (void)state;
    struct place_cache *cache = place_cache_new(100);
    for (uint32_t i = 0; i < 100; i++)
        put(cache, i, "Pune", 1000);
    for (uint32_t i = 0; i < 25; i++)
        assert_city(cache, i, 0, "Pune");
    for (uint32_t i = 100; i < 10000; i++) {
        assert_city(cache, i % 25, 0, "Pune"); /* a quarter of them is in use */
        put(cache, i, "Agra", 1000);
    }
    for (uint32_t i = 0; i < 25; i++)
        assert_city(cache, i, 0, "Pune");
    assert_int_equal(place_cache_count(cache), 100);
    place_cache_free(&cache);
}

static void addresses_being_asked_stay(void **state)
{
    (void)state;
    struct place_cache *cache = place_cache_new(10);
    for (uint32_t i = 0; i < 9; i++)
        place_cache_ask(cache, address(i));
    for (uint32_t i = 100; i < 200; i++) {
        put(cache, i, "Pune", 1000);
        assert_city(cache, i, 0, "Pune");
    }
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(standing(cache, i, 0), PLACE_ASKED);
    place_cache_free(&cache);
}

enum { ADDRESSES = 64, ROOM = 24, MAX_ASKED = 16 };

struct model {
    enum place_standing standings[ADDRESSES];
    int64_t until[ADDRESSES];
    int version[ADDRESSES];
    int asked_count;
};

/* A full cache may have forgotten what is not asked; it never says anything else than the model. */
static void check(struct place_cache *cache, const struct model *model, uint32_t i, int64_t now)
{
    const struct place *place;
    char city[16];
    enum place_standing found = place_cache_find(cache, address(i), (wall_ms){now}, &place);
    if (model->standings[i] == PLACE_ASKED || found != PLACE_NEW)
        assert_int_equal(found, model->standings[i]);
    if (found != PLACE_KNOWN)
        return;
    assert_true(now < model->until[i]);
    snprintf(city, sizeof city, "%d", model->version[i]);
    assert_true(slice_equals(place->city, slice_of(city)));
}

static void answer(struct place_cache *cache, struct model *model, uint32_t i, bool is_known, int64_t until)
{
    char city[16];
    model->asked_count -= model->standings[i] == PLACE_ASKED;
    model->standings[i] = is_known ? PLACE_KNOWN : PLACE_NOTHING;
    model->until[i] = until;
    snprintf(city, sizeof city, "%d", ++model->version[i]);
    if (is_known)
        put(cache, i, city, until);
    else
        place_cache_put(cache, address(i), NULL, (wall_ms){until});
}

static void it_never_says_what_was_not_put(void **state)
{
    (void)state;
    struct place_cache *cache = place_cache_new(ROOM);
    struct choice choice = choice_seeded(7);
    struct model model = {.asked_count = 0};
    int known_count = 0;
    for (int64_t now = 0; now < 200000; now++) {
        uint32_t i = (uint32_t)choice_below(&choice, ADDRESSES);
        if (model.standings[i] != PLACE_ASKED && model.standings[i] != PLACE_NEW && now >= model.until[i])
            model.standings[i] = PLACE_NEW;
        check(cache, &model, i, now);
        const struct place *place;
        enum place_standing found = place_cache_find(cache, address(i), (wall_ms){now}, &place);
        known_count += found == PLACE_KNOWN;
        if (found == PLACE_NEW && model.asked_count < MAX_ASKED && choice_below(&choice, 2) == 0) {
            place_cache_ask(cache, address(i));
            model.standings[i] = PLACE_ASKED;
            model.asked_count++;
        } else if (choice_below(&choice, 3) == 0) {
            answer(cache, &model, i, choice_below(&choice, 2) == 0,
                   now + 1 + (int64_t)choice_below(&choice, 300));
        }
    }
    assert_true(known_count > 1000);
    assert_int_equal(place_cache_count(cache), ROOM);
    place_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_goes_through_its_standings),
        cmocka_unit_test(what_is_used_stays),
        cmocka_unit_test(addresses_being_asked_stay),
        cmocka_unit_test(it_never_says_what_was_not_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
