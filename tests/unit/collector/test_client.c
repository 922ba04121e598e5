/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/client: examples, and the property that matters: whatever a stranger writes left of the
 * first untrusted hop changes nothing. */
#include "collector/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static ip_range ranges[8];
static struct client_trust trust = {.ranges = ranges};

static int read_trust(void **state)
{
    struct why why;
    (void)state;
    return client_trust_read(slice_of("10.0.0.0/8, 192.168.1.1, 2001:db8::/32"), ranges, 8, &trust.count,
                             &why) == STATUS_OK
               ? 0
               : -1;
}

static ip_address address(const char *text)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(text), &ip), STATUS_OK);
    return ip;
}

static void check(const char *peer, const char *forwarded, const char *expected)
{
    ip_address peer_address, client;
    char text[IP_TEXT_MAX];
    if (peer)
        peer_address = address(peer);
    enum status status = client_find(&trust, peer ? &peer_address : NULL, slice_of(forwarded), &client);
    slice found = {text, status == STATUS_OK ? ip_write(client, text) : 0};
    assert_true(status == STATUS_OK || status == STATUS_MISSING);
    if (!slice_equals(found, slice_of(expected ? expected : "")))
        fail_msg("%s behind %s: %.*s instead of %s", forwarded, peer ? peer : "unix", SLICE_ARGS(found),
                 expected ? expected : "none");
}

static void examples(void **state)
{
    static const struct {
        const char *peer; /* NULL: a unix socket */
        const char *forwarded;
        const char *client; /* NULL: none to be found */
    } cases[] = {
        {"203.0.113.9", "", "203.0.113.9"},
        {"203.0.113.9", "198.51.100.1", "203.0.113.9"}, /* a stranger's word */
        {"10.1.2.3", "", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1", "198.51.100.1"},
        {"10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
        {"10.1.2.3", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"},
        {"10.1.2.3", "nonsense, 198.51.100.1 ,10.9.9.9", "198.51.100.1"},
        {"10.1.2.3", "198.51.100.1, nonsense", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1,", "10.1.2.3"},
        {"10.1.2.3", "unknown", "10.1.2.3"},
        {"10.1.2.3", "10.0.0.7, 10.0.0.8", "10.0.0.7"}, /* somebody inside */
        {"10.1.2.3", ", 10.0.0.8", "10.1.2.3"},
        {"::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"},
        {"2001:db8::5", "2a00:1::1", "2a00:1::1"},
        {"10.1.2.3", "[2a00:1::1]:4711", "2a00:1::1"},
        {"10.1.2.3", "[2a00:1::1]", "2a00:1::1"},
        {"10.1.2.3", "198.51.100.1:4711", "198.51.100.1"},
        {"10.1.2.3", "198.51.100.1:x", "10.1.2.3"},
        {"10.1.2.3", "[198.51.100.1]:80", "10.1.2.3"},
        {"10.1.2.3", "[2a00:1::1", "10.1.2.3"},
        {"10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"},
        {NULL, "198.51.100.1", "198.51.100.1"},
        {NULL, "198.51.100.1, 10.1.1.1", "198.51.100.1"},
        {NULL, "", NULL},
        {NULL, "nonsense", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(cases[i].peer, cases[i].forwarded, cases[i].client);
}

static uint32_t draw(uint32_t below)
{
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static void add_hop(struct buf *chain, const char *hop)
{
    if (chain->len > 0)
        buf_add(chain, draw(2) ? SLICE(", ") : SLICE(","));
    buf_add(chain, slice_of(hop));
}

static void nothing_left_of_the_first_stranger_counts(void **state)
{
    static const char *const junk[] = {"1.1.1.1", "10.0.0.1",    "",         "\"", "[::1",
                                       "x",       "2001:db8::9", "8.8.8.8:1"};
    static const char *const trusted[] = {"10.0.0.1", "10.255.0.9:80", "192.168.1.1", "[2001:db8::7]:443"};
    static const char *const strangers[] = {"203.0.113.1", "2a00:1::2", "9.9.9.9:5000", "[2a00:1::3]"};
    static const char *const answers[] = {"203.0.113.1", "2a00:1::2", "9.9.9.9", "2a00:1::3"};
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char memory[1024];
        struct buf chain;
        buf_init(&chain, memory, sizeof(memory) - 1);
        for (uint32_t i = draw(6); i > 0; i--)
            add_hop(&chain, junk[draw(8)]);
        uint32_t visitor = draw(4);
        add_hop(&chain, strangers[visitor]);
        for (uint32_t i = draw(4); i > 0; i--)
            add_hop(&chain, trusted[draw(4)]);
        memory[chain.len] = '\0';
        check(draw(2) ? "10.5.5.5" : NULL, memory, answers[visitor]);
        check("203.0.113.77", memory, "203.0.113.77");
    }
}

static void bad_ranges_are_refused_by_name(void **state)
{
    ip_range few[2];
    size_t count = 77;
    struct why why = {.text = ""};
    (void)state;
    assert_int_equal(client_trust_read(slice_of("10.0.0.0/8, 10.0.0.1/8"), few, 2, &count, &why),
                     STATUS_MALFORMED);
    assert_non_null(strstr(why.text, "http.trusted_proxies"));
    assert_non_null(strstr(why.text, "10.0.0.1/8"));
    assert_int_equal(client_trust_read(slice_of("::1, ::2, ::3"), few, 2, &count, &why), STATUS_TOO_BIG);
    assert_int_equal(count, 77);
    assert_int_equal(client_trust_read(slice_of(""), few, 2, &count, &why), STATUS_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(nothing_left_of_the_first_stranger_counts),
        cmocka_unit_test(bad_ranges_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, read_trust, NULL);
}
