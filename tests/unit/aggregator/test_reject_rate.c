/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/reject_rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "aggregator/reject_rate.h"
#include "tests/lib/choice.h"

static void note_many(struct reject_rate *rate, int count, bool is_rejected)
{
    for (int i = 0; i < count; i++)
        reject_rate_note(rate, rate->next_offset, is_rejected);
}

static void the_first_thousand_tell_nothing(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    note_many(&rate, REJECT_RATE_MIN_SEEN - 1, true);
    assert_false(reject_rate_is_too_high(&rate));
    note_many(&rate, 1, true);
    assert_true(reject_rate_is_too_high(&rate));
}

static void one_percent_is_borne_and_no_more(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    note_many(&rate, 990, false);
    note_many(&rate, 10, true);
    assert_false(reject_rate_is_too_high(&rate));
    note_many(&rate, 1, true);
    assert_true(reject_rate_is_too_high(&rate));
    note_many(&rate, 99, false); /* 11 of 1,100 */
    assert_false(reject_rate_is_too_high(&rate));
}

static void old_messages_leave_the_window(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    note_many(&rate, 101, true);
    note_many(&rate, REJECT_RATE_WINDOW - 101, false);
    assert_true(reject_rate_is_too_high(&rate));
    note_many(&rate, 1, false);
    assert_false(reject_rate_is_too_high(&rate));
    note_many(&rate, 100, false);
    assert_int_equal(rate.rejected, 0);
    assert_int_equal(rate.seen, REJECT_RATE_WINDOW);
}

static void what_is_read_again_is_counted_once(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    for (int round = 0; round < 3; round++)
        for (int64_t offset = 0; offset < 2000; offset++)
            reject_rate_note(&rate, offset, offset % 250 == 0);
    assert_int_equal(rate.seen, 2000);
    assert_int_equal(rate.rejected, 8);
    reject_rate_note_refused(&rate, 500); /* it passed for a hit before */
    assert_int_equal(rate.rejected, 9);
    reject_rate_note_refused(&rate, 3000);
    reject_rate_note(&rate, 3000, true);
    assert_int_equal(rate.rejected, 10);
}

static void after_a_reset_it_counts_anew(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    note_many(&rate, 1000, true);
    reject_rate_reset(&rate, 1000);
    assert_false(reject_rate_is_too_high(&rate));
    reject_rate_note(&rate, 999, true); /* was counted */
    assert_int_equal(rate.seen, 0);
    note_many(&rate, 999, false);
    assert_false(reject_rate_is_too_high(&rate));
}

/* As when the topic was made anew. */
static void a_log_that_begins_anew_is_counted_from_there(void **state)
{
    (void)state;
    struct reject_rate rate = {0};
    note_many(&rate, 5000, false);
    reject_rate_reset(&rate, 0);
    for (int64_t offset = 0; offset < REJECT_RATE_MIN_SEEN; offset++)
        reject_rate_note(&rate, offset, true);
    assert_true(reject_rate_is_too_high(&rate));
}

/* Against a plain array of all that came. */
static void it_agrees_with_a_recount(void **state)
{
    (void)state;
    enum { COUNT = 60000 };
    static bool all[COUNT];
    struct choice choice = choice_seeded(7);
    struct reject_rate rate = {0};
    uint32_t rejected = 0;
    for (int at = 0; at < COUNT; at++) {
        all[at] = choice_one_in(&choice, at % 20000 < 10000 ? 300 : 60);
        reject_rate_note(&rate, at, all[at]);
        uint32_t seen = at < REJECT_RATE_WINDOW ? (uint32_t)at + 1 : REJECT_RATE_WINDOW;
        rejected += all[at];
        if (at >= REJECT_RATE_WINDOW)
            rejected -= all[at - REJECT_RATE_WINDOW];
        assert_int_equal(rate.seen, seen);
        assert_int_equal(rate.rejected, rejected);
        assert_int_equal(reject_rate_is_too_high(&rate), seen >= 1000 && rejected * 100 > seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_thousand_tell_nothing),
        cmocka_unit_test(one_percent_is_borne_and_no_more),
        cmocka_unit_test(old_messages_leave_the_window),
        cmocka_unit_test(what_is_read_again_is_counted_once),
        cmocka_unit_test(after_a_reset_it_counts_anew),
        cmocka_unit_test(a_log_that_begins_anew_is_counted_from_there),
        cmocka_unit_test(it_agrees_with_a_recount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
