/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/sessions with many of them: bounded turns, stored changes that stay small, memory. */
#include "aggregator/sessions.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/sessions_asked.h"

/* ---- A bounded part of the work at a time ---- */

enum { VISITORS = 100000, LOOKS = 2000 };

/* Asks until all looks of a question are left; gives how many questions it took. Nothing is due. */
static int64_t count_questions(struct sessions *store, int64_t watermark_ms, int64_t now_ms)
{
    struct sessions_question question;
    int64_t count = 0;
    do {
        question = question_at(watermark_ms, now_ms);
        question.looks = LOOKS;
        assert_false(sessions_has_due(store, &question));
        count++;
    } while (question.looks < LOOKS);
    return count;
}

static void many_that_were_hit_again_are_looked_at_in_many_turns(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, VISITORS);
    for (uint32_t i = 0; i < VISITORS; i++) {
        struct session part = visitor(i);
        sessions_add(store, &part, (mono_ms){0});
        part.start.ms = part.last.ms += GAP_MS;
        sessions_add(store, &part, (mono_ms){0});
    }
    int64_t over_ms = BASE_MS + GAP_MS + LATENESS_MS + 2000;
    assert_int_equal(count_questions(store, over_ms, 10000), VISITORS / LOOKS + 1);
    assert_int_equal(count_questions(store, over_ms, 10000), 1); /* they have moved */
    assert_true(has_due(store, over_ms + GAP_MS, 10000));
    sessions_free(&store);
}

/* As after a restart, when the first message says that it is late. */
static void many_that_ended_at_once_settle_in_many_turns(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, VISITORS);
    for (uint32_t i = 0; i < VISITORS; i++) {
        struct session change = visitor(i);
        sessions_replay(store, &change, (mono_ms){50000});
    }
    int64_t over_ms = BASE_MS + 2 * GAP_MS;
    assert_int_equal(count_questions(store, over_ms, 50100), VISITORS / LOOKS + 1);
    struct session taken;
    for (uint32_t i = 0; i < VISITORS; i++) {
        struct sessions_question question = question_at(over_ms, 55000);
        question.looks = 0; /* all stand where they are due */
        assert_true(sessions_take_due(store, &question, &taken));
    }
    assert_int_equal(sessions_count(store), 0);
    sessions_free(&store);
}

/* The bound waits for a turn that has looks left, rather than close one that has not the earliest end. */
static void beyond_the_bound_too_looks_are_counted(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, VISITORS - 1);
    for (uint32_t i = 0; i < VISITORS; i++) {
        struct session part = visitor(i);
        sessions_add(store, &part, (mono_ms){0});
        part.start.ms = part.last.ms += 60000 + i % 1000;
        sessions_add(store, &part, (mono_ms){0});
    }
    int64_t turns = 0;
    struct session taken;
    struct sessions_question question;
    do {
        question = question_at(INT64_MIN, 0);
        question.looks = LOOKS;
        turns++;
    } while (!sessions_take_due(store, &question, &taken));
    assert_true(turns >= VISITORS / LOOKS);
    assert_true(taken.last.ms < BASE_MS + 61000);
    assert_false(sessions_is_over(store));
    sessions_free(&store);
}

/* ---- Stored changes ---- */

static size_t store_changes(struct sessions *store, int64_t version)
{
    size_t cursor = 0, count = 0;
    int64_t before;
    struct session change;
    sessions_renew_old_changes(store);
    while (sessions_next_change(store, &cursor, &change))
        count++;
    sessions_note_stored(store, version);
    sessions_forget_changes(store, &before);
    return count;
}

static void a_session_that_was_never_stored_leaves_no_tombstone(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, 0);
    struct session part = part_at(BASE_MS), taken;
    sessions_add(store, &part, (mono_ms){0});
    assert_true(take_due(store, INT64_MIN, 0, &taken));
    assert_int_equal(store_changes(store, 1), 0);
    sessions_add(store, &part, (mono_ms){0});
    assert_int_equal(store_changes(store, 2), 1);
    assert_true(take_due(store, INT64_MIN, 0, &taken));
    assert_int_equal(store_changes(store, 3), 1);
    assert_int_equal(store_changes(store, 4), 0);
    assert_int_equal(sessions_change_rows(store), 2);
    sessions_free(&store);
}

static struct session part_between(int64_t start_ms, int64_t last_ms)
{
    struct session part = part_at(start_ms);
    part.last.ms = last_ms;
    part.events = 2;
    return part;
}

/* The gap may have been set longer since they were stored: a change replaces what it overlaps, no more. */
static void replay_does_not_join(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct session first = part_between(BASE_MS, BASE_MS + 10);
    struct session second = part_between(BASE_MS + 200000, BASE_MS + 200010);
    struct session between = part_at(BASE_MS + 100000), whole;
    sessions_replay(store, &first, (mono_ms){0});
    sessions_replay(store, &second, (mono_ms){0});
    assert_int_equal(sessions_count(store), 2);
    sessions_add(store, &between, (mono_ms){0});
    size_t cursor = 0;
    assert_true(sessions_next(store, &cursor, &whole));
    assert_false(sessions_next(store, &cursor, &first));
    assert_int_equal(whole.events, 5);
    sessions_free(&store);
}

