/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/script over the http server's bench. What the script does in a page: footfall.test.js.
 */
#include "collector/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

static const struct http_route routes[] = {{HTTP_GET, "/footfall.js", script_handle}};

static const char *ask(struct bench *bench, const char *method, const char *fields)
{
    char request[1024];
    snprintf(request, sizeof(request), "%s /footfall.js HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n",
             method, fields);
    return bench_talk(bench, slice_of(request));
}

static bool has_line(const char *reply, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "\r\n%s\r\n", line);
    return strstr(reply, whole) != NULL;
}

static void expect_common_fields(const char *reply)
{
    char tag[64];
    snprintf(tag, sizeof(tag), "ETag: %.*s", SLICE_ARGS(script_etag));
    assert_true(has_line(reply, tag));
    assert_true(has_line(reply, "Cache-Control: public, max-age=86400"));
    assert_true(has_line(reply, "Access-Control-Allow-Origin: *"));
    assert_true(has_line(reply, "Cross-Origin-Resource-Policy: cross-origin"));
    assert_true(has_line(reply, "X-Content-Type-Options: nosniff"));
}

static void the_script_is_served(void **state)
{
    const char *reply = ask(*state, "GET", "");
    assert_memory_equal(reply, "HTTP/1.1 200 OK\r\n", 17);
    expect_common_fields(reply);
    assert_true(has_line(reply, "Content-Type: text/javascript; charset=utf-8"));
    const char *body = strstr(reply, "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), script_text.len);
    assert_memory_equal(body, script_text.data, script_text.len);
    assert_true(script_text.len > 500 && script_text.len < 2000);
    const char *head = ask(*state, "HEAD", "");
    expect_common_fields(head);
    assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
}

static void a_browser_that_has_it_is_told_so(void **state)
{
    /* What stands before and after our tag. */
    static const char *const shapes[][2] = {
        {"", ""}, {"W/", ""}, {"\"other\", ", ""}, {"\"other\",W/", " ,\"x\""}, {"*, ", ""}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        char field[300];
        snprintf(field, sizeof(field), "If-None-Match: %s%.*s%s\r\n", shapes[i][0], SLICE_ARGS(script_etag),
                 shapes[i][1]);
        const char *reply = ask(*state, "GET", field);
        assert_memory_equal(reply, "HTTP/1.1 304 Not Modified\r\n", 27);
        expect_common_fields(reply);
        assert_null(strstr(reply, "\r\nContent-Type"));
        assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    }
    assert_memory_equal(ask(*state, "GET", "If-None-Match: *\r\n"), "HTTP/1.1 304 ", 13);
}

static void another_tag_gets_the_whole(void **state)
{
    static const char *const fields[] = {"If-None-Match: \"0123456789abcdef\"\r\n", "If-None-Match: \r\n",
                                         "If-None-Match: \"\"\r\n", "If-Match: *\r\n"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_memory_equal(ask(*state, "GET", fields[i]), "HTTP/1.1 200 OK\r\n", 17);
}

static int start(void **state)
{
    struct http_server_options options = bench_options();
    options.routes = routes;
    options.route_count = 1;
    return bench_set_up_with(state, &options);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_script_is_served),
        TEST(a_browser_that_has_it_is_told_so),
        TEST(another_tag_gets_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
