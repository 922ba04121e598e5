/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/beacon and collector/page: what a page may say, and the one line it hears otherwise. */
#include "collector/beacon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/hit.h"

static struct beacon beacon;
static char memory[128 * 1024];
static struct buf scratch;

static enum status read_body(enum beacon_kind kind, const char *body, struct why *why)
{
    buf_init(&scratch, memory, sizeof(memory));
    why->text[0] = '\0';
    return beacon_read(kind, slice_of(body), &scratch, &beacon, why);
}

static void take(enum beacon_kind kind, const char *body)
{
    struct why why;
    if (read_body(kind, body, &why) != STATUS_OK)
        fail_msg("%s: %s", body, why.text);
}

static void refuse(enum beacon_kind kind, const char *body, enum status status, const char *reason)
{
    struct why why;
    enum status got = read_body(kind, body, &why);
    if (got != status || strcmp(why.text, reason) != 0)
        fail_msg("%.200s: %s: %s", body, status_text(got), why.text);
}

static void expect_text(slice got, const char *expected)
{
    if (!slice_equals(got, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(got), expected);
}

static void expect_everything(const struct page *page)
{
    expect_text(page->url, "https://example.com/\xc3\xa4?a=1&b=2");
    expect_text(page->referrer, "https://other.org/");
    expect_text(page->title, "A \"title\"");
    expect_text(page->language, "de-AT");
    expect_text(page->screen, "1920x1080");
    expect_text(page->id, "abc");
    assert_int_equal(page->age_ms, 1500);
}

static void all_fields_come_through_json_and_form(void **state)
{
    (void)state;
    take(BEACON_JSON,
         "{\"url\":\"https://example.com/\\u00e4?a=1&b=2\",\"referrer\":\"https:\\/\\/other.org/\","
         "\"title\":\"A \\\"title\\\"\",\"language\":\"de-AT\",\"screen\":\"1920x1080\","
         "\"id\":\"abc\",\"age\":1500,\"extra\":{\"deep\":[1]}}");
    assert_int_equal(beacon.count, 1);
    assert_false(beacon.is_array);
    expect_everything(&beacon.pages[0]);
    take(BEACON_FORM,
         "url=https%3A%2F%2Fexample.com/%C3%A4?a=1%26b=2&referrer=https%3a//other.org/&"
         "title=A+%22title%22&language=de-AT&screen=1920x1080&id=abc&age=1500&extra=%ZZ&&novalue");
    assert_int_equal(beacon.count, 1);
    expect_everything(&beacon.pages[0]);
}

static void null_and_absent_are_alike(void **state)
{
    (void)state;
    take(BEACON_JSON, "{\"url\":\"http://a.b/\",\"referrer\":null,\"title\":null,\"id\":null,\"age\":null}");
    assert_int_equal(beacon.pages[0].referrer.len + beacon.pages[0].title.len + beacon.pages[0].id.len, 0);
    assert_int_equal(beacon.pages[0].age_ms, 0);
}

static void ages_are_clamped(void **state)
{
    static const struct {
        const char *age;
        int64_t ms;
    } ages[] = {{"0", 0},
                {"-5", 0},
                {"1", 1},
                {"86400000", 86400000},
                {"86400001", 86400000},
                {"99999999999999999999999", 86400000},
                {"-99999999999999999999999", 0}};
    char body[128];
    (void)state;
    for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        snprintf(body, sizeof(body), "{\"url\":\"http://a.b/\",\"age\":%s}", ages[i].age);
        take(BEACON_JSON, body);
        assert_int_equal(beacon.pages[0].age_ms, ages[i].ms);
        snprintf(body, sizeof(body), "age=%s", ages[i].age);
        take(BEACON_FORM, body);
        assert_int_equal(beacon.pages[0].age_ms, ages[i].ms);
    }
}

