/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/partition: against Kafka's own test vectors and against librdkafka's murmur2 partitioner. */
#include "proto/partition.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { ROUNDS = 100000 };

/* UtilsTest.testMurmur2 of Apache Kafka. */
static void the_hash_is_that_of_kafka(void **state)
{
    (void)state;
    static const struct {
        slice key;
        int32_t hash;
    } vectors[] = {
        {SLICE("21"), -973932308},
        {SLICE("foobar"), -790332482},
        {SLICE("a-little-bit-long-string"), -985981536},
        {SLICE("a-little-bit-longer-string"), -1486304829},
        {SLICE("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971},
        {SLICE("abc"), 479470107},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_int_equal((int32_t)murmur2(vectors[i].key), vectors[i].hash);
}

static void partitions_are_those_of_librdkafka(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(20);
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[64];
        slice key = {bytes, 1 + choice_below(&choice, sizeof bytes)};
        int count = 1 + (int)choice_below(&choice, PARTITIONS_MAX);
        for (size_t i = 0; i < key.len; i++)
            bytes[i] = (char)choice_below(&choice, 256);
        int32_t expected = rd_kafka_msg_partitioner_murmur2(NULL, key.data, key.len, count, NULL, NULL);
        assert_int_equal(partition_of_key(key, count), expected);
    }
}

static slice key_of(const char *host, const char *ip_text, char out[PARTITION_KEY_MAX])
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(ip_text), &ip), STATUS_OK);
    return (slice){out, partition_key_write(slice_of(host), ip, out)};
}

static void the_key_is_host_and_address(void **state)
{
    (void)state;
    char out[PARTITION_KEY_MAX], other[PARTITION_KEY_MAX], host[254];
    assert_true(slice_equals(key_of("shop.example", "192.0.2.7", out), SLICE("shop.example|192.0.2.7")));
    assert_true(
        slice_equals(key_of("shop.example", "::ffff:192.0.2.7", other), slice_of("shop.example|192.0.2.7")));
    assert_true(slice_equals(key_of("a", "2001:DB8::0:1", out), SLICE("a|2001:db8::1")));
    memset(host, 'h', 253);
    host[253] = '\0';
    slice longest = key_of(host, "1111:2222:3333:4444:5555:6666:7777:8888", out);
    assert_int_equal(longest.len, 253 + 1 + 39);
}

/* The table of proto/README.md. Written down, since a change would move every visitor. */
static void homes_stay_for_ever(void **state)
{
    (void)state;
    char out[PARTITION_KEY_MAX];
    assert_int_equal(partition_of_key(SLICE("foobar"), 12), 6);
    assert_int_equal(partition_of_key(key_of("shop.example", "192.0.2.7", out), 12), 8);
    assert_int_equal(partition_of_key(key_of("shop.example", "2001:db8::1", out), 12), 4);
    assert_int_equal(partition_of_key(SLICE("x"), 1), 0);
}

static void write_long_host(void *unused)
{
    (void)unused;
    static char host[254], out[2 * PARTITION_KEY_MAX];
    partition_key_write((slice){host, sizeof host}, (ip_address){{0}}, out);
}

static void ask_for_no_partition(void *unused)
{
    (void)unused;
    partition_of_key(SLICE("x"), 0);
}

static void bugs_stop(void **state)
{
    (void)state;
    assert_int_equal(child_signal(write_long_host, NULL), SIGABRT);
    assert_int_equal(child_signal(ask_for_no_partition, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_that_of_kafka),
        cmocka_unit_test(partitions_are_those_of_librdkafka),
        cmocka_unit_test(the_key_is_host_and_address),
        cmocka_unit_test(homes_stay_for_ever),
        cmocka_unit_test(bugs_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