static void a_replayed_session_that_is_shorter_ends_earlier(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct session longer = part_between(BASE_MS, BASE_MS + 9000000);
    struct session shorter = part_between(BASE_MS, BASE_MS + 1000), taken;
    sessions_replay(store, &longer, (mono_ms){0});
    sessions_replay(store, &shorter, (mono_ms){0});
    assert_int_equal(sessions_count(store), 1);
    int64_t over_ms = BASE_MS + 1000 + GAP_MS + LATENESS_MS + 2000;
    assert_true(take_due(store, over_ms, 10000, &taken));
    assert_true(session_is_same(&taken, &shorter));
    sessions_free(&store);
}

/* A hit of tomorrow would keep every stored change until then, were it not stored anew. */
static void one_that_never_changes_does_not_keep_all_rows(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct session part = part_at(BASE_MS + 86400000);
    size_t written = 0;
    sessions_add(store, &part, (mono_ms){0});
    for (int64_t version = 1; version <= 20000; version++) {
        for (int64_t i = 0; i < 5; i++) {
            part = part_at(BASE_MS);
            part.ip.bytes[14] = (uint8_t)(1 + i);
            sessions_add(store, &part, (mono_ms){0});
        }
        written += store_changes(store, version);
        assert_true(sessions_change_rows(store) < 11000);
    }
    assert_true(written >= 100001 + 5 && written < 100001 + 50); /* renewed a few times only */
    sessions_free(&store);
}

/* Visitors who come at random for hours: some sessions rest long in old changes, most change again and again. */
static void stored_changes_stay_small_under_load(void **state)
{
    (void)state;
    enum { OPEN = 10000, A_BATCH = 250, BATCHES = 2000, TWICE = 2 * (2 * OPEN + 10000) };
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct choice choice = choice_seeded(8);
    size_t written = 0;
    for (uint32_t i = 0; i < OPEN; i++) {
        struct session part = visitor(i);
        sessions_add(store, &part, (mono_ms){0});
    }
    for (int64_t version = 1; version <= BATCHES; version++) {
        for (int i = 0; i < A_BATCH; i++) {
            struct session part = visitor((uint32_t)choice_below(&choice, OPEN));
            sessions_add(store, &part, (mono_ms){0});
        }
        written += store_changes(store, version);
        assert_true(sessions_change_rows(store) < TWICE);
    }
    assert_int_equal(sessions_count(store), OPEN);
    assert_true(written < 2UL * A_BATCH * BATCHES); /* it costs less than what it keeps small */
    sessions_free(&store);
}

/* ---- A million ---- */

enum { MILLION = 1000000 };

#ifdef __SANITIZE_ADDRESS__
enum { COUNTS_MEMORY = 0 }; /* its allocator is not counted by mallinfo2 */
#else
enum { COUNTS_MEMORY = 1 };
#endif

static size_t heap_bytes(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

static void a_million_are_held_in_72_bytes_each(void **state)
{
    (void)state;
    size_t before = heap_bytes();
    struct sessions *store = sessions_new(GAP_MS, 2 * MILLION);
    for (uint32_t i = 0; i < MILLION; i++) {
        struct session part = visitor(i);
        sessions_add(store, &part, (mono_ms){0});
        if (i % 5000 == 4999)
            sessions_note_stored(store, i);
    }
    assert_int_equal(sessions_count(store), MILLION);
    size_t bytes = heap_bytes() - before;
    if (COUNTS_MEMORY) {
        printf("%zu bytes a session\n", bytes / MILLION);
        assert_true(bytes <= 72UL * MILLION);
    }
    struct session taken;
    int64_t over_ms = BASE_MS + 10 * GAP_MS;
    for (uint32_t i = 0; i < MILLION; i++)
        assert_true(take_due(store, over_ms, 10000, &taken));
    assert_false(has_due(store, over_ms, 10000));
    assert_int_equal(sessions_count(store), 0);
    sessions_free(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_that_were_hit_again_are_looked_at_in_many_turns),
        cmocka_unit_test(many_that_ended_at_once_settle_in_many_turns),
        cmocka_unit_test(beyond_the_bound_too_looks_are_counted),
        cmocka_unit_test(a_session_that_was_never_stored_leaves_no_tombstone),
        cmocka_unit_test(replay_does_not_join),
        cmocka_unit_test(a_replayed_session_that_is_shorter_ends_earlier),
        cmocka_unit_test(one_that_never_changes_does_not_keep_all_rows),
        cmocka_unit_test(stored_changes_stay_small_under_load),
        cmocka_unit_test(a_million_are_held_in_72_bytes_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