static void arrays_are_all_or_nothing(void **state)
{
    struct buf many;
    (void)state;
    take(BEACON_JSON, " [ {\"url\":\"http://a.b/1\"} , {\"url\":\"http://a.b/2\"} ] ");
    assert_true(beacon.is_array);
    assert_int_equal(beacon.count, 2);
    expect_text(beacon.pages[1].url, "http://a.b/2");
    refuse(BEACON_JSON, "[]", STATUS_MISSING, "the array holds no hit");
    refuse(BEACON_JSON, "[{\"url\":\"x\"},7]", STATUS_MALFORMED, "hits[1]: a hit must be a JSON object");
    refuse(BEACON_JSON, "[{\"url\":\"x\"},{\"url\":\"x\"},{\"url\":1}]", STATUS_MALFORMED,
           "hits[2]: url is no text");
    buf_init_growing(&many, 1024, 1 << 20);
    for (int i = 0; i < BEACON_MAX_HITS; i++)
        buf_add(&many, i == 0 ? SLICE("[{\"url\":\"x\"}") : SLICE(",{\"url\":\"x\"}"));
    size_t len = many.len;
    buf_add_bytes(&many, "]", 2);
    take(BEACON_JSON, many.data);
    assert_int_equal(beacon.count, BEACON_MAX_HITS);
    many.len = len;
    buf_add_bytes(&many, ",{}]", 5);
    refuse(BEACON_JSON, many.data, STATUS_TOO_BIG, "more than 64 hits in one request");
    buf_fini(&many);
}

static void bad_fields_are_named(void **state)
{
    char body[HIT_MAX_URL + 64];
    (void)state;
    refuse(BEACON_JSON, "{\"url\":true}", STATUS_MALFORMED, "url is no text");
    refuse(BEACON_JSON, "{\"title\":[]}", STATUS_MALFORMED, "title is no text");
    refuse(BEACON_JSON, "{\"age\":1.5}", STATUS_MALFORMED, "age is no whole number of milliseconds");
    refuse(BEACON_JSON, "{\"age\":\"5\"}", STATUS_MALFORMED, "age is no whole number of milliseconds");
    refuse(BEACON_FORM, "age=5x", STATUS_MALFORMED, "age is no whole number of milliseconds");
    refuse(BEACON_FORM, "age=", STATUS_MALFORMED, "age is no whole number of milliseconds");
    refuse(BEACON_FORM, "url=%4", STATUS_MALFORMED, "url is not percent-encoded");
    refuse(BEACON_FORM, "url=a&title=b&url=c", STATUS_MALFORMED, "url stands twice");
    refuse(BEACON_JSON, "\"text\"", STATUS_MALFORMED, "a hit must be a JSON object");
    memset(body, 'x', sizeof(body));
    memcpy(body, "url=", 4);
    body[4 + HIT_MAX_URL] = '\0';
    take(BEACON_FORM, body);
    body[4 + HIT_MAX_URL] = 'x';
    body[5 + HIT_MAX_URL] = '\0';
    refuse(BEACON_FORM, body, STATUS_TOO_BIG, "url is longer than 4096 bytes");
    memcpy(body, "id=", 3);
    body[3 + PAGE_MAX_ID + 1] = '\0';
    refuse(BEACON_FORM, body, STATUS_TOO_BIG, "id is longer than 128 bytes");
}

static void bad_json_is_told_where(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "{\"url\":\"x\"",
        "{\"url\":\"x\"}}",
        "{\"url\":\"x\",\"url\":\"y\"}",
        "{\"url\":\"\xff\"}",
        "{'url':'x'}",
        "url=x",
        "{\"url\":\"\\ud800\"}",
        "{\"a\":01}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct why why;
        assert_int_equal(read_body(BEACON_JSON, bodies[i], &why), STATUS_MALFORMED);
        assert_non_null(strstr(why.text, "at byte") ? why.text : strstr(why.text, "see byte"));
    }
}

static void content_types_decide_the_kind(void **state)
{
    (void)state;
    assert_int_equal(beacon_kind(SLICE("")), BEACON_JSON);
    assert_int_equal(beacon_kind(SLICE("text/plain;charset=UTF-8")), BEACON_JSON);
    assert_int_equal(beacon_kind(SLICE("Application/JSON ; charset=x")), BEACON_JSON);
    assert_int_equal(beacon_kind(SLICE("application/x-www-form-urlencoded;charset=UTF-8")), BEACON_FORM);
    assert_int_equal(beacon_kind(SLICE("multipart/form-data; boundary=x")), BEACON_UNKNOWN);
    assert_int_equal(beacon_kind(SLICE("text/html")), BEACON_UNKNOWN);
    assert_int_equal(beacon_kind(SLICE("text/plainer")), BEACON_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_come_through_json_and_form),
        cmocka_unit_test(null_and_absent_are_alike),
        cmocka_unit_test(ages_are_clamped),
        cmocka_unit_test(arrays_are_all_or_nothing),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(bad_json_is_told_where),
        cmocka_unit_test(content_types_decide_the_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
