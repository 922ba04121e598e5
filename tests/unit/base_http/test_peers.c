/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/http/peers, against plain counters. */
#include "base/http/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ADDRESSES = 40 };

static ip_address make_address(int i)
{
    ip_address address = {{0}};
    if (i % 2) {
        address.bytes[10] = address.bytes[11] = 0xff;
        address.bytes[15] = (uint8_t)i;
    } else {
        address.bytes[0] = 0x20;
        address.bytes[7] = (uint8_t)i; /* of the /64 */
        address.bytes[15] = (uint8_t)rand();
    }
    return address;
}

static void it_counts_like_a_list(void **state)
{
    (void)state;
    for (int table = 0; table < 50; table++) { /* each with a seed of its own */
        int64_t counts[ADDRESSES] = {0};
        struct peers *peers = peers_new(ADDRESSES);
        for (int round = 0; round < 2000; round++) {
            int i = rand() % ADDRESSES;
            bool is_in = rand() % 2;
            if (is_in)
                peers_add(peers, make_address(i));
            else if (counts[i] > 0)
                peers_remove(peers, make_address(i));
            counts[i] += is_in ? 1 : counts[i] > 0 ? -1 : 0;
            int other = rand() % ADDRESSES;
            assert_int_equal(peers_count(peers, make_address(other)), counts[other]);
        }
        for (int i = 0; i < ADDRESSES; i++)
            assert_int_equal(peers_count(peers, make_address(i)), counts[i]);
        peers_free(&peers);
        assert_null(peers);
    }
}

static ip_address read_address(const char *text)
{
    ip_address address;
    assert_int_equal(ip_read(slice_of(text), &address), STATUS_OK);
    return address;
}

static void a_household_is_one_and_neighbours_are_not(void **state)
{
    (void)state;
    struct peers *peers = peers_new(10);
    peers_add(peers, read_address("2001:db8:0:1::1"));
    assert_int_equal(peers_count(peers, read_address("2001:db8:0:1:ffff::2")), 1);
    assert_int_equal(peers_count(peers, read_address("2001:db8:0:2::1")), 0);
    peers_add(peers, read_address("192.0.2.1"));
    assert_int_equal(peers_count(peers, read_address("192.0.2.1")), 1);
    assert_int_equal(peers_count(peers, read_address("192.0.2.2")), 0);
    peers_free(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_like_a_list),
        cmocka_unit_test(a_household_is_one_and_neighbours_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
