/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/clock: the text form against gmtime_r. */
#include "base/clock.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { ROUNDS = 200000, DAY_MS = 86400000 };
static const int64_t year_0_ms = INT64_C(-62167219200000), year_9999_ms = INT64_C(253402300799999);

static void check_time(int64_t ms)
{
    char ours[TIMESTAMP_TEXT_LEN], theirs[64];
    int64_t ms_of_second = (ms % 1000 + 1000) % 1000;
    time_t seconds = (ms - ms_of_second) / 1000;
    struct tm tm;
    wall_ms back;
    gmtime_r(&seconds, &tm);
    int len =
        snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%03" PRId64 "Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms_of_second);
    assert_int_equal(len, TIMESTAMP_TEXT_LEN);
    timestamp_write((wall_ms){ms}, ours);
    assert_memory_equal(ours, theirs, TIMESTAMP_TEXT_LEN);
    assert_int_equal(timestamp_read((slice){ours, sizeof ours}, &back), STATUS_OK);
    assert_int_equal(back.ms, ms);
}

static void times_are_those_of_the_c_library(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(11);
    for (int round = 0; round < ROUNDS; round++)
        check_time(year_0_ms + (int64_t)choice_below(&choice, (uint64_t)(year_9999_ms - year_0_ms + 1)));
    for (int64_t day = -110 * 366; day < 140 * 366; day++) { /* every day of 250 years, at both ends */
        check_time(day * DAY_MS);
        check_time(day * DAY_MS + DAY_MS - 1);
    }
    check_time(year_0_ms);
    check_time(year_9999_ms);
}

static void all_forms_of_one_moment_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2025-02-02T04:18:21.123Z", 123},
        {"2025-02-02 04:18:21.123", 123},
        {"2025-02-02T04:18:21.123456789Z", 123},
        {"2025-02-02T04:18:21.123999", 123},
        {"2025-02-02 04:18:21Z", 0},
        {"2025-02-02T04:18:21", 0},
        {"2025-02-02T04:18:21.1Z", 100},
        {"2025-02-02T04:18:21.12", 120},
        {"2025-02-02T09:48:21.5+05:30", 500},
        {"2025-02-01T20:18:21-08:00", 0},
        {"2025-02-02T04:18:21.007+00:00", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wall_ms time;
        assert_int_equal(timestamp_read(slice_of(cases[i].text), &time), STATUS_OK);
        assert_int_equal(time.ms, INT64_C(1738469901000) + cases[i].ms);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "2025-02-02",
        "2025-02-02T",
        "2025-02-02T04:18",
        "2025-02-02T04:18:21.",
        "2025-02-02T04:18:21.Z",
        "2025-02-02T04:18:21.1234567890Z",
        "2025-02-02T04:18:21z",
        "2025-02-02t04:18:21Z",
        "2025-02-02T04:18:21ZZ",
        "2025-02-02T04:18:21 Z",
        " 2025-02-02T04:18:21Z",
        "2025-2-2T04:18:21Z",
        "20250202T041821Z",
        "2025-02-02T04:18:21+0530",
        "2025-02-02T04:18:21+05",
        "2025-02-02T04:18:21+24:00",
        "2025-02-02T04:18:21+05:60",
        "2025-02-02T04:18:21+05:30Z",
        "02025-02-02T04:18:21Z",
        "-025-02-02T04:18:21Z",
        "+2025-02-02T04:18:21Z",
        "2025-02-02T04:18:2 Z",
        "2025/02/02T04:18:21Z",
        "1738469901",
        "2025-02-02T04:18:21,123Z",
        "2025-02-02T04:18:21Z                                ",
    };
    static const char *const impossible[] = {
        "2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z",      "2025-04-31T00:00:00Z",
        "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z",      "2025-01-00T00:00:00Z",
        "2025-01-32T00:00:00Z", "2025-01-01T24:00:00Z",      "2025-01-01T00:60:00Z",
        "2016-12-31T23:59:60Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        "0000-00-00T00:00:00Z", "9999-99-99T99:99:99Z",
    };
    wall_ms time = {7};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_int_equal(timestamp_read(slice_of(malformed[i]), &time), STATUS_MALFORMED);
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++)
        assert_int_equal(timestamp_read(slice_of(impossible[i]), &time), STATUS_RANGE);
    assert_int_equal(time.ms, 7);
    assert_int_equal(timestamp_read(SLICE("2000-02-29T00:00:00Z"), &time), STATUS_OK);
    assert_int_equal(timestamp_read(SLICE("2024-02-29T00:00:00Z"), &time), STATUS_OK);
}

static void write_time(void *ms)
{
    char out[TIMESTAMP_TEXT_LEN];
    timestamp_write((wall_ms){*(int64_t *)ms}, out);
}

static void a_year_of_five_digits_stops(void **state)
{
    (void)state;
    int64_t too_late = year_9999_ms + 1, too_early = year_0_ms - 1;
    assert_int_equal(child_signal(write_time, &too_late), SIGABRT);
    assert_int_equal(child_signal(write_time, &too_early), SIGABRT);
}

static void both_clocks_run(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000 - 1000; /* time() may lag by a tick */
    int64_t now = wall_now().ms;
    assert_true(now >= before && now <= (int64_t)time(NULL) * 1000 + 2000);
    int64_t first = mono_now().ms;
    while (mono_now().ms == first)
        ;
    assert_true(mono_now().ms > first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_those_of_the_c_library),
        cmocka_unit_test(all_forms_of_one_moment_are_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_year_of_five_digits_stops),
        cmocka_unit_test(both_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
