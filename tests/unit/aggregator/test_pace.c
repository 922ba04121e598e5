/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/pace: when a batch is due, and the search for a message that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/pace.h"

enum { FULL = 5000 };

static int64_t wait_ms(const struct pace *pace, struct pace_batch batch, int64_t now)
{
    return pace_wait_ms(pace, &batch, (mono_ms){now});
}

static void an_empty_batch_is_never_due(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, FULL);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){.is_dry = true}, 1000), -1);
}

static void a_full_batch_is_due_at_once(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, FULL);
    pace_note_start(&pace, (mono_ms){990});
    pace_note_committed(&pace, 10, (mono_ms){1000});
    assert_int_equal(wait_ms(&pace, (struct pace_batch){FULL, false, false, {1000}}, 1000), 0);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){17, true, false, {1000}}, 1000), 0);
}

static void more_to_come_is_waited_for_but_not_for_long(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, FULL);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){3, false, false, {1000}}, 1000), PACE_MAX_WAIT_MS);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){3, false, false, {1000}}, 1005),
                     PACE_MAX_WAIT_MS - 5);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){3, false, false, {1000}}, 1000 + PACE_MAX_WAIT_MS),
                     0);
}

/* After a write of 4 ms the next one begins 8 ms after the start of the last one, or later. */
static void a_dry_queue_leaves_postgres_half_of_its_time(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, FULL);
    pace_note_start(&pace, (mono_ms){1000});
    pace_note_committed(&pace, 10, (mono_ms){1004});
    assert_int_equal(wait_ms(&pace, (struct pace_batch){1, false, true, {1004}}, 1004), 4);
    assert_int_equal(wait_ms(&pace, (struct pace_batch){1, false, true, {1009}}, 1009), 0);
    pace_note_start(&pace, (mono_ms){2000});
    pace_note_committed(&pace, 10, (mono_ms){2300});
    assert_int_equal(wait_ms(&pace, (struct pace_batch){1, false, true, {2295}}, 2300), 15);
}

/* ---- The search: Postgres is a function that refuses batches with bad messages ---- */

struct trial {
    struct pace pace;
    size_t count;
    bool *is_bad;
    bool *is_condemned;
    size_t attempts;
};

static bool is_refused(const struct trial *trial, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (trial->is_bad[i] && !trial->is_condemned[i])
            return true;
    return false;
}

static size_t try_batch(struct trial *trial, size_t at)
{
    size_t left = trial->count - at;
    size_t taken = left < trial->pace.max_messages ? left : trial->pace.max_messages;
    trial->attempts++;
    if (!is_refused(trial, at, at + taken)) {
        pace_note_committed(&trial->pace, taken, (mono_ms){0});
        return at + taken;
    }
    if (pace_note_refused(&trial->pace, taken)) {
        assert_int_equal(taken, 1);
        trial->is_condemned[at] = true;
    }
    return at;
}

static void run_trial(size_t bad_count)
{
    struct trial trial = {.count = 40000};
    pace_init(&trial.pace, FULL);
    trial.is_bad = calloc(trial.count, 1);
    trial.is_condemned = calloc(trial.count, 1);
    for (size_t i = 0; i < bad_count; i++)
        trial.is_bad[(size_t)rand() % trial.count] = true;
    for (size_t at = 0; at < trial.count && trial.attempts < 1000000;)
        at = try_batch(&trial, at);
    assert_memory_equal(trial.is_bad, trial.is_condemned, trial.count);
    /* 13 halvings, as many commits, and as many doublings a bad message, and the batches of a healthy run. */
    assert_in_range(trial.attempts, trial.count / FULL, trial.count / FULL + bad_count * 3 * 14);
    free(trial.is_bad);
    free(trial.is_condemned);
}

static void exactly_the_bad_messages_are_found(void **state)
{
    (void)state;
    srand(7);
    for (size_t bad_count = 0; bad_count < 40; bad_count++)
        run_trial(bad_count);
}

static void afterwards_batches_are_full_again(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, FULL);
    assert_false(pace_note_refused(&pace, 100));
    assert_int_equal(pace.max_messages, 50);
    assert_true(pace_is_searching(&pace));
    pace_note_committed(&pace, 50, (mono_ms){0});
    pace_note_committed(&pace, 50, (mono_ms){0});
    assert_int_equal(pace.max_messages, 50);
    for (int i = 0; i < 7; i++)
        pace_note_committed(&pace, 50, (mono_ms){0});
    assert_false(pace_is_searching(&pace));
    assert_int_equal(pace.max_messages, FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_batch_is_never_due),
        cmocka_unit_test(a_full_batch_is_due_at_once),
        cmocka_unit_test(more_to_come_is_waited_for_but_not_for_long),
        cmocka_unit_test(a_dry_queue_leaves_postgres_half_of_its_time),
        cmocka_unit_test(exactly_the_bad_messages_are_found),
        cmocka_unit_test(afterwards_batches_are_full_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
