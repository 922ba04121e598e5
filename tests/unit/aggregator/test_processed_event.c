/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/processed_event: what a full JSON parser reads is what the row holds. */
#include "aggregator/processed_event.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/row.h"
#include "tests/lib/choice.h"

enum { ROW_BYTES = 16 * 1024, TRIALS = 2000 };

struct sample {
    struct hit hit;
    struct place place;
    char row_memory[ROW_BYTES];
    char value_memory[PROCESSED_EVENT_MAX_BYTES];
};

static struct sample *sample_new(void)
{
    struct sample *sample = must_calloc(1, sizeof *sample);
    assert_int_equal(ip_read(SLICE("2001:db8::1"), &sample->hit.ip), STATUS_OK);
    sample->hit.host = SLICE("shop.example");
    sample->hit.url = SLICE("https://shop.example/");
    sample->hit.event_time = (wall_ms){1738469901123};
    sample->place.geodata = SLICE("{}");
    return sample;
}

static slice encode(struct sample *sample)
{
    struct buf row, value;
    buf_init(&row, sample->row_memory, sizeof sample->row_memory);
    buf_init(&value, sample->value_memory, sizeof sample->value_memory);
    row_add_hit(&row, &(struct batch_position){3, 17, {0}}, &sample->hit, &sample->place, 0);
    assert_false(row.overflowed);
    processed_event_encode(buf_slice(&row), &value);
    assert_false(value.overflowed);
    return buf_slice(&value);
}

static void assert_says(const json_t *object, const char *name, slice wanted)
{
    const json_t *text = json_object_get(object, name);
    assert_true(json_is_string(text));
    assert_int_equal(json_string_length(text), wanted.len);
    assert_memory_equal(json_string_value(text), wanted.data != NULL ? wanted.data : "", wanted.len);
}

static void assert_same(struct sample *sample)
{
    char ip[IP_TEXT_MAX];
    slice value = encode(sample);
    json_t *object = json_loadb(value.data, value.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_size(object), 6);
    assert_says(object, "ip", (slice){ip, ip_write(sample->hit.ip, ip)});
    assert_says(object, "referrer", sample->hit.referrer);
    assert_says(object, "host", sample->hit.host);
    assert_says(object, "url", sample->hit.url);
    assert_says(object, "geodata", sample->place.geodata);
    json_decref(object);
}

static void the_form_is_that_of_the_old_job(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->hit.referrer = SLICE("https://news.example/\"quoted\"\\");
    sample->place.geodata = SLICE("{\"country\": \"IN\", \"state\": \"Karnataka\", \"city\": \"Bengaluru\"}");
    slice value = encode(sample);
    slice wanted =
        SLICE("{\"ip\":\"2001:db8::1\",\"event_timestamp\":\"2025-02-02 04:18:21.123\","
              "\"referrer\":\"https://news.example/\\\"quoted\\\"\\\\\",\"host\":\"shop.example\","
              "\"url\":\"https://shop.example/\",\"geodata\":\"{\\\"country\\\": \\\"IN\\\", \\\"state\\\": "
              "\\\"Karnataka\\\", \\\"city\\\": \\\"Bengaluru\\\"}\"}");
    assert_int_equal(value.len, wanted.len);
    assert_memory_equal(value.data, wanted.data, wanted.len);
    assert_same(sample);
    free(sample);
}

static void milliseconds_have_three_digits_always(void **state)
{
    static const struct {
        int64_t ms;
        slice text;
    } times[] = {{0, SLICE("1970-01-01 00:00:00.000")},
                 {-1, SLICE("1969-12-31 23:59:59.999")},
                 {1738469901120, SLICE("2025-02-02 04:18:21.120")},
                 {4102444799009, SLICE("2099-12-31 23:59:59.009")}};
    (void)state;
    struct sample *sample = sample_new();
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        sample->hit.event_time.ms = times[i].ms;
        slice value = encode(sample);
        json_t *object = json_loadb(value.data, value.len, 0, NULL);
        assert_says(object, "event_timestamp", times[i].text);
        json_decref(object);
    }
    free(sample);
}

/* Nothing that a row may hold has no room. */
static void the_longest_texts_fit_escaped(void **state)
{
    (void)state;
    static char quotes[HIT_MAX_URL];
    memset(quotes, '"', sizeof quotes);
    struct sample *sample = sample_new();
    sample->hit.url = (slice){quotes, HIT_MAX_URL};
    sample->hit.referrer = (slice){quotes, HIT_MAX_REFERRER};
    sample->hit.host = (slice){quotes, HIT_MAX_HOST};
    sample->place.geodata = (slice){quotes, PLACE_MAX_TEXT_BYTES};
    assert_same(sample);
    free(sample);
}

static slice some_text(struct choice *choice, char *room, size_t max_pieces)
{
    static const char *const pieces[] = {
        "a", "/", "\"",      "\\",           "\xc3\xbc", "\xe4\xba\xac", "\xf0\x9f\x90\xbe",
        " ", "{", "\\u0041", "\xe2\x80\xa8", "</script>"};
    size_t count = choice_below(choice, max_pieces), len = 0;
    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[choice_below(choice, sizeof pieces / sizeof pieces[0])];
        memcpy(room + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return (slice){room, len};
}

static void any_clean_text_comes_through(void **state)
{
    (void)state;
    static char rooms[4][2048];
    struct sample *sample = sample_new();
    for (uint64_t seed = 0; seed < TRIALS; seed++) {
        struct choice choice = choice_seeded(seed);
        sample->hit.url = some_text(&choice, rooms[0], 200);
        sample->hit.referrer = some_text(&choice, rooms[1], 200);
        sample->hit.host = some_text(&choice, rooms[2], 20);
        sample->place.geodata = some_text(&choice, rooms[3], 100);
        assert_same(sample);
    }
    free(sample);
}

static void the_key_is_the_place_of_the_hit(void **state)
{
    (void)state;
    char key[PROCESSED_EVENT_MAX_KEY];
    size_t len = processed_event_key_write(&(struct batch_position){3, 1234, {0}}, key);
    assert_int_equal(len, strlen("3-1234"));
    assert_memory_equal(key, "3-1234", len);
    len = processed_event_key_write(&(struct batch_position){INT32_MAX, INT64_MAX, {0}}, key);
    assert_int_equal(len, strlen("2147483647-9223372036854775807"));
    assert_memory_equal(key, "2147483647-9223372036854775807", len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_is_that_of_the_old_job),
        cmocka_unit_test(milliseconds_have_three_digits_always),
        cmocka_unit_test(the_longest_texts_fit_escaped),
        cmocka_unit_test(any_clean_text_comes_through),
        cmocka_unit_test(the_key_is_the_place_of_the_hit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
