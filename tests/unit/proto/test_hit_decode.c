/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/hit_decode: what other producers send, and every way in which a value is no hit. */
#include "proto/hit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

/* As little room as is promised to be enough. */
static char scratch_memory[HIT_MAX_BYTES];
static char value_memory[2 * HIT_MAX_BYTES];

static enum hit_fault decode(slice value, struct hit *hit)
{
    struct buf scratch;
    buf_init(&scratch, scratch_memory, value.len < sizeof scratch_memory ? value.len : sizeof scratch_memory);
    return hit_decode(value, &scratch, hit);
}

/* A good hit with one more member, or with one of its members replaced by another value. */
static slice hit_with(const char *name, const char *json)
{
    static const char *const members[][2] = {
        {"url", "\"https://shop.example/\""},
        {"host", "\"shop.example\""},
        {"ip", "\"192.0.2.7\""},
        {"event_time", "\"2025-02-02T04:18:21.123Z\""},
    };
    struct buf out;
    buf_init(&out, value_memory, sizeof value_memory);
    buf_add_char(&out, '{');
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i][0], name) != 0)
            buf_add_format(&out, "\"%s\":%s,", members[i][0], members[i][1]);
    if (json != NULL)
        buf_add_format(&out, "\"%s\":%s}", name, json);
    else
        out.data[out.len - 1] = '}';
    assert_false(out.overflowed);
    return buf_slice(&out);
}

static enum hit_fault fault_with(const char *name, const char *json)
{
    struct hit hit;
    return decode(hit_with(name, json), &hit);
}

static struct hit good_with(const char *name, const char *json)
{
    struct hit hit;
    assert_int_equal(decode(hit_with(name, json), &hit), HIT_GOOD);
    return hit;
}

/* The seven names as today's producers write them. */
static void todays_hits_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *time;
        int64_t ms;
    } times[] = {
        {"2025-02-02T04:18:21Z", INT64_C(1738469901000)},
        {"2025-02-02T04:18:21.123Z", INT64_C(1738469901123)},
        {"2025-02-02T04:18:21.123456Z", INT64_C(1738469901123)},
        {"2025-02-02T04:18:21.123456", INT64_C(1738469901123)},
        {"2025-02-02 04:18:21.123", INT64_C(1738469901123)},
        {"2025-02-02 04:18:21", INT64_C(1738469901000)},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct hit hit;
        struct buf out;
        buf_init(&out, value_memory, sizeof value_memory);
        buf_add_format(
            &out,
            "{\"url\": \"https://www.shop.example/signup?a=1\", \"referrer\": \"https://other.example/\", "
            "\"user_agent\": \"Mozilla/5.0 (X11; \\\"x\\\")\", \"host\": \"WWW.shop.example:443\", "
            "\"ip\": \" 192.0.2.7\", \"headers\": \"{\\\"Accept\\\": \\\"*/*\\\"}\", "
            "\"event_time\": \"%s\"}",
            times[i].time);
        assert_int_equal(decode(buf_slice(&out), &hit), HIT_GOOD);
        assert_true(slice_equals(hit.url, SLICE("https://www.shop.example/signup?a=1")));
        assert_true(slice_equals(hit.referrer, SLICE("https://other.example/")));
        assert_true(slice_equals(hit.user_agent, SLICE("Mozilla/5.0 (X11; \"x\")")));
        assert_true(slice_equals(hit.host, SLICE("www.shop.example")));
        assert_true(slice_equals(hit.headers, SLICE("{\"Accept\": \"*/*\"}")));
        assert_int_equal(hit.event_time.ms, times[i].ms);
        assert_false(hit.has_id || hit.has_stream || hit.has_received_time);
        assert_int_equal(hit.source, HIT_OTHER);
        assert_int_equal(hit.flags, 0);
    }
}

