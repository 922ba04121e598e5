/* SPDX-License-Identifier: Apache-2.0
 * What a handler sees of a request and what a route is: fields, prefix, paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/http/routes.h"

static const struct http_request request = {
    .field_count = 4,
    .fields =
        {
            {SLICE("Host"), SLICE("example.com")},
            {SLICE("X-Forwarded-For"), SLICE("192.0.2.1, 192.0.2.2")},
            {SLICE("Empty"), {NULL, 0}},
            {SLICE("x-forwarded-FOR"), SLICE("192.0.2.3")},
        },
};

static void a_field_is_found_whatever_its_case(void **state)
{
    (void)state;
    assert_true(slice_equals(http_field(&request, SLICE("HOST")), SLICE("example.com")));
    assert_true(slice_equals(http_field(&request, SLICE("x-forwarded-for")), SLICE("192.0.2.1, 192.0.2.2")));
    assert_int_equal(http_field(&request, SLICE("empty")).len, 0);
    assert_int_equal(http_field(&request, SLICE("absent")).len, 0);
    assert_int_equal(http_field(&request, SLICE("hos")).len, 0);
}

static void fields_of_one_name_are_joined(void **state)
{
    char memory[64], small[10];
    struct buf out;
    (void)state;
    buf_init(&out, memory, sizeof(memory));
    assert_int_equal(http_field_joined(&request, SLICE("X-Forwarded-For"), &out), STATUS_OK);
    assert_true(slice_equals(buf_slice(&out), SLICE("192.0.2.1, 192.0.2.2, 192.0.2.3")));
    buf_clear(&out);
    assert_int_equal(http_field_joined(&request, SLICE("absent"), &out), STATUS_OK);
    assert_int_equal(out.len, 0);
    buf_init(&out, small, sizeof(small));
    assert_int_equal(http_field_joined(&request, SLICE("X-Forwarded-For"), &out), STATUS_TOO_BIG);
}

static void get_page(void *context, struct http_request *asked)
{
    (void)context;
    (void)asked;
}

static void post_page(void *context, struct http_request *asked)
{
    (void)context;
    (void)asked;
}

static const struct http_route table[] = {
    {HTTP_GET, "/", get_page},
    {HTTP_GET, "/page", get_page},
    {HTTP_POST | HTTP_OPTIONS, "/page", post_page},
};

struct ask {
    const char *prefix;
    enum http_method method;
    const char *path;
    http_handler_fn *handler;
    unsigned allowed;
};

static void routes_are_exact(void **state)
{
    static const struct ask asks[] = {
        {"", HTTP_GET, "/", get_page, HTTP_GET | HTTP_HEAD},
        {"", HTTP_GET, "/page", get_page, HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS},
        {"", HTTP_HEAD, "/page", get_page, HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS},
        {"", HTTP_POST, "/page", post_page, HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS},
        {"", HTTP_POST, "/", NULL, HTTP_GET | HTTP_HEAD},
        {"", HTTP_GET, "/page/", NULL, 0},
        {"", HTTP_GET, "/pag", NULL, 0},
        {"", HTTP_GET, "/PAGE", NULL, 0},
        {"", HTTP_GET, "//page", NULL, 0},
        {"/ff", HTTP_GET, "/ff/page", get_page, HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_OPTIONS},
        {"/ff", HTTP_GET, "/ff/", get_page, HTTP_GET | HTTP_HEAD},
        {"/ff", HTTP_GET, "/ff", NULL, 0},
        {"/ff", HTTP_GET, "/ffpage", NULL, 0},
        {"/ff", HTTP_GET, "/ffx/page", NULL, 0},
        {"/ff", HTTP_GET, "/page", NULL, 0},
        {"/ff", HTTP_GET, "/f", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        struct routes *routes = routes_new(slice_of(asks[i].prefix), table, sizeof(table) / sizeof(table[0]));
        struct http_request asked = {.method = asks[i].method, .path = slice_of(asks[i].path)};
        struct route_match match = routes_find(routes, &asked);
        if (match.handler != asks[i].handler || match.allowed != asks[i].allowed)
            fail_msg("%s %s", asks[i].prefix, asks[i].path);
        routes_free(&routes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_found_whatever_its_case),
        cmocka_unit_test(fields_of_one_name_are_joined),
        cmocka_unit_test(routes_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
