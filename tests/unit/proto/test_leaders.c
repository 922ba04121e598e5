/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/leaders. What it is for is shown by test_outage.py. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/leaders.h"
#include "tests/lib/child.h"

#define HOUR ((uint64_t)LEADERS_KNOWN_MS)

static void the_first_message_goes_alone(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    assert_true(leaders_may_send(&leaders, 3, 10));
    leaders_note_sent(&leaders, 3);
    assert_false(leaders_may_send(&leaders, 3, 10));
    assert_false(leaders_may_send(&leaders, 3, 10 + 100 * HOUR));
    leaders_note_report(&leaders, 3, true, 20);
    for (int i = 0; i < 5; i++) {
        assert_true(leaders_may_send(&leaders, 3, 20));
        leaders_note_sent(&leaders, 3);
    }
    assert_int_equal(leaders.unconfirmed, 5);
    leaders_clear(&leaders);
}

static void what_fails_makes_nobody_known(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    leaders_note_sent(&leaders, 0);
    leaders_note_report(&leaders, 0, false, 1);
    assert_int_equal(leaders.unconfirmed, 0);
    assert_true(leaders_may_send(&leaders, 0, 1));
    leaders_note_sent(&leaders, 0);
    assert_false(leaders_may_send(&leaders, 0, 1));
    leaders_clear(&leaders);
}

static void each_partition_has_its_own(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    for (int partition = 20; partition >= 0; partition--) {
        assert_true(leaders_may_send(&leaders, partition, 1));
        leaders_note_sent(&leaders, partition);
    }
    leaders_note_report(&leaders, 7, true, 1);
    for (int partition = 0; partition <= 20; partition++)
        assert_int_equal(leaders_may_send(&leaders, partition, 1), partition == 7);
    leaders_clear(&leaders);
    assert_true(leaders_may_send(&leaders, 8, 1));
    assert_int_equal(leaders.unconfirmed, 0);
}

static void after_an_hour_of_silence_it_is_as_at_first(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    leaders_note_sent(&leaders, 0);
    leaders_note_report(&leaders, 0, true, 5);
    leaders_note_sent(&leaders, 0);
    assert_true(leaders_may_send(&leaders, 0, 4 + HOUR));
    assert_false(leaders_may_send(&leaders, 0, 5 + HOUR));
    assert_false(leaders_have_forgotten(&leaders, 5 + HOUR)); /* one alone is in no danger */
    leaders_note_report(&leaders, 0, true, 6 + HOUR);
    assert_true(leaders_may_send(&leaders, 0, 6 + HOUR));
    leaders_clear(&leaders);
}

static void several_under_way_to_one_that_forgot_are_noticed(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    leaders_note_sent(&leaders, 2);
    leaders_note_report(&leaders, 2, true, 5);
    leaders_note_sent(&leaders, 2);
    leaders_note_sent(&leaders, 2);
    assert_false(leaders_have_forgotten(&leaders, 4 + HOUR));
    assert_true(leaders_have_forgotten(&leaders, 5 + HOUR));
    leaders_clear(&leaders);
    assert_false(leaders_have_forgotten(&leaders, 5 + HOUR));
}

static void report_what_was_not_sent(void *context)
{
    leaders_note_report(context, 0, true, 1);
}

static void send_to_no_partition(void *context)
{
    leaders_note_sent(context, -1);
}

static void bugs_stop(void **state)
{
    struct leaders leaders = {.count = 0};
    (void)state;
    assert_int_equal(child_signal(report_what_was_not_sent, &leaders), SIGABRT);
    assert_int_equal(child_signal(send_to_no_partition, &leaders), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_message_goes_alone),
        cmocka_unit_test(what_fails_makes_nobody_known),
        cmocka_unit_test(each_partition_has_its_own),
        cmocka_unit_test(after_an_hour_of_silence_it_is_as_at_first),
        cmocka_unit_test(several_under_way_to_one_that_forgot_are_noticed),
        cmocka_unit_test(bugs_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
