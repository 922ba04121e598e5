/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/failpoint: each case is a process of its own, since the environment is read once. */
#include "base/failpoint.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/child.h"

struct passing {
    const char *setting; /* NULL: not set */
    const char *name;
    int count;
};

static void pass(void *argument)
{
    const struct passing *passing = argument;
    if (passing->setting != NULL)
        setenv("FOOTFALL_FAILPOINT", passing->setting, 1);
    else
        unsetenv("FOOTFALL_FAILPOINT");
    for (int i = 0; i < passing->count; i++)
        failpoint_pass(passing->name);
}

static void a_named_place_ends_the_process(void **state)
{
    (void)state;
    static const struct {
        struct passing passing;
        int expected;
    } cases[] = {
        {{NULL, "commit", 5}, 0},
        {{"", "commit", 5}, 0},
        {{"commit", "commit", 1}, SIGKILL},
        {{"commit", "before_commit", 5}, 0},
        {{"commit:3", "commit", 2}, 0},
        {{"commit:3", "commit", 3}, SIGKILL},
        {{"commit:2:stop", "commit", 1}, 0},
        {{"commit:2:stop", "commit", 2}, SIGSTOP},
        {{"sync:9,commit:2", "commit", 2}, SIGKILL},
        {{"sync:9,commit:2", "sync", 8}, 0},
        {{"commit:0", "commit", 1}, SIGABRT}, /* a test that is written wrong must not pass */
        {{"commit:x", "commit", 1}, SIGABRT},
        {{"commit:1:halt", "commit", 1}, SIGABRT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct passing passing = cases[i].passing;
        assert_int_equal(child_signal(pass, &passing), cases[i].expected);
    }
}

static void a_number_may_be_made_another(void **state)
{
    (void)state;
    unsetenv("FOOTFALL_FAILPOINT_NUMBERS");
    assert_int_equal(failpoint_number("size", 7), 7);
    setenv("FOOTFALL_FAILPOINT_NUMBERS", "count=3,size=131072", 1);
    assert_int_equal(failpoint_number("size", 7), 131072);
    assert_int_equal(failpoint_number("count", 7), 3);
    assert_int_equal(failpoint_number("siz", 7), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_place_ends_the_process),
        cmocka_unit_test(a_number_may_be_made_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
