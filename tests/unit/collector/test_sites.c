/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/sites. */
#include "collector/sites.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static struct sites *make(const char *list)
{
    struct why why = {.text = ""};
    struct sites *sites = sites_new(slice_of(list), &why);
    if (!sites)
        fail_msg("%s", why.text);
    return sites;
}

static void names_match_exactly_and_stars_below(void **state)
{
    (void)state;
    struct sites *sites = make("Example.com, *.example.org,localhost, 192.0.2.1, [2001:db8::1]");
    assert_int_equal(sites_count(sites), 5);
    static const char *const in[] = {"example.com", "a.example.org", "a.b.example.org",
                                     "localhost",   "192.0.2.1",     "[2001:db8::1]"};
    static const char *const out[] = {"www.example.com",
                                      "example.org",
                                      "xexample.org",
                                      "example.org.evil.net",
                                      "com",
                                      "evil.localhost",
                                      "192.0.2.2",
                                      ""};
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
        if (!sites_has(sites, slice_of(in[i])))
            fail_msg("%s is left out", in[i]);
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        if (sites_has(sites, slice_of(out[i])))
            fail_msg("%s is let in", out[i]);
    sites_free(&sites);
    assert_null(sites);
    sites_free(&sites);
}

static void bad_lists_are_refused_by_name(void **state)
{
    static const char *const lists[] = {
        "",
        " , ",
        "http://example.com",
        "example.com/path",
        "example.com:80",
        "*",
        "*.",
        "a.*.com",
        "*.*.com",
        "exam ple.com",
        "a..b",
        "*example.com",
        "ok.com, ?",
        "ex\xc3\xa4.de",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct why why = {.text = ""};
        struct sites *sites = sites_new(slice_of(lists[i]), &why);
        if (sites)
            fail_msg("\"%s\" is taken", lists[i]);
        assert_non_null(strstr(why.text, "sites.hosts"));
    }
}

static void many_sites_are_all_found(void **state)
{
    enum { COUNT = 20000 };
    struct buf list;
    (void)state;
    buf_init_growing(&list, 4096, 1 << 20);
    for (int i = 0; i < COUNT; i++)
        buf_add_format(&list, "%sh%d.example.net,", i % 2 ? "*." : "", i);
    buf_add_char(&list, '\0');
    struct sites *sites = make(list.data);
    for (int i = 0; i < COUNT; i++) {
        char host[64];
        snprintf(host, sizeof(host), "h%d.example.net", i);
        assert_int_equal(sites_has(sites, slice_of(host)), i % 2 == 0);
        snprintf(host, sizeof(host), "www.h%d.example.net", i);
        assert_int_equal(sites_has(sites, slice_of(host)), i % 2 == 1);
    }
    sites_free(&sites);
    buf_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_exactly_and_stars_below),
        cmocka_unit_test(bad_lists_are_refused_by_name),
        cmocka_unit_test(many_sites_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
