/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/json by examples; test_json_jansson compares it with a full parser. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void assert_slice(slice actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.data, expected, actual.len);
}

static struct json_value read_ok(const char *text)
{
    struct json_value value;
    assert_int_equal(json_read(slice_of(text), &value, NULL), STATUS_OK);
    return value;
}

struct refusal {
    const char *text;
    size_t where;
    enum status status;
};

static void it_refuses_and_says_where(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 0, STATUS_MALFORMED},
        {"  ", 2, STATUS_MALFORMED},
        {"{", 1, STATUS_MALFORMED},
        {"{}x", 2, STATUS_MALFORMED},
        {"{} {}", 3, STATUS_MALFORMED},
        {"[1,]", 3, STATUS_MALFORMED},
        {"[1 2]", 3, STATUS_MALFORMED},
        {"{\"a\":1,}", 7, STATUS_MALFORMED},
        {"{\"a\" 1}", 5, STATUS_MALFORMED},
        {"{a:1}", 1, STATUS_MALFORMED},
        {"{'a':1}", 1, STATUS_MALFORMED},
        {"{\"a\":1,\"a\":2}", 8, STATUS_MALFORMED},
        {"[{\"b\":{\"a\":1,\"c\":2,\"a\":3}}]", 20, STATUS_MALFORMED},
        {"{\"\":1,\"\":2}", 7, STATUS_MALFORMED},
        {"{\"\\u0061\":1}", 2, STATUS_MALFORMED},
        {"\"abc", 4, STATUS_MALFORMED},
        {"\"a\nb\"", 2, STATUS_MALFORMED},
        {"\"a\\x\"", 2, STATUS_MALFORMED},
        {"\"a\\u12g4\"", 2, STATUS_MALFORMED},
        {"\"a\\ud800\"", 2, STATUS_MALFORMED},
        {"\"a\\udc00\"", 2, STATUS_MALFORMED},
        {"\"a\\ud800\\u0041\"", 2, STATUS_MALFORMED},
        {"\"a\\", 2, STATUS_MALFORMED},
        {"\"a\x80\"", 2, STATUS_MALFORMED},
        {"\"a\xc0\xaf\"", 2, STATUS_MALFORMED},
        {"\"a\xed\xa0\x80\"", 2, STATUS_MALFORMED},
        {"\"a\xf4\x90\x80\x80\"", 2, STATUS_MALFORMED},
        {"\"a\xe2\x82\"", 2, STATUS_MALFORMED},
        {"01", 1, STATUS_MALFORMED},
        {"-", 1, STATUS_MALFORMED},
        {"+1", 0, STATUS_MALFORMED},
        {"1.", 2, STATUS_MALFORMED},
        {".5", 0, STATUS_MALFORMED},
        {"1e", 2, STATUS_MALFORMED},
        {"1e+", 3, STATUS_MALFORMED},
        {"0x10", 1, STATUS_MALFORMED},
        {"NaN", 0, STATUS_MALFORMED},
        {"tru", 0, STATUS_MALFORMED},
        {"True", 0, STATUS_MALFORMED},
        {"nullx", 4, STATUS_MALFORMED},
        {"\xef\xbb\xbf{}", 0, STATUS_MALFORMED},
        {"[[[[[[[[[1]]]]]]]]]", 8, STATUS_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct json_value value;
        size_t where = 999;
        enum status status = json_read(slice_of(refusals[i].text), &value, &where);
        if (status != refusals[i].status || where != refusals[i].where)
            fail_msg("%s: status %s at %zu", refusals[i].text, status_text(status), where);
        struct json_object object;
        where = 999;
        status = json_read_object(slice_of(refusals[i].text), &object, &where);
        if (status != refusals[i].status || where != refusals[i].where)
            fail_msg("%s as an object: status %s at %zu", refusals[i].text, status_text(status), where);
    }
}

static void a_failure_leaves_the_value_alone(void **state)
{
    (void)state;
    struct json_value value = {.kind = JSON_TRUE};
    assert_int_equal(json_read(SLICE("[1"), &value, NULL), STATUS_MALFORMED);
    assert_int_equal(value.kind, JSON_TRUE);
    assert_int_equal(json_read((slice){NULL, 0}, &value, NULL), STATUS_MALFORMED);
}

