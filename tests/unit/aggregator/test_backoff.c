/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/backoff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "aggregator/backoff.h"

static void each_wait_is_longer_up_to_the_greatest(void **state)
{
    (void)state;
    struct backoff backoff = {.min_ms = 100, .max_ms = 3000};
    for (int round = 0; round < 3; round++) {
        int64_t passed_ms = 0;
        for (int i = 0; i < 40; i++) {
            int64_t wait_ms = backoff_next(&backoff);
            assert_in_range(wait_ms, 90, 3300);
            if (i < 15)
                assert_true(wait_ms <= 110 + passed_ms * 35 / 100);
            else
                assert_in_range(wait_ms, 2000, 3300);
            passed_ms += wait_ms;
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
        cmocka_unit_test(each_wait_is_longer_up_to_the_greatest),
        cmocka_unit_test(two_processes_wait_differently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
