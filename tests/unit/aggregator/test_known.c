/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/known. */
#include "aggregator/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void it_knows_what_was_added_and_nothing_else(void **state)
{
    (void)state;
    struct known *known = known_new(1000);
    for (int64_t i = -500; i < 500; i++) {
        assert_false(known_has(known, i * 1000003));
        known_add(known, i * 1000003);
        known_add(known, i * 1000003); /* once more takes no room */
    }
    for (int64_t i = -500; i < 500; i++) {
        assert_true(known_has(known, i * 1000003));
        assert_false(known_has(known, i * 1000003 + 1));
    }
    known_free(&known);
    assert_null(known);
    known_free(&known);
}

static void full_it_forgets_and_goes_on(void **state)
{
    (void)state;
    struct known *known = known_new(10);
    for (int64_t i = 0; i < 10; i++)
        known_add(known, i);
    assert_true(known_has(known, 0));
    known_add(known, 10);
    assert_false(known_has(known, 0));
    assert_true(known_has(known, 10));
    known_free(&known);
}

static void cleared_it_knows_nothing(void **state)
{
    (void)state;
    struct known *known = known_new(10);
    known_add(known, 7);
    known_clear(known);
    assert_false(known_has(known, 7));
    known_free(&known);
}

static void extremes_are_harmless(void **state)
{
    (void)state;
    struct known *known = known_new(10);
    assert_false(known_has(known, INT64_MIN));
    known_add(known, INT64_MIN); /* may be forgotten at once */
    known_add(known, INT64_MAX);
    known_add(known, 0);
    assert_true(known_has(known, INT64_MAX));
    assert_true(known_has(known, 0));
    assert_false(known_has(known, 1));
    known_free(&known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_knows_what_was_added_and_nothing_else),
        cmocka_unit_test(full_it_forgets_and_goes_on),
        cmocka_unit_test(cleared_it_knows_nothing),
        cmocka_unit_test(extremes_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
