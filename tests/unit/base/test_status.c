/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/status. */
#include "base/status.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"

static void each_status_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int i = STATUS_OK; i <= STATUS_STOPPING; i++) {
        assert_true(strlen(status_text((enum status)i)) > 0);
        for (int j = STATUS_OK; j < i; j++)
            assert_string_not_equal(status_text((enum status)i), status_text((enum status)j));
    }
}

static void a_sentence_is_cut_at_its_size(void **state)
{
    (void)state;
    struct why why;
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(why_say(&why, STATUS_RANGE, "http.idle = %d is too long", 7), STATUS_RANGE);
    assert_string_equal(why.text, "http.idle = 7 is too long");
    assert_int_equal(why.status, STATUS_RANGE);
    (void)why_say(&why, STATUS_TOO_BIG, "%s", long_text);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
}

static void must(void *holds)
{
    MUST(*(int *)holds);
}

static void text_of_no_status(void *unused)
{
    (void)unused;
    status_text((enum status)(STATUS_STOPPING + 1));
}

static void allocate_too_much(void *unused)
{
    (void)unused;
    volatile unsigned long size = SIZE_MAX / 2;
    free(must_malloc(size));
}

static void a_broken_promise_stops_the_process(void **state)
{
    (void)state;
    int holds = 1;
    assert_int_equal(child_signal(must, &holds), 0);
    holds = 0;
    assert_int_equal(child_signal(must, &holds), SIGABRT);
    assert_int_equal(child_signal(text_of_no_status, NULL), SIGABRT);
}

static void running_out_of_memory_stops_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(child_signal(allocate_too_much, NULL), 0);
}

static void an_allocation_of_nothing_is_an_allocation(void **state)
{
    (void)state;
    void *memory = must_malloc(0);
    assert_non_null(memory);
    memory = must_realloc(memory, 0);
    assert_non_null(memory);
    free(memory);
    memory = must_calloc(0, 8);
    assert_non_null(memory);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_a_text_of_its_own),
        cmocka_unit_test(a_sentence_is_cut_at_its_size),
        cmocka_unit_test(a_broken_promise_stops_the_process),
        cmocka_unit_test(running_out_of_memory_stops_the_process),
        cmocka_unit_test(an_allocation_of_nothing_is_an_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