static void what_is_no_hit_is_told_why(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json; /* NULL: left out */
        enum hit_fault expected;
    } cases[] = {
        {"x", NULL, HIT_GOOD},
        {"ip", NULL, HIT_NO_IP},
        {"ip", "null", HIT_NO_IP},
        {"ip", "\"\"", HIT_NO_IP},
        {"ip", "\"unknown\"", HIT_NO_IP},
        {"ip", "\"192.0.2.7, 10.0.0.1\"", HIT_NO_IP},
        {"ip", "3221225991", HIT_NO_IP},
        {"ip", "\"0000:0000:0000:0000:0000:ffff:255.255.255.2551\"", HIT_NO_IP},
        {"host", NULL, HIT_NO_HOST},
        {"host", "\"\"", HIT_NO_HOST},
        {"host", "\"sh op\"", HIT_NO_HOST},
        {"host", "[\"shop\"]", HIT_NO_HOST},
        {"url", NULL, HIT_NO_URL},
        {"url", "\"\"", HIT_NO_URL},
        {"url", "\"\\u0007\"", HIT_NO_URL},
        {"url", "7", HIT_NO_URL},
        {"event_time", NULL, HIT_NO_TIME},
        {"event_time", "\"\"", HIT_NO_TIME},
        {"event_time", "\"yesterday\"", HIT_NO_TIME},
        {"event_time", "\"2025-02-30T00:00:00Z\"", HIT_NO_TIME},
        {"event_time", "1738469901123", HIT_NO_TIME},
        {"referrer", "7", HIT_BAD_FIELD},
        {"user_agent", "{}", HIT_BAD_FIELD},
        {"headers", "[]", HIT_BAD_FIELD},
        {"id", "7", HIT_BAD_FIELD},
        {"source", "7", HIT_BAD_FIELD},
        {"seq", "7", HIT_BAD_FIELD},                                         /* without stream */
        {"stream", "\"00112233445566778899aabbccddeeff-3\"", HIT_BAD_FIELD}, /* without seq */
        {"stream", "\"abc\",\"seq\":1", HIT_BAD_FIELD},
        {"stream", "\"00112233445566778899aabbccddeeff-3\",\"seq\":0", HIT_BAD_FIELD},
        {"stream", "\"00112233445566778899aabbccddeeff-3\",\"seq\":1.0", HIT_BAD_FIELD},
        {"stream", "\"00112233445566778899aabbccddeeff-3\",\"seq\":9223372036854775807", HIT_BAD_FIELD},
        {"stream", "\"00112233445566778899aabbccddeeff-2147483647x\",\"seq\":1", HIT_BAD_FIELD},
        {"received_time", "\"soon\"", HIT_BAD_FIELD},
        {"language", "true", HIT_BAD_FIELD},
        {"title", "[1]", HIT_BAD_FIELD},
        {"screen", "1920", HIT_BAD_FIELD},
        {"flags", "-1", HIT_BAD_FIELD},
        {"flags", "2147483648", HIT_BAD_FIELD},
        {"flags", "\"8\"", HIT_BAD_FIELD},
        {"v", "0", HIT_BAD_FIELD},
        {"v", "\"1\"", HIT_BAD_FIELD},
        {"v", "2", HIT_NEWER_VERSION},
        {"v", "2,\"referrer\":7", HIT_NEWER_VERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(fault_with(cases[i].name, cases[i].json), cases[i].expected);
}

/* So that one which cannot be stored can be accounted for. */
static void a_bad_hit_says_which_one_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool says;
    } cases[] = {
        {"{\"stream\":\"ab000000000000000000000000000000-3\",\"seq\":9}", true},
        {"{\"stream\":\"ab000000000000000000000000000000-3\",\"seq\":9,\"ip\":7}", true},
        {"{\"stream\":\"ab000000000000000000000000000000-3\"}", false},
        {"{\"stream\":\"ab000000000000000000000000000000-3\",\"seq\":0}", false},
        {"{\"stream\":\"ab-3\",\"seq\":9}", false},
        {"{\"seq\":9}", false},
        {"{\"stream\":\"ab000000000000000000000000000000-3\",\"seq\":9", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hit hit = {.has_stream = true};
        assert_int_not_equal(decode(slice_of(cases[i].value), &hit), HIT_GOOD);
        assert_int_equal(hit.has_stream, cases[i].says);
        if (hit.has_stream)
            assert_true(hit.seq == 9 && hit.stream.partition == 3 && hit.stream.boot.bytes[0] == 0xab);
    }
}

