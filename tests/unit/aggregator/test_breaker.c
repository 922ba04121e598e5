/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/breaker. */
#include "aggregator/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static mono_ms at(int64_t ms)
{
    return (mono_ms){ms};
}

static void fail_and_open(struct breaker *breaker, mono_ms now)
{
    for (int i = 1; i < BREAKER_FAILURES_IN_ROW; i++) {
        assert_true(breaker_admit(breaker, now));
        assert_false(breaker_note_failure(breaker, now));
    }
    assert_true(breaker_admit(breaker, now));
    assert_true(breaker_note_failure(breaker, now));
}

static void failures_in_a_row_open_it(void **state)
{
    (void)state;
    struct breaker breaker = {.state = BREAKER_CLOSED};
    for (int round = 0; round < 3; round++) { /* a success in between: it stays closed */
        for (int i = 1; i < BREAKER_FAILURES_IN_ROW; i++)
            assert_false(breaker_note_failure(&breaker, at(0)));
        for (int i = 0; i < BREAKER_WINDOW; i++)
            breaker_note_success(&breaker);
    }
    fail_and_open(&breaker, at(0));
    assert_false(breaker_admit(&breaker, at(0)));
    assert_false(breaker_admit(&breaker, at(BREAKER_MIN_WAIT_MS * 9 / 10 - 1)));
    assert_true(breaker_admit(&breaker, at(BREAKER_MIN_WAIT_MS * 11 / 10)));
}

static void too_many_failures_among_successes_open_it(void **state)
{
    (void)state;
    struct breaker breaker = {.state = BREAKER_CLOSED};
    for (int i = 0; i < BREAKER_WINDOW; i++) { /* every second one: half of them */
        assert_true(breaker_admit(&breaker, at(0)));
        if (i % 2 == 0)
            assert_false(breaker_note_failure(&breaker, at(0)));
        else
            breaker_note_success(&breaker);
    }
    assert_false(breaker_note_failure(&breaker, at(0))); /* pushes a failure out of the window */
    assert_true(breaker_note_failure(&breaker, at(0)));
    assert_true(breaker_is_open(&breaker, at(0)));
}

static void one_probe_decides(void **state)
{
    (void)state;
    struct breaker breaker = {.state = BREAKER_CLOSED};
    fail_and_open(&breaker, at(0));
    mono_ms later = at(BREAKER_MIN_WAIT_MS * 11 / 10);
    assert_false(breaker_is_open(&breaker, later));
    assert_true(breaker_admit(&breaker, later));
    assert_false(breaker_admit(&breaker, later)); /* one at a time */
    breaker_note_success(&breaker);
    assert_true(breaker_admit(&breaker, later));
    assert_true(breaker_admit(&breaker, later));
    fail_and_open(&breaker, later); /* counted from the beginning */
}

static void what_was_sent_before_it_opened_changes_nothing(void **state)
{
    (void)state;
    struct breaker breaker = {.state = BREAKER_CLOSED};
    fail_and_open(&breaker, at(0));
    breaker_note_success(&breaker);
    assert_false(breaker_note_failure(&breaker, at(1000)));
    assert_false(breaker_admit(&breaker, at(1000)));
    assert_true(breaker_admit(&breaker, at(BREAKER_MIN_WAIT_MS * 11 / 10)));
}

static void waits_double_up_to_the_greatest(void **state)
{
    (void)state;
    struct breaker breaker = {.state = BREAKER_CLOSED};
    int64_t now = 0, wait_ms = BREAKER_MIN_WAIT_MS;
    fail_and_open(&breaker, at(now));
    for (int i = 0; i < 10; i++) {
        assert_false(breaker_admit(&breaker, at(now + wait_ms * 9 / 10 - 1)));
        now += wait_ms * 11 / 10;
        assert_true(breaker_admit(&breaker, at(now)));
        assert_true(breaker_note_failure(&breaker, at(now)));
        wait_ms = 2 * wait_ms < BREAKER_MAX_WAIT_MS ? 2 * wait_ms : BREAKER_MAX_WAIT_MS;
    }
    assert_true(breaker_admit(&breaker, at(now + wait_ms * 11 / 10)));
    breaker_note_success(&breaker);
    fail_and_open(&breaker, at(0)); /* and a success makes it short again */
    assert_true(breaker_admit(&breaker, at(BREAKER_MIN_WAIT_MS * 11 / 10)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(too_many_failures_among_successes_open_it),
        cmocka_unit_test(one_probe_decides),
        cmocka_unit_test(what_was_sent_before_it_opened_changes_nothing),
        cmocka_unit_test(waits_double_up_to_the_greatest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
