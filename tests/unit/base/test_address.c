/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/address: texts against inet_ntop, ranges against a bit by bit comparison. */
#include "base/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { ROUNDS = 100000 };

static ip_address read_good(const char *text)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(text), &ip), STATUS_OK);
    return ip;
}

/* With runs of zeros of every length and place, and many v4-mapped ones. */
static ip_address random_ip(struct choice *choice)
{
    ip_address ip;
    for (size_t i = 0; i < sizeof ip.bytes; i += 2) {
        bool is_zero = choice_one_in(choice, 2);
        ip.bytes[i] = is_zero || choice_one_in(choice, 4) ? 0 : (uint8_t)choice_below(choice, 256);
        ip.bytes[i + 1] = is_zero ? 0 : (uint8_t)choice_below(choice, 256);
    }
    if (choice_one_in(choice, 4)) {
        memset(ip.bytes, 0, 10);
        memset(ip.bytes + 10, 0xFF, 2);
    }
    return ip;
}

/* The C library writes what looks v4-compatible (::1.2.3.4) in dotted form; RFC 5952 asks for that only where
 * the prefix says so. */
static bool is_written_alike(ip_address ip)
{
    static const uint8_t zeros[12];
    return memcmp(ip.bytes, zeros, 12) != 0 || (ip.bytes[12] == 0 && ip.bytes[13] == 0);
}

static void texts_are_those_of_the_c_library(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(8);
    int v4_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char ours[IP_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
        ip_address ip = random_ip(&choice), back;
        slice text = {ours, ip_write(ip, ours)};
        const void *v4 = ip.bytes + 12;
        v4_count += ip_is_v4(ip);
        inet_ntop(ip_is_v4(ip) ? AF_INET : AF_INET6, ip_is_v4(ip) ? v4 : ip.bytes, theirs, sizeof theirs);
        if (is_written_alike(ip))
            assert_true(slice_equals(text, slice_of(theirs)));
        assert_int_equal(ip_read(text, &back), STATUS_OK);
        assert_true(ip_equals(ip, back));
    }
    assert_true(v4_count > ROUNDS / 10);
}

/* Texts that are nearly addresses: what we take is what the C library takes, and nothing ends it early. */
static void nearly_addresses_are_judged_like_the_c_library_does(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(9);
    int good_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        static const char spare[] = "0123456789abcdefABCDEF::..%[]/ ";
        char text[IP_TEXT_MAX + 1];
        size_t len = ip_write(random_ip(&choice), text);
        for (uint64_t i = choice_below(&choice, 3); i > 0; i--)
            text[choice_below(&choice, len)] = spare[choice_below(&choice, sizeof spare - 1)];
        text[len] = '\0';
        uint8_t v4[4], v6[16];
        ip_address ip;
        bool is_good = inet_pton(AF_INET, text, v4) == 1 || inet_pton(AF_INET6, text, v6) == 1;
        assert_int_equal(ip_read((slice){text, len}, &ip), is_good ? STATUS_OK : STATUS_MALFORMED);
        good_count += is_good;
    }
    assert_true(good_count > ROUNDS / 4 && good_count < ROUNDS - ROUNDS / 10);
}

