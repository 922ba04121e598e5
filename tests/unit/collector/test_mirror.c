/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/mirror. */
#include "collector/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/http/http.h"
#include "proto/hit.h"

static char memory[HIT_MAX_URL];
static struct buf scratch;
static struct http_request request;
static struct page page;
static ip_address client;

static void begin(void)
{
    buf_init(&scratch, memory, sizeof(memory));
    memset(&request, 0, sizeof(request));
}

static void add_field(const char *name, const char *value)
{
    request.fields[request.field_count++] = (struct http_field){slice_of(name), slice_of(value)};
}

/* As nginx sends it, but for one field; value NULL: left out. */
static enum status read_with(const char *name, const char *value, struct why *why)
{
    static const char *const fields[][2] = {
        {"Host", "shop.example.com"},          {"X-Request-ID", "00112233445566778899aabbccddeeff"},
        {"X-Original-URI", "/a/b?c=%20d"},     {"X-Original-Method", "GET"},
        {"X-Real-IP", "203.0.113.5"},          {"X-Forwarded-Proto", "https"},
        {"Referer", "https://elsewhere.net/"},
    };
    begin();
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        bool is_other = name && strcmp(name, fields[i][0]) == 0;
        if (!is_other || value)
            add_field(fields[i][0], is_other ? value : fields[i][1]);
    }
    why->text[0] = '\0';
    return mirror_read(&request, &scratch, &page, &client, why);
}

static void expect_text(slice got, const char *expected)
{
    if (!slice_equals(got, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(got), expected);
}

static void a_request_becomes_a_page(void **state)
{
    struct why why;
    char ip[IP_TEXT_MAX];
    (void)state;
    assert_int_equal(read_with(NULL, NULL, &why), STATUS_OK);
    expect_text(page.url, "https://shop.example.com/a/b?c=%20d");
    expect_text(page.referrer, "https://elsewhere.net/");
    expect_text(page.id, "00112233445566778899aabbccddeeff");
    expect_text((slice){ip, ip_write(client, ip)}, "203.0.113.5");
    assert_int_equal(page.age_ms, 0);
    assert_int_equal(read_with("X-Forwarded-Proto", NULL, &why), STATUS_OK);
    expect_text(page.url, "http://shop.example.com/a/b?c=%20d");
    assert_int_equal(read_with("X-Request-ID", NULL, &why), STATUS_OK);
    assert_int_equal(page.id.len, 0);
}

static void what_is_missing_is_named(void **state)
{
    static char long_uri[HIT_MAX_URL], long_id[PAGE_MAX_ID + 2];
    struct why why;
    (void)state;
    memset(long_uri, '/', sizeof(long_uri) - 1);
    memset(long_id, 'x', sizeof(long_id) - 1);
    assert_int_equal(read_with("X-Original-URI", NULL, &why), STATUS_MISSING);
    assert_non_null(strstr(why.text, "X-Original-URI"));
    assert_int_equal(read_with("X-Original-URI", "http://x/", &why), STATUS_MISSING);
    assert_int_equal(read_with("X-Original-URI", long_uri, &why), STATUS_TOO_BIG);
    assert_int_equal(read_with("X-Real-IP", NULL, &why), STATUS_MALFORMED);
    assert_non_null(strstr(why.text, "X-Real-IP"));
    assert_int_equal(read_with("X-Real-IP", "203.0.113.5, 1.1.1.1", &why), STATUS_MALFORMED);
    assert_int_equal(read_with("X-Forwarded-Proto", "ftp", &why), STATUS_MALFORMED);
    assert_int_equal(read_with("X-Request-ID", long_id, &why), STATUS_TOO_BIG);
}

static void page_views_are_get(void **state)
{
    (void)state;
    begin();
    assert_true(mirror_is_page_view(&request));
    add_field("x-original-method", "GET");
    assert_true(mirror_is_page_view(&request));
    static const char *const others[] = {"HEAD", "POST", "OPTIONS", "get", "PURGE"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        request.fields[0].value = slice_of(others[i]);
        assert_false(mirror_is_page_view(&request));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_becomes_a_page),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(page_views_are_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