static void what_is_no_object_is_told_so(void **state)
{
    (void)state;
    static const slice bad[] = {
        SLICE(""),
        SLICE("null"),
        SLICE("[]"),
        SLICE("\"hit\""),
        SLICE("{"),
        SLICE("{} {}"),
        SLICE("{\"v\":1,\"v\":1}"),
        SLICE("{\"url\":\"\xFF\"}"),
        SLICE("{'url':1}"),
    };
    struct hit hit;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode(bad[i], &hit), HIT_NOT_JSON);
    assert_int_equal(decode(SLICE("{}"), &hit), HIT_NO_IP);
}

static void a_newer_version_is_seen_before_all_else(void **state)
{
    (void)state;
    struct hit hit;
    assert_int_equal(decode(SLICE("{\"visits\":[],\"v\":2}"), &hit), HIT_NEWER_VERSION);
}

static void names_that_are_not_ours_are_passed_over(void **state)
{
    (void)state;
    struct hit hit = good_with("extra", "{\"url\":\"no\",\"deep\":[[[1]]]},\"Url\":7,\"title\":\"t\"");
    assert_true(slice_equals(hit.url, SLICE("https://shop.example/")));
    assert_true(slice_equals(hit.title, SLICE("t")));
}

static void null_is_as_if_missing(void **state)
{
    (void)state;
    struct hit hit =
        good_with("v", "null,\"referrer\":null,\"id\":null,\"stream\":null,\"seq\":null,\"flags\":null,"
                       "\"received_time\":null,\"headers\":null,\"title\":null");
    assert_false(hit.has_id || hit.has_stream || hit.has_received_time);
    assert_int_equal(hit.title.len + hit.headers.len + hit.referrer.len, 0);
}

static void ids_of_all_kinds_are_read(void **state)
{
    (void)state;
    uuid id;
    assert_int_equal(uuid_read(SLICE("00112233445566778899aabbccddeeff"), &id), STATUS_OK);
    assert_true(uuid_equals(good_with("id", "\"00112233-4455-6677-8899-AABBCCDDEEFF\"").id, id));
    assert_true(uuid_equals(good_with("id", "\"00112233445566778899aabbccddeeff\"").id, id));
    assert_true(uuid_equals(good_with("id", "\"order-17\"").id, uuid_of_text(SLICE("order-17"))));
    assert_true(good_with("id", "\"order-17\"").has_id);
    assert_false(good_with("id", "\"\"").has_id);
}

static void an_unknown_source_is_other(void **state)
{
    (void)state;
    assert_int_equal(good_with("source", "\"pixel\"").source, HIT_PIXEL);
    assert_int_equal(good_with("source", "\"smoke signal\"").source, HIT_OTHER);
}

static void controls_are_dropped_and_noted(void **state)
{
    (void)state;
    struct hit hit = good_with("title", "\"a\\u0000b\\u001b[1m \x7F\\u20ac\",\"flags\":1");
    assert_true(slice_equals(hit.title, SLICE("ab[1m \xE2\x82\xAC")));
    assert_int_equal(hit.flags, HIT_FLAG_CLEANED | HIT_FLAG_BOT_AGENT);
    hit = good_with("title", "\"a\x7F"
                             "b\"");
    assert_true(slice_equals(hit.title, SLICE("ab")));
    assert_int_equal(hit.flags, HIT_FLAG_CLEANED);
    hit = good_with("headers", "{\"a\":\n\"b\"}"); /* the object itself, and not on one line */
    assert_true(slice_equals(hit.headers, SLICE("{\"a\":\"b\"}")));
}

