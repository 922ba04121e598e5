/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/backoff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "aggregator/backoff.h"

static void waits_double_up_to_the_greatest(void **state)
{
    (void)state;
    struct backoff backoff = {.min_ms = 100, .max_ms = 3000};
    for (int round = 0; round < 3; round++) {
        static const int64_t middles[] = {100, 200, 400, 800, 1600, 3000, 3000, 3000};
        for (size_t i = 0; i < sizeof middles / sizeof middles[0]; i++) {
            int64_t wait_ms = backoff_next(&backoff);
            assert_in_range(wait_ms, middles[i] * 3 / 4, middles[i] * 5 / 4);
        }
        backoff_reset(&backoff);
    }
}

static void two_processes_wait_differently(void **state)
{
    (void)state;
    int equal_count = 0;
    for (int i = 0; i < 100; i++) {
        struct backoff a = {.min_ms = 100000, .max_ms = 100000};
        struct backoff b = {.min_ms = 100000, .max_ms = 100000};
        equal_count += backoff_next(&a) == backoff_next(&b);
    }
    assert_in_range(equal_count, 0, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_greatest),
        cmocka_unit_test(two_processes_wait_differently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