static void one_address_has_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:C000:0201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"1::", "1::"},
        {"::192.0.2.1", "::c000:201"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[IP_TEXT_MAX];
        size_t len = ip_write(read_good(cases[i].text), text);
        assert_true(slice_equals((slice){text, len}, slice_of(cases[i].canonical)));
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const slice bad[] = {
        SLICE(""),
        SLICE("1.2.3"),
        SLICE("1.2.3.4.5"),
        SLICE("01.2.3.4"),
        SLICE("1.2.3.256"),
        SLICE("0x1.2.3.4"),
        SLICE("1.2.3.4 "),
        SLICE("1.2.3.4:80"),
        SLICE("1.2.3.4\0"),
        SLICE("fe80::1%eth0"),
        SLICE("[::1]"),
        SLICE("::1::"),
        SLICE("1:2:3:4:5:6:7"),
        SLICE("12345::"),
        SLICE(":1"),
        SLICE("::1.2.3"),
        SLICE("1:2:3:4:5:6:7:8:9"),
        SLICE("localhost"),
        SLICE("2130706433"),
        SLICE("0000:0000:0000:0000:0000:ffff:255.255.255.2551"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ip_address ip = {{9}};
        assert_int_equal(ip_read(bad[i], &ip), STATUS_MALFORMED);
        assert_int_equal(ip.bytes[0], 9);
    }
}

static bool model_range_has(ip_address base, unsigned bits, ip_address ip)
{
    for (unsigned bit = 0; bit < bits; bit++)
        if ((base.bytes[bit / 8] ^ ip.bytes[bit / 8]) & (0x80 >> bit % 8))
            return false;
    return true;
}

static void ranges_hold_what_shares_their_bits(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(10);
    for (int round = 0; round < ROUNDS; round++) {
        ip_range range = {.prefix_bits = (uint8_t)choice_below(&choice, 129)};
        ip_address ip = random_ip(&choice);
        for (unsigned bit = 0; bit < range.prefix_bits; bit++)
            range.base.bytes[bit / 8] |= (uint8_t)(ip.bytes[bit / 8] & (0x80 >> bit % 8));
        assert_true(ip_range_has(&range, ip));
        unsigned flipped = (unsigned)choice_below(&choice, 128);
        ip.bytes[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
        assert_int_equal(ip_range_has(&range, ip), model_range_has(range.base, range.prefix_bits, ip));
        assert_int_equal(ip_range_has(&range, ip), flipped >= range.prefix_bits);
    }
}

static void ranges_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int prefix_bits; /* -1: refused */
    } cases[] = {
        {"10.0.0.0/8", 104},
        {"10.0.0.1", 128},
        {"0.0.0.0/0", 96},
        {"::1", 128},
        {"2001:db8::/32", 32},
        {"::/0", 0},
        {"10.0.0.1/32", 128},
        {"::ffff:10.0.0.0/104", 104},
        {"10.0.0.1/8", -1},
        {"2001:db8::1/64", -1},
        {"10.0.0.0/33", -1},
        {"::/129", -1},
        {"10.0.0.0/", -1},
        {"10.0.0.0/-0", -1},
        {"10.0.0.0/08", -1},
        {"10.0.0.0/8/8", -1},
        {"10.0.0.0/ 8", -1},
        {"/8", -1},
        {"10.0.0.0/8x", -1},
        {"10/8", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ip_range range = {.prefix_bits = 77};
        bool is_bad = cases[i].prefix_bits < 0;
        assert_int_equal(ip_range_read(slice_of(cases[i].text), &range),
                         is_bad ? STATUS_MALFORMED : STATUS_OK);
        assert_int_equal(range.prefix_bits, is_bad ? 77 : cases[i].prefix_bits);
    }
}

static void an_ipv6_range_that_holds_all_holds_ipv4(void **state)
{
    (void)state;
    ip_range all, v4;
    assert_int_equal(ip_range_read(SLICE("::/0"), &all), STATUS_OK);
    assert_int_equal(ip_range_read(SLICE("0.0.0.0/0"), &v4), STATUS_OK);
    assert_true(ip_range_has(&all, read_good("192.0.2.1")));
    assert_true(ip_range_has(&v4, read_good("192.0.2.1")));
    assert_false(ip_range_has(&v4, read_good("2001:db8::1")));
}

/* The edges of each range and their neighbours outside. */
static void private_addresses_are_known(void **state)
{
    (void)state;
    static const char *const private[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.0.0",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.255",
        "192.0.2.9",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "100::1",
        "fc00::",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001:db8:ffff::",
        "2001:0:1::",
        "3fff::1",
        "2002:0a00:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2002:cb00:7107::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::1:8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "64:ff9a::8.8.8.8",
    };
    static const char *const public[] = {
        "1.0.0.0",          "9.255.255.255",  "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
        "126.255.255.255",  "128.0.0.0",      "169.253.255.255", "169.255.0.0",     "172.15.255.255",
        "172.32.0.0",       "192.0.1.0",      "192.0.3.0",       "192.167.255.255", "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",     "198.51.99.255",   "203.0.114.0",     "223.255.255.255",
        "::ffff:8.8.8.8",   "2001:200::1",    "2001:db7::1",     "2001:db9::1",     "2606:4700::1",
        "2a00::1",          "3ffe::1",        "2002:808:808::1", "2002:c0a9::1",    "2003:0a00::1",
        "64:ff9b::8.8.8.8", "64:ff9b::b00:1",
    };
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++)
        assert_true(ip_is_private(read_good(private[i])));
    for (size_t i = 0; i < sizeof public / sizeof public[0]; i++)
        assert_false(ip_is_private(read_good(public[i])));
}

/* A few good characters in a row, so that many are addresses and the others nearly. */
static void dotted_texts_are_read_as_by_the_c_library(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(9);
    int good_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char text[IP_TEXT_MAX] = "";
        size_t len = 0;
        for (int part = 0; part < 4; part++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%d", part > 0 ? "." : "",
                                    choice_one_in(&choice, 40) ? "0" : "", (int)choice_below(&choice, 280));
        if (choice_one_in(&choice, 4))
            text[choice_below(&choice, (uint32_t)len)] = "0. :x"[choice_below(&choice, 5)];
        struct in_addr theirs;
        ip_address ours;
        bool is_good = inet_pton(AF_INET, text, &theirs) == 1;
        good_count += is_good;
        assert_int_equal(ip_read((slice){text, len}, &ours) == STATUS_OK, is_good);
        if (is_good)
            assert_memory_equal(ours.bytes + 12, &theirs, sizeof theirs);
    }
    assert_in_range(good_count, ROUNDS / 4, ROUNDS * 3 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_the_c_library),
        cmocka_unit_test(dotted_texts_are_read_as_by_the_c_library),
        cmocka_unit_test(nearly_addresses_are_judged_like_the_c_library_does),
        cmocka_unit_test(one_address_has_one_text),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(ranges_hold_what_shares_their_bits),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(an_ipv6_range_that_holds_all_holds_ipv4),
        cmocka_unit_test(private_addresses_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
