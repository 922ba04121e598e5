/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/holes: when a hole becomes an alarm, and when it is none any more. */
#include "aggregator/holes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ENDED = 1000000 };

static const struct holes_time reading = {{ENDED + HOLES_PATIENCE_MS - 1}, -1};
static const struct holes_time later = {{ENDED + HOLES_PATIENCE_MS}, -1};

static struct hole hole_of(int number, int64_t missing)
{
    return (struct hole){.stream = {.boot = {{(uint8_t)(number >> 8), (uint8_t)number}}, .partition = 3},
                         .last = 100,
                         .missing = {missing, {5, 5 + missing - 1}},
                         .ended = {ENDED}};
}

static void set(struct holes *holes, int number, int64_t missing)
{
    struct hole hole = hole_of(number, missing);
    holes_set(holes, &hole);
}

static int count_news(struct holes *holes, const struct holes_time *time)
{
    struct hole news;
    int count = 0;
    while (holes_next_news(holes, time, &news))
        count++;
    return count;
}

static void assert_measure(const struct holes *holes, int64_t streams, int64_t missing)
{
    struct holes_measure sum = {0, 0};
    holes_measure(holes, &sum);
    assert_int_equal(sum.stream_count, streams);
    assert_int_equal(sum.missing_count, missing);
}

static void it_waits_until_the_log_has_gone_on(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    struct hole news;
    struct hole hole = hole_of(1, 4);
    hole.is_told = true; /* not for the caller to say */
    holes_set(&holes, &hole);
    assert_false(holes_next_news(&holes, &(struct holes_time){{INT64_MIN}, -1}, &news));
    assert_false(holes_next_news(&holes, &reading, &news));
    assert_measure(&holes, 0, 0);
    assert_true(holes_next_news(&holes, &later, &news));
    assert_int_equal(news.stream.boot.bytes[1], 1);
    assert_int_equal(news.last, 100);
    assert_int_equal(news.missing.count, 4);
    assert_int_equal(news.missing.first.from, 5);
    assert_measure(&holes, 1, 4);
    assert_false(holes_next_news(&holes, &later, &news)); /* once */
    holes_fini(&holes);
}

static void it_waits_at_the_end_of_the_log(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    set(&holes, 1, 4);
    assert_int_equal(count_news(&holes, &(struct holes_time){{INT64_MIN}, HOLES_PATIENCE_MS - 1}), 0);
    assert_int_equal(count_news(&holes, &(struct holes_time){{INT64_MIN}, HOLES_PATIENCE_MS}), 1);
    holes_fini(&holes);
}

static void one_that_is_overdue_does_not_wait(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    struct hole hole = hole_of(1, 4);
    hole.is_overdue = true;
    holes_set(&holes, &hole);
    assert_int_equal(count_news(&holes, &(struct holes_time){{INT64_MIN}, -1}), 1);
    holes_fini(&holes);
}

static void one_that_is_filled_in_time_is_no_news(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    set(&holes, 1, 4);
    set(&holes, 1, 2);
    set(&holes, 1, 0);
    set(&holes, 2, 0); /* whole at once */
    assert_int_equal(holes.count, 0);
    assert_int_equal(count_news(&holes, &later), 0);
    holes_fini(&holes);
}

static void one_that_is_filled_late_is_told_too(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    struct hole news;
    set(&holes, 1, 4);
    set(&holes, 2, 3);
    assert_int_equal(count_news(&holes, &later), 2);
    assert_measure(&holes, 2, 7);
    set(&holes, 1, 1);
    assert_measure(&holes, 2, 4);
    assert_int_equal(count_news(&holes, &later), 0); /* no line a number */
    set(&holes, 1, 0);
    assert_measure(&holes, 1, 3);
    assert_true(holes_next_news(&holes, &reading, &news));
    assert_int_equal(news.missing.count, 0);
    assert_int_equal(news.stream.boot.bytes[1], 1);
    assert_int_equal(holes.count, 1);
    assert_measure(&holes, 1, 3);
    holes_fini(&holes);
}

/* An end that says more, after an end that had its hole filled and told of. */
static void one_that_opens_again_is_told_again(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    set(&holes, 1, 4);
    assert_int_equal(count_news(&holes, &later), 1);
    set(&holes, 1, 0);
    assert_int_equal(count_news(&holes, &later), 1);
    set(&holes, 1, 2);
    assert_int_equal(count_news(&holes, &later), 1);
    assert_measure(&holes, 1, 2);
    holes_fini(&holes);
}

static void there_are_so_many_at_most(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    for (int i = 0; i < HOLES_MAX + 5; i++)
        set(&holes, i, 1);
    assert_int_equal(holes.count, HOLES_MAX);
    assert_int_equal(count_news(&holes, &later), HOLES_MAX);
    assert_measure(&holes, HOLES_MAX, HOLES_MAX);
    holes_fini(&holes);
}

static void sums_do_not_overflow(void **state)
{
    (void)state;
    struct holes holes = {.count = 0};
    for (int i = 0; i < 3; i++) {
        struct hole hole = hole_of(i, 1);
        hole.missing.count = RECEIVED_MAX_SEQ;
        holes_set(&holes, &hole);
    }
    assert_int_equal(count_news(&holes, &later), 3);
    assert_measure(&holes, 3, INT64_MAX);
    holes_fini(&holes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_until_the_log_has_gone_on),
        cmocka_unit_test(it_waits_at_the_end_of_the_log),
        cmocka_unit_test(one_that_is_overdue_does_not_wait),
        cmocka_unit_test(one_that_is_filled_in_time_is_no_news),
        cmocka_unit_test(one_that_is_filled_late_is_told_too),
        cmocka_unit_test(one_that_opens_again_is_told_again),
        cmocka_unit_test(there_are_so_many_at_most),
        cmocka_unit_test(sums_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
