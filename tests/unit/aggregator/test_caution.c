/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/caution. */
#include "aggregator/caution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char lines[4096];
static int line_count;

static void keep_line(slice line)
{
    line_count++;
    snprintf(lines, sizeof lines, "%.*s", SLICE_ARGS(line));
}

static struct caution fresh(void)
{
    struct caution caution;
    caution_init(&caution);
    log_set_sink(keep_line);
    line_count = 0;
    return caution;
}

static mono_ms later(int64_t ms)
{
    return (mono_ms){mono_now().ms + ms};
}

static void note(struct caution *caution, enum answer_kind kind, int64_t retry_after_ms)
{
    const struct fetch_reply reply = {
        .outcome = FETCH_ANSWERED, .retry_after_ms = retry_after_ms, .took_ms = 50};
    caution_note(caution, kind, &reply, later(5000000));
}

static void good_answers_change_nothing(void **state)
{
    (void)state;
    struct caution caution = fresh();
    static const enum answer_kind kinds[] = {ANSWER_PLACE, ANSWER_UNKNOWN, ANSWER_BAD_ADDRESS};
    for (size_t i = 0; i < 60; i++) {
        assert_null(caution_find_hindrance(&caution, later(0)));
        caution_admit(&caution, later(0));
        note(&caution, kinds[i % 3], 0);
    }
    assert_int_equal(line_count, 0);
}

static void a_refused_key_is_not_sent_before_the_next_day(void **state)
{
    (void)state;
    struct caution caution = fresh();
    note(&caution, ANSWER_REFUSED, 0);
    note(&caution, ANSWER_REFUSED, 0); /* was under way at the same time */
    assert_int_equal(line_count, 1);
    assert_non_null(strstr(lines, "event=key_refused"));
    assert_non_null(caution_find_hindrance(&caution, later(4990000)));
    assert_null(caution_find_hindrance(&caution, later(5000000)));
    caution_init(&caution); /* a reload */
    assert_null(caution_find_hindrance(&caution, later(0)));
}

static void an_unknown_end_of_the_day_is_an_hour_away(void **state)
{
    (void)state;
    struct caution caution = fresh();
    const struct fetch_reply reply = {.outcome = FETCH_ANSWERED};
    caution_note(&caution, ANSWER_REFUSED, &reply, (mono_ms){0});
    assert_non_null(caution_find_hindrance(&caution, later(3590000)));
    assert_null(caution_find_hindrance(&caution, later(3600000)));
}

static void a_request_beyond_the_plan_is_not_repeated(void **state)
{
    (void)state;
    struct caution caution = fresh();
    note(&caution, ANSWER_MISCONFIGURED, 0);
    assert_int_equal(line_count, 1);
    assert_non_null(caution_find_hindrance(&caution, later(INT64_C(100) * 86400000)));
}

static void too_many_requests_are_heeded_for_as_long_as_it_says(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {{0, 60000}, {7000, 7000}, {1000000, 1000000}, {10000000, 3600000}};
    for (size_t i = 0; i < 4; i++) {
        struct caution caution = fresh();
        note(&caution, ANSWER_BUSY, cases[i][0]);
        assert_non_null(strstr(lines, "event=too_many_requests"));
        assert_non_null(strstr(lines, "ip2location.key"));
        assert_non_null(caution_find_hindrance(&caution, later(cases[i][1] - 1000)));
        assert_null(caution_find_hindrance(&caution, later(cases[i][1])));
    }
}

static void open_breaker_by(enum answer_kind kind, const struct fetch_reply *reply)
{
    struct caution caution = fresh();
    for (int i = 0; i < BREAKER_FAILURES_IN_ROW; i++) {
        assert_null(caution_find_hindrance(&caution, later(0)));
        caution_note(&caution, kind, reply, later(0));
    }
    assert_non_null(caution_find_hindrance(&caution, later(0)));
    assert_int_equal(line_count, 1);
    assert_non_null(strstr(lines, "event=breaker_opened"));
    assert_non_null(strstr(lines, "ip2location.url"));
    caution.breaker.probe_at = later(0);
    assert_null(caution_find_hindrance(&caution, later(0)));
    caution_admit(&caution, later(0));
    note(&caution, ANSWER_PLACE, 0);
    assert_null(caution_find_hindrance(&caution, later(0)));
    assert_non_null(strstr(lines, "event=breaker_closed"));
}

static void failures_and_slowness_open_the_breaker(void **state)
{
    (void)state;
    open_breaker_by(ANSWER_FAILED, &(struct fetch_reply){.outcome = FETCH_ANSWERED});
    open_breaker_by(ANSWER_MALFORMED, &(struct fetch_reply){.outcome = FETCH_ANSWERED});
    open_breaker_by(ANSWER_FAILED, &(struct fetch_reply){.outcome = FETCH_TIMED_OUT, .took_ms = 800});
    open_breaker_by(ANSWER_FAILED, &(struct fetch_reply){.outcome = FETCH_UNREACHABLE});
    open_breaker_by(ANSWER_PLACE,
                    &(struct fetch_reply){.outcome = FETCH_ANSWERED, .took_ms = CAUTION_SLOW_MS + 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_change_nothing),
        cmocka_unit_test(a_refused_key_is_not_sent_before_the_next_day),
        cmocka_unit_test(an_unknown_end_of_the_day_is_an_hour_away),
        cmocka_unit_test(a_request_beyond_the_plan_is_not_repeated),
        cmocka_unit_test(too_many_requests_are_heeded_for_as_long_as_it_says),
        cmocka_unit_test(failures_and_slowness_open_the_breaker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