/* "aaa…" of that many characters; piece is one character, escaped or not. */
static const char *long_text(size_t count, const char *piece)
{
    static char text[HIT_MAX_BYTES + 8];
    struct buf out;
    buf_init(&out, text, sizeof text);
    buf_add_char(&out, '"');
    for (size_t i = 0; i < count; i++)
        buf_add(&out, slice_of(piece));
    buf_add(&out, SLICE("\"\0"));
    assert_false(out.overflowed);
    return text;
}

static void long_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    assert_int_equal(good_with("url", long_text(HIT_MAX_URL, "u")).url.len, HIT_MAX_URL);
    assert_int_equal(good_with("url", long_text(HIT_MAX_URL + 1, "u")).url.len, HIT_MAX_URL);
    assert_int_equal(good_with("title", long_text(500, "\xE2\x82\xAC")).title.len, 510);
    assert_int_equal(good_with("title", long_text(500, "\\u20ac")).title.len, 510);
    assert_int_equal(good_with("title", long_text(500, "\\ud83d\\udc63")).title.len, 512);
    assert_int_equal(good_with("title", long_text(600, "t")).flags, 0);
    assert_int_equal(good_with("source", long_text(600, "t")).source, HIT_OTHER);
}

static void long_headers_are_left_out_whole(void **state)
{
    (void)state;
    assert_int_equal(good_with("headers", long_text(HIT_MAX_HEADERS, "h")).headers.len, HIT_MAX_HEADERS);
    assert_int_equal(good_with("headers", long_text(HIT_MAX_HEADERS + 1, "h")).headers.len, 0);
}

/* Nearly all of the greatest value is one text that needs decoding, cleaning and cutting. */
static void the_greatest_value_needs_no_more_room_than_its_length(void **state)
{
    (void)state;
    static char text[HIT_MAX_BYTES];
    memset(text, 'u', sizeof text);
    memcpy(text, "\"\\u0007\\\"", 9);
    size_t rest_len = hit_with("url", "").len;
    text[HIT_MAX_BYTES - rest_len - 1] = '"';
    text[HIT_MAX_BYTES - rest_len] = '\0';
    slice value = hit_with("url", text);
    struct hit hit;
    assert_int_equal(value.len, HIT_MAX_BYTES);
    assert_int_equal(decode(value, &hit), HIT_GOOD);
    assert_int_equal(hit.url.len, HIT_MAX_URL);
    assert_int_equal(hit.url.data[0], '"');
    value_memory[value.len] = ' ';
    assert_int_equal(decode((slice){value.data, value.len + 1}, &hit), HIT_TOO_BIG);
}

static void a_host_may_be_escaped_and_of_the_greatest_length(void **state)
{
    (void)state;
    char host[300];
    memset(host, 'H', sizeof host);
    for (size_t at = 50; at < 253; at += 50)
        host[at] = '.';
    memcpy(host, "\"\\u0048", 7);
    for (size_t at = 57; at < 260; at += 50)
        host[at] = '.', host[at - 7] = 'H';
    strcpy(host + 7 + 252, ".:65535\"");
    struct hit hit = good_with("host", host);
    assert_int_equal(hit.host.len, 253);
    assert_int_equal(hit.host.data[0], 'h');
    strcpy(host + 7 + 252, ".:655351\"");
    assert_int_equal(fault_with("host", host), HIT_NO_HOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(todays_hits_are_read),
        cmocka_unit_test(what_is_no_hit_is_told_why),
        cmocka_unit_test(a_bad_hit_says_which_one_it_is),
        cmocka_unit_test(what_is_no_object_is_told_so),
        cmocka_unit_test(a_newer_version_is_seen_before_all_else),
        cmocka_unit_test(names_that_are_not_ours_are_passed_over),
        cmocka_unit_test(null_is_as_if_missing),
        cmocka_unit_test(ids_of_all_kinds_are_read),
        cmocka_unit_test(an_unknown_source_is_other),
        cmocka_unit_test(controls_are_dropped_and_noted),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(long_headers_are_left_out_whole),
        cmocka_unit_test(the_greatest_value_needs_no_more_room_than_its_length),
        cmocka_unit_test(a_host_may_be_escaped_and_of_the_greatest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
