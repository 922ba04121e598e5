/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/hit_encode: any hit is read back, by us and by a JSON library; and nothing is allocated. */
#include "proto/hit.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/sample_hit.h"

enum { ROUNDS = 20000 };

static struct sample_hit sample;
static char value_memory[HIT_MAX_BYTES], scratch_memory[HIT_MAX_BYTES];

void *__wrap_must_malloc(unsigned long size);
void *__wrap_must_realloc(void *memory, unsigned long size);

void *__wrap_must_malloc(unsigned long size)
{
    (void)size;
    fail_msg("a hit is encoded and decoded without allocation");
    return NULL;
}

void *__wrap_must_realloc(void *memory, unsigned long size)
{
    (void)memory;
    return __wrap_must_malloc(size);
}

static slice encode(const struct hit *hit)
{
    struct buf out;
    buf_init(&out, value_memory, sizeof value_memory);
    hit_encode(hit, &out);
    assert_false(out.overflowed);
    return buf_slice(&out);
}

static void any_hit_is_read_back(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(22);
    for (int round = 0; round < ROUNDS; round++) {
        struct hit back;
        struct buf scratch;
        sample_hit_choose(&sample, &choice);
        slice value = encode(&sample.hit);
        buf_init(&scratch, scratch_memory, value.len);
        assert_int_equal(hit_decode(value, &scratch, &back), HIT_GOOD);
        assert_true(hits_are_equal(&sample.hit, &back));
    }
}

static void check_text(const json_t *object, enum hit_field field, slice expected, bool is_always_there)
{
    char name[64] = {0};
    memcpy(name, hit_field_name(field).data, hit_field_name(field).len);
    const json_t *text = json_object_get(object, name);
    if (expected.len == 0 && !is_always_there) {
        assert_null(text);
        return;
    }
    assert_true(json_is_string(text));
    assert_true(slice_equals((slice){json_string_value(text), json_string_length(text)}, expected));
}

static void check_texts(const json_t *object, const struct hit *hit)
{
    char ip[IP_TEXT_MAX], time[TIMESTAMP_TEXT_LEN];
    timestamp_write(hit->event_time, time);
    check_text(object, HIT_FIELD_URL, hit->url, true);
    check_text(object, HIT_FIELD_REFERRER, hit->referrer, true);
    check_text(object, HIT_FIELD_USER_AGENT, hit->user_agent, true);
    check_text(object, HIT_FIELD_HOST, hit->host, true);
    check_text(object, HIT_FIELD_IP, (slice){ip, ip_write(hit->ip, ip)}, true);
    check_text(object, HIT_FIELD_HEADERS, hit->headers, true);
    check_text(object, HIT_FIELD_EVENT_TIME, (slice){time, sizeof time}, true);
    check_text(object, HIT_FIELD_LANGUAGE, hit->language, false);
    check_text(object, HIT_FIELD_TITLE, hit->title, false);
    check_text(object, HIT_FIELD_SCREEN, hit->screen, false);
}

static void a_json_library_reads_the_same(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(23);
    for (int round = 0; round < ROUNDS / 4; round++) {
        sample_hit_choose(&sample, &choice);
        slice value = encode(&sample.hit);
        json_t *object = json_loadb(value.data, value.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        check_texts(object, &sample.hit);
        assert_int_equal(json_integer_value(json_object_get(object, "v")), HIT_VERSION);
        assert_int_equal(json_integer_value(json_object_get(object, "seq")), sample.hit.seq);
        assert_int_equal(json_integer_value(json_object_get(object, "flags")), sample.hit.flags);
        json_decref(object);
    }
}

/* The exact bytes, for those who look at the topic. */
static void a_hit_looks_like_this(void **state)
{
    (void)state;
    struct hit hit = {
        .url = SLICE("https://shop.example/?q=\"x\""),
        .host = SLICE("shop.example"),
        .headers = SLICE("{\"accept\":\"*/*\"}"),
        .event_time = {INT64_C(1738469901123)},
        .source = HIT_BEACON,
        .has_id = true,
        .has_stream = true,
        .stream = {.partition = 3},
        .seq = 17,
        .has_received_time = true,
        .received_time = {INT64_C(1738469902000)},
        .title = SLICE("Home"),
        .flags = HIT_FLAG_NO_AGENT,
    };
    assert_int_equal(ip_read(SLICE("192.0.2.7"), &hit.ip), STATUS_OK);
    slice expected =
        SLICE("{\"url\":\"https://shop.example/?q=\\\"x\\\"\",\"referrer\":\"\",\"user_agent\":\"\","
              "\"host\":\"shop.example\",\"ip\":\"192.0.2.7\","
              "\"headers\":\"{\\\"accept\\\":\\\"*/*\\\"}\","
              "\"event_time\":\"2025-02-02T04:18:21.123Z\",\"v\":1,"
              "\"id\":\"00000000-0000-0000-0000-000000000000\",\"source\":\"beacon\","
              "\"stream\":\"00000000000000000000000000000000-3\",\"seq\":17,"
              "\"received_time\":\"2025-02-02T04:18:22.000Z\",\"title\":\"Home\",\"flags\":4}");
    assert_true(slice_equals(encode(&hit), expected));
}

static void a_full_buf_is_marked(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(24);
    sample_hit_choose(&sample, &choice);
    size_t len = encode(&sample.hit).len;
    struct buf out;
    buf_init(&out, value_memory, len - 1);
    hit_encode(&sample.hit, &out);
    assert_true(out.overflowed);
}

/* Each text of the greatest length and escaped at its longest: HIT_MAX_BYTES hold what a collector can make
 * of texts that are clean. */
static void the_longest_hit_fits(void **state)
{
    (void)state;
    static char quotes[HIT_MAX_HEADERS];
    memset(quotes, '"', sizeof quotes);
    struct hit hit = {
        .url = {quotes, HIT_MAX_URL},
        .referrer = {quotes, HIT_MAX_REFERRER},
        .user_agent = {quotes, HIT_MAX_USER_AGENT},
        .host = {quotes, HIT_MAX_HOST},
        .headers = {quotes, HIT_MAX_HEADERS},
        .language = {quotes, HIT_MAX_LANGUAGE},
        .title = {quotes, HIT_MAX_TITLE},
        .screen = {quotes, HIT_MAX_SCREEN},
    };
    assert_true(encode(&hit).len < HIT_MAX_BYTES);
}

static void encode_without_number(void *unused)
{
    (void)unused;
    struct hit hit = {.has_stream = true};
    encode(&hit);
}

static void a_stream_without_a_number_stops(void **state)
{
    (void)state;
    assert_int_equal(child_signal(encode_without_number, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_hit_is_read_back),  cmocka_unit_test(a_json_library_reads_the_same),
        cmocka_unit_test(a_hit_looks_like_this), cmocka_unit_test(a_full_buf_is_marked),
        cmocka_unit_test(the_longest_hit_fits),  cmocka_unit_test(a_stream_without_a_number_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
