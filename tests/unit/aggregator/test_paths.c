/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/paths. test_writing_rollups compares it with the functions in SQL. */
#include "aggregator/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void assert_slice(slice found, const char *wanted)
{
    if (!slice_equals(found, slice_of(wanted)))
        fail_msg("'%.*s' is not '%s'", SLICE_ARGS(found), wanted);
}

static void a_page_is_the_path(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"https://shop.example/shoes/7", "/shoes/7"},
        {"https://shop.example/shoes/7?size=42#top", "/shoes/7"},
        {"https://shop.example/#top", "/"},
        {"https://shop.example", "/"},
        {"https://shop.example?q=/a", "/"},
        {"https://user@shop.example:8443/a/", "/a/"},
        {"//shop.example/a", "/a"},
        {"/a?b", "/a"},
        {"a/b:c", "a/b:c"},
        {"mailto:someone@shop.example", "someone@shop.example"},
        {"://shop.example/a", "://shop.example/a"},
        {"https:/a", "/a"},
        {"https:", "/"},
        {"", "/"},
        {"?", "/"},
        {"https://shop.example/\xc3\xa4?q", "/\xc3\xa4"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_slice(paths_page(slice_of(table[i][0])), table[i][1]);
}

static void a_referrer_is_its_host(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"https://www.Search.example/find?q=a", "www.Search.example"},
        {"https://search.example", "search.example"},
        {"https://search.example:8443/", "search.example"},
        {"https://search.example:/", "search.example"},
        {"https://a:b@c@search.example:1/", "search.example"},
        {"https://[2001:db8::1]:443/", "[2001:db8::1]"},
        {"https://[2001:db8::1]/", "[2001:db8::1]"},
        {"android-app://com.example.reader/", "com.example.reader"},
        {"search.example/path", "search.example"},
        {"search.example:80", "search.example"},
        {"about:blank", "about:blank"},
        {"://search.example/", ""},
        {"//search.example/", ""},
        {"https:///path", ""},
        {"https://:80/", ""},
        {"/path", ""},
        {"?", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_slice(paths_host(slice_of(table[i][0])), table[i][1]);
}

static void long_ones_are_cut_between_characters(void **state)
{
    (void)state;
    char text[2048] = "";
    strcat(text, "https://shop.example/");
    for (int i = 0; i < 400; i++)
        strcat(text, "\xc3\xa4");
    slice page = paths_page(slice_of(text));
    assert_int_equal(page.len, 1 + 2 * (PATHS_MAX_CHARS - 1));
    assert_slice(slice_from(page, page.len - 2), "\xc3\xa4");
    slice host = paths_host(slice_from(slice_of(text), strlen("https://shop.example/")));
    assert_int_equal(host.len, 2 * PATHS_MAX_CHARS);

    memset(text, 'a', 300);
    assert_int_equal(paths_page((slice){text, PATHS_MAX_CHARS}).len, PATHS_MAX_CHARS);
    assert_int_equal(paths_page((slice){text, PATHS_MAX_CHARS + 1}).len, PATHS_MAX_CHARS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_the_path),
        cmocka_unit_test(a_referrer_is_its_host),
        cmocka_unit_test(long_ones_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
