/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/mention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/mention.h"
#include "tests/lib/choice.h"

static bool has(const char *text, const char *address)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    /* A copy of its own length: a step too far is seen. */
    size_t len = strlen(text);
    char *copy = must_malloc(len + 1);
    memcpy(copy, text, len);
    copy = must_realloc(copy, len > 0 ? len : 1);
    bool found = mention_has((slice){copy, len}, ip);
    free(copy);
    return found;
}

static void an_ipv4_address_is_found_in_every_spelling(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "81.2.69.142",
        "{\"ip\":\"81.2.69.142\",\"host\":",
        "\"headers\": \"{\\\"X-Forwarded-For\\\":\\\"10.0.0.1, 81.2.69.142\\\"}\"",
        "81.2.69.142:443",
        "[::ffff:81.2.69.142]:443",
        "::FFFF:81.2.69.142",
        "\"::ffff:5102:458e\"",
        "0:0:0:0:0:ffff:5102:458E",
        "081.002.069.142",
        "081.2.69.142 081.002.69.1",
        "\"ip\":\"81\\u002e2\\u002E69.14\\u0032\"",
        "line\\b81.2.69.142\\f",
        "it was 81.2.69.142.",
        "ip:81.2.69.142:",
        "https://81.2.69.142/page",
        "\x01\xff\x80"
        "81.2.69.142\xff",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!has(texts[i], "81.2.69.142"))
            fail_msg("not found in %s", texts[i]);
}

static void an_ipv6_address_is_found_in_every_spelling(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2001:db8::a1",
        "[2001:db8::a1]:7110",
        "{\"ip\": \"2001:DB8::A1\"}",
        "2001:0db8:0000:0000:0000:0000:0000:00a1",
        "2001:db8:0:0:0:0:0.0.0.161",
        "2001:db8::a1%eth0",
        "2001\\u003adb8\\u003a\\u003aa1",
        "from:2001:db8::a1: no",
        "2001:db8::a1.",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!has(texts[i], "2001:db8::a1"))
            fail_msg("not found in %s", texts[i]);
}

static void another_address_is_not_it(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "81.2.69.14",
        "81.2.69.1421",
        "181.2.69.142",
        "81.2.69.142.7",
        "81.2.690.142",
        "81.2.69,142",
        "81.2.69",
        "::ffff:81.2.69.143",
        "5102458e",
        "81\\n.2.69.142",
        "\\",
        "\\u",
        "81.2.69.14\\u00",
        ":",
        "::",
        ".",
        "....",
        "00000000000000000000000000000000000000000000000000000000081.2.69.142",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (has(texts[i], "81.2.69.142"))
            fail_msg("found in %s", texts[i]);
    assert_false(has("2001:db8::a10", "2001:db8::a1"));
    assert_false(has("12001:db8::a1", "2001:db8::a1"));
    assert_false(has("2001:db8:::a1", "2001:db8::a1"));
    assert_false(has("2001:db8::a1:0", "2001:db8::a1"));
}

/* Whatever stands around it, as long as that is no part of an address. */
static void noise_neither_hides_nor_makes_one(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(5);
    ip_address ip, other;
    assert_int_equal(ip_read(SLICE("81.2.69.142"), &ip), STATUS_OK);
    assert_int_equal(ip_read(SLICE("81.2.69.143"), &other), STATUS_OK);
    for (int round = 0; round < 20000; round++) {
        char bytes[80];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = "0123456789abcdefABCDEFx.:\\u\"\x80 "[choice_below(&choice, 31)];
        (void)mention_has((slice){bytes, sizeof bytes}, ip);
        size_t at = choice_below(&choice, 60);
        memcpy(bytes + at, " \"81.2.69.142\" ", 15); /* the space, for a backslash before it */
        assert_true(mention_has((slice){bytes, sizeof bytes}, ip));
    }
    assert_false(mention_has(SLICE("81.2.69.142"), other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_found_in_every_spelling),
        cmocka_unit_test(an_ipv6_address_is_found_in_every_spelling),
        cmocka_unit_test(another_address_is_not_it),
        cmocka_unit_test(noise_neither_hides_nor_makes_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