static void members_are_slices_of_the_text(void **state)
{
    (void)state;
    struct json_object object;
    struct json_value top = read_ok(" { \"url\" : \"a\\\"b\" ,\"n\":-12,\"l\":[1,{\"x\":\"]\"}], "
                                    "\"o\":{\"y\":\"}\"},\"t\":true,\"f\":false,\"z\":null } ");
    json_members(&top, &object);
    assert_int_equal(object.count, 7);
    assert_slice(object.members[0].name, "url");
    assert_slice(object.members[0].value.raw, "a\\\"b");
    assert_true(object.members[0].value.has_escapes);
    assert_slice(json_find(&object, SLICE("n"))->raw, "-12");
    assert_slice(json_find(&object, SLICE("l"))->raw, "[1,{\"x\":\"]\"}]");
    assert_slice(json_find(&object, SLICE("o"))->raw, "{\"y\":\"}\"}");
    assert_int_equal(json_find(&object, SLICE("t"))->kind, JSON_TRUE);
    assert_int_equal(json_find(&object, SLICE("f"))->kind, JSON_FALSE);
    assert_int_equal(json_find(&object, SLICE("z"))->kind, JSON_NULL);
    assert_null(json_find(&object, SLICE("ur")));
    top = read_ok("{ }");
    json_members(&top, &object);
    assert_int_equal(object.count, 0);
}

static void an_object_is_read_with_its_members(void **state)
{
    (void)state;
    struct json_object object;
    assert_int_equal(
        json_read_object(SLICE(" {\"a\" : {\"b\":1, \"c\":[{\"d\":2}]} ,\"e\":\"x\" } "), &object, NULL),
        STATUS_OK);
    assert_int_equal(object.count, 2);
    assert_slice(object.members[0].name, "a");
    assert_slice(object.members[0].value.raw, "{\"b\":1, \"c\":[{\"d\":2}]}");
    assert_slice(object.members[1].name, "e");
    assert_slice(object.members[1].value.raw, "x");
    assert_true(object.members[1].value.is_plain);
    assert_int_equal(json_read_object(SLICE("{}"), &object, NULL), STATUS_OK);
    assert_int_equal(object.count, 0);
}

static void what_is_no_object_is_refused_as_one(void **state)
{
    (void)state;
    static const char *const others[] = {" [{\"a\":1}]", " \"{}\"", " 5", " null", " true"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct json_object object;
        size_t where = 999;
        assert_int_equal(json_read_object(slice_of(others[i]), &object, &where), STATUS_MALFORMED);
        assert_int_equal(where, 1);
        assert_int_equal(object.count, 0);
    }
}

/* Each byte by itself, at each place of the eight that are looked at together. */
static void plain_is_printable_ascii_without_escapes(void **state)
{
    (void)state;
    for (int byte = 0x20; byte < 0x80; byte++) {
        for (size_t place = 0; place < 12; place++) {
            char text[] = "{\"a\":\"0123456789ab\"}";
            struct json_object object;
            text[6 + place] = (char)byte;
            if (byte == '"' || byte == '\\')
                continue;
            assert_int_equal(json_read_object(slice_of(text), &object, NULL), STATUS_OK);
            assert_int_equal(object.members[0].value.is_plain, byte != 0x7F);
        }
    }
    struct json_object object;
    assert_int_equal(json_read_object(SLICE("{\"a\":\"\\n\",\"b\":\"\xc3\xa9\",\"c\":1}"), &object, NULL),
                     STATUS_OK);
    for (size_t i = 0; i < 3; i++)
        assert_false(object.members[i].value.is_plain);
}

static void an_array_is_walked(void **state)
{
    (void)state;
    struct json_value item, top = read_ok("[ [1] , \"a,]\" ,{} , 5 ]");
    static const char *const expected[] = {"[1]", "a,]", "{}", "5"};
    slice rest = top.raw;
    for (size_t i = 0; i < 4; i++) {
        assert_true(json_next(&rest, &item));
        assert_slice(item.raw, expected[i]);
    }
    assert_false(json_next(&rest, &item));
    top = read_ok("[ ]");
    rest = top.raw;
    assert_false(json_next(&rest, &item));
}

