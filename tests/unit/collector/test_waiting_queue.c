/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/waiting: who is answered, in which order. */
#include "collector/waiting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/http/http.h"

static struct http_request requests[5];

static void the_first_goes_when_it_is_safe(void **state)
{
    (void)state;
    struct waiting *waiting = waiting_new(5);
    assert_null(waiting_take_safe(waiting, UINT64_MAX));
    waiting_add(waiting, &requests[0], 7, (mono_ms){0});
    waiting_add(waiting, &requests[1], 8, (mono_ms){0});
    assert_null(waiting_take_safe(waiting, 7)); /* safe below 7 */
    assert_ptr_equal(waiting_take_safe(waiting, 8), &requests[0]);
    assert_null(waiting_take_safe(waiting, 8));
    assert_int_equal(waiting_count(waiting), 1);
    assert_ptr_equal(waiting_take_safe(waiting, 9), &requests[1]);
    waiting_free(&waiting);
    waiting_free(&waiting);
}

static void a_repeat_waits_with_those_before_it(void **state)
{
    (void)state;
    struct waiting *waiting = waiting_new(5);
    waiting_add(waiting, &requests[0], 20, (mono_ms){0});
    waiting_add(waiting, &requests[1], 10, (mono_ms){0});
    waiting_add(waiting, &requests[2], 21, (mono_ms){0});
    assert_null(waiting_take_safe(waiting, 20));
    assert_ptr_equal(waiting_take_safe(waiting, 21), &requests[0]);
    assert_ptr_equal(waiting_take_safe(waiting, 21), &requests[1]);
    assert_null(waiting_take_safe(waiting, 21));
    waiting_free(&waiting);
}

static void what_waits_too_long_is_found(void **state)
{
    (void)state;
    struct waiting *waiting = waiting_new(5);
    assert_null(waiting_take_older(waiting, (mono_ms){1000}));
    waiting_add(waiting, &requests[0], 1, (mono_ms){100});
    waiting_add(waiting, &requests[1], 2, (mono_ms){200});
    assert_null(waiting_take_older(waiting, (mono_ms){100}));
    assert_ptr_equal(waiting_take_older(waiting, (mono_ms){200}), &requests[0]);
    assert_null(waiting_take_older(waiting, (mono_ms){200}));
    waiting_free(&waiting);
}

static void it_is_a_ring(void **state)
{
    (void)state;
    struct waiting *waiting = waiting_new(3);
    size_t added = 0, taken = 0;
    for (int round = 0; round < 1000; round++) {
        if (waiting_has_room(waiting) && rand() % 2) {
            waiting_add(waiting, &requests[added % 5], added, (mono_ms){0});
            added++;
        } else {
            struct http_request *request = waiting_take_safe(waiting, added);
            assert_ptr_equal(request, taken < added ? &requests[taken % 5] : NULL);
            taken += request != NULL;
        }
        assert_int_equal(waiting_count(waiting), added - taken);
        assert_int_equal(waiting_has_room(waiting), added - taken < 3);
    }
    assert_true(taken > 100);
    waiting_free(&waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_goes_when_it_is_safe),
        cmocka_unit_test(a_repeat_waits_with_those_before_it),
        cmocka_unit_test(what_waits_too_long_is_found),
        cmocka_unit_test(it_is_a_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