static void texts_are_decoded(void **state)
{
    (void)state;
    char memory[64];
    struct buf scratch;
    slice text;
    struct json_value value = read_ok("\"plain \xc3\xa9\"");
    buf_init(&scratch, memory, sizeof(memory));
    assert_int_equal(json_text(&value, &scratch, &text), STATUS_OK);
    assert_slice(text, "plain \xc3\xa9");
    assert_int_equal(scratch.len, 0);
    value = read_ok("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\uD83D\\ude00.\"");
    assert_int_equal(json_text(&value, &scratch, &text), STATUS_OK);
    assert_slice(text, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.");
    value = read_ok("\"\\u0000\"");
    assert_int_equal(json_text(&value, &scratch, &text), STATUS_OK);
    assert_int_equal(text.len, 1);
    buf_init(&scratch, memory, 3);
    assert_int_equal(json_text(&value, &scratch, &text), STATUS_TOO_BIG);
}

static void integers_are_exact(void **state)
{
    (void)state;
    struct {
        const char *text;
        enum status status;
        int64_t number;
    } cases[] = {
        {"0", STATUS_OK, 0},
        {"-0", STATUS_OK, 0},
        {"9223372036854775807", STATUS_OK, INT64_MAX},
        {"-9223372036854775808", STATUS_OK, INT64_MIN},
        {"9223372036854775808", STATUS_RANGE, 7},
        {"1.0", STATUS_MALFORMED, 7},
        {"1e3", STATUS_MALFORMED, 7},
        {"\"1\"", STATUS_MALFORMED, 7},
        {"true", STATUS_MALFORMED, 7},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t number = 7;
        struct json_value value = read_ok(cases[i].text);
        assert_int_equal(json_int64(&value, &number), cases[i].status);
        assert_int_equal(number, cases[i].number);
    }
}

/* Names that share length, first and last eight bytes, so that their hashes meet. */
static size_t write_object(char *out, size_t count, size_t same)
{
    size_t len = 0;
    out[len++] = '{';
    for (size_t i = 0; i < count; i++)
        len +=
            (size_t)sprintf(out + len, "%s\"commonly%03zucommonly\":%zu", i ? "," : "", i == same ? 0 : i, i);
    out[len++] = '}';
    return len;
}

static void members_are_capped_and_names_unique(void **state)
{
    (void)state;
    char text[8192];
    struct json_value value;
    struct json_object object;
    size_t none = SIZE_MAX;
    assert_int_equal(json_read((slice){text, write_object(text, 128, none)}, &value, NULL), STATUS_OK);
    json_members(&value, &object);
    assert_int_equal(object.count, 128);
    assert_int_equal(json_read((slice){text, write_object(text, 129, none)}, &value, NULL), STATUS_TOO_BIG);
    for (size_t same = 1; same < 128; same++)
        assert_int_equal(json_read((slice){text, write_object(text, 128, same)}, &value, NULL),
                         STATUS_MALFORMED);
}

static void the_same_name_in_two_objects_is_fine(void **state)
{
    (void)state;
    (void)read_ok("{\"a\":{\"a\":{\"a\":1},\"b\":2},\"b\":[{\"a\":1},{\"a\":2}]}");
    struct json_value value;
    assert_int_equal(json_read(SLICE("{\"a\":{\"a\":1},\"a\":2}"), &value, NULL), STATUS_MALFORMED);
}

static void what_is_written_is_json(void **state)
{
    (void)state;
    char memory[128];
    struct buf out;
    buf_init(&out, memory, sizeof(memory));
    json_add_text(&out, (slice){"a\"\\\b\f\n\r\t\x01\x1f\0z", 12});
    assert_slice(buf_slice(&out), "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000z\"");
    buf_clear(&out);
    json_add_text(&out, SLICE("\xc3\xa9 \xe2\x82 \x80 \xf0\x9f\x98\x80 \xed\xa0\x80"));
    assert_slice(buf_slice(&out), "\"\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd \xf0\x9f\x98\x80 "
                                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buf_clear(&out);
    json_add_text(&out, (slice){NULL, 0});
    assert_slice(buf_slice(&out), "\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_refuses_and_says_where),
        cmocka_unit_test(a_failure_leaves_the_value_alone),
        cmocka_unit_test(members_are_slices_of_the_text),
        cmocka_unit_test(an_object_is_read_with_its_members),
        cmocka_unit_test(what_is_no_object_is_refused_as_one),
        cmocka_unit_test(plain_is_printable_ascii_without_escapes),
        cmocka_unit_test(an_array_is_walked),
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(members_are_capped_and_names_unique),
        cmocka_unit_test(the_same_name_in_two_objects_is_fine),
        cmocka_unit_test(what_is_written_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
