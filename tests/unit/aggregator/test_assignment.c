/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/assignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/assignment.h"

enum { PARTITIONS = 6 };

static const mono_ms start = {1000000};

static int set_up(void **state)
{
    static struct assignment assignment;
    assignment_init(&assignment, PARTITIONS);
    *state = &assignment;
    return 0;
}

static int tear_down(void **state)
{
    assignment_fini(*state);
    return 0;
}

static mono_ms after(int64_t ms)
{
    return (mono_ms){start.ms + ms};
}

static bool hold(struct assignment *assignment, int generation, int partition, int64_t next_offset)
{
    struct claim *claim = claim_new(partition, 300000, 1000);
    claim->next_offset = next_offset;
    return assignment_hold_take(assignment, generation, claim);
}

/* The group gives all, and all are claimed at 100. */
static void hold_all(struct assignment *assignment)
{
    static const int all[PARTITIONS] = {0, 1, 2, 3, 4, 5};
    assert_true(assignment_set(assignment, all, PARTITIONS, start));
    for (int i = 0; i < PARTITIONS; i++)
        assert_true(hold(assignment, assignment->generation, i, 100));
}

static void what_is_assigned_is_claimed_one_after_the_other(void **state)
{
    struct assignment *assignment = *state;
    assert_int_equal(assignment_find_due(assignment, start), -1);
    assert_true(assignment_set(assignment, (int[]){4, 1}, 2, start));
    assert_int_equal(assignment_find_due(assignment, start), 1);
    assert_true(hold(assignment, assignment->generation, 1, -2));
    assert_int_equal(assignment_find_due(assignment, start), 4);
    assert_true(hold(assignment, assignment->generation, 4, 77));
    assert_int_equal(assignment_find_due(assignment, start), -1);

    struct feed_position positions[PARTITIONS];
    assert_int_equal(assignment_positions(assignment, positions), 2);
    assert_int_equal(positions[0].partition, 1);
    assert_int_equal(positions[0].next_offset, -2);
    assert_int_equal(positions[1].partition, 4);
    assert_int_equal(positions[1].next_offset, 77);
}

static void partitions_beyond_the_topic_are_left_out(void **state)
{
    struct assignment *assignment = *state;
    assert_false(assignment_set(assignment, (int[]){PARTITIONS, 2, -1}, 3, start));
    assert_int_equal(assignment_count(assignment, ASSIGNMENT_WANTED), 1);
}

static void a_claim_of_an_older_generation_is_thrown_away(void **state)
{
    struct assignment *assignment = *state;
    assignment_set(assignment, (int[]){2}, 1, start);
    int generation = assignment->generation;
    assignment_clear(assignment);
    assert_false(hold(assignment, generation, 2, 5));
    assignment_set(assignment, (int[]){2}, 1, start);
    assert_false(hold(assignment, generation, 2, 5));
    assert_int_equal(assignment_count(assignment, ASSIGNMENT_HELD), 0);
    assert_true(hold(assignment, assignment->generation, 2, 5));
}

static void messages_are_taken_once_and_in_order(void **state)
{
    struct assignment *assignment = *state;
    assert_null(assignment_accept(assignment, 3, 100));
    hold_all(assignment);
    assert_null(assignment_accept(assignment, 3, 99));
    assert_non_null(assignment_accept(assignment, 3, 100));
    assert_null(assignment_accept(assignment, 3, 100));
    assert_non_null(assignment_accept(assignment, 3, 105)); /* a gap is legal */
    assert_null(assignment_accept(assignment, 3, 104));
    assert_null(assignment_accept(assignment, PARTITIONS, 100));
    assert_null(assignment_accept(assignment, -1, 100));
    struct feed_position positions[PARTITIONS];
    assert_int_equal(assignment_positions(assignment, positions), PARTITIONS);
    assert_int_equal(positions[3].next_offset, 106);
    assert_int_equal(positions[4].next_offset, 100);
}

static void dropped_claims_live_until_they_are_buried(void **state)
{
    struct assignment *assignment = *state;
    hold_all(assignment);
    const struct claim *borrowed = assignment->parts[2].claim;
    assignment_drop(assignment);
    assert_int_equal(assignment_count(assignment, ASSIGNMENT_WANTED), PARTITIONS);
    assert_int_equal(borrowed->partition, 2); /* under ASan: not freed */
    assert_int_equal(assignment->dropped_count, PARTITIONS);
    assignment_bury(assignment);
    assert_int_equal(assignment->dropped_count, 0);
    assert_int_equal(assignment_find_due(assignment, start), 0);
}

static void a_fenced_partition_is_asked_for_later_and_later(void **state)
{
    struct assignment *assignment = *state;
    mono_ms now = start;
    int64_t last_wait_ms = 0;
    hold_all(assignment);
    for (int round = 0; round < 4; round++) {
        assignment_fence(assignment, 3, now);
        assert_int_equal(assignment_find_due(assignment, (mono_ms){now.ms + ASSIGNMENT_COOLING_MS}), -1);
        int64_t wait_ms = assignment->parts[3].claim_at.ms - now.ms;
        assert_true(wait_ms > last_wait_ms);
        last_wait_ms = wait_ms;
        now = assignment->parts[3].claim_at;
        assert_int_equal(assignment_find_due(assignment, now), 3);
        assert_true(hold(assignment, assignment->generation, 3, 100));
    }
    assignment_fence(assignment, 3, now);
    assignment_set(assignment, (int[]){3}, 1, now); /* the group has decided anew */
    assert_int_equal(assignment_find_due(assignment, now), 3);
}

static void a_halt_is_kept_before_the_partition_is_looked_at_again(void **state)
{
    struct assignment *assignment = *state;
    struct feed_position positions[PARTITIONS];
    hold_all(assignment);
    uuid owner = uuid_v4();
    assignment->parts[0].claim->owner = owner;
    assert_int_equal(assignment_find_halt(assignment), -1);
    assert_true(assignment_halt(assignment, 0, "bad", start));
    assert_false(assignment_halt(assignment, 0, "worse", start)); /* what was found first counts */
    assert_string_equal(assignment->parts[0].halt_reason, "bad");
    assert_non_null(assignment_find_held(assignment, 0)); /* what it read can still be committed */
    assert_null(assignment_accept(assignment, 0, 200));
    assert_int_equal(assignment_positions(assignment, positions), PARTITIONS - 1);
    assert_int_equal(assignment_halted_count(assignment), 1);

    assignment_drop(assignment); /* also when its batch fails */
    assert_null(assignment_find_held(assignment, 0));
    assert_int_equal(assignment_find_due(assignment, after(1000000)), 1);
    assert_int_equal(assignment_find_halt(assignment), 0);
    assert_true(uuid_equals(assignment->parts[0].halt_owner, owner));

    assignment_note_halt_kept(assignment, 0, start);
    assert_int_equal(assignment_find_halt(assignment), -1);
    assert_int_equal(assignment_halted_count(assignment), 1);
    for (int i = 1; i < PARTITIONS; i++)
        assert_true(hold(assignment, assignment->generation, i, 100));
    assert_int_equal(assignment_find_due(assignment, after(ASSIGNMENT_LOOK_MS - 1)), -1);
    assert_int_equal(assignment_find_due(assignment, after(ASSIGNMENT_LOOK_MS)), 0);
}

static void a_halted_partition_is_looked_at_until_it_can_be_claimed(void **state)
{
    struct assignment *assignment = *state;
    assignment_set(assignment, (int[]){2}, 1, start);
    for (int64_t look = 0; look < 3; look++) {
        mono_ms now = after(look * ASSIGNMENT_LOOK_MS);
        assert_int_equal(assignment_find_due(assignment, now), 2);
        assert_int_equal(assignment_halt(assignment, 2, "the row says so", now), look == 0); /* said once */
        assert_int_equal(assignment_find_due(assignment, (mono_ms){now.ms + ASSIGNMENT_LOOK_MS - 1}), -1);
        assert_int_equal(assignment_find_halt(assignment), -1); /* the row knows */
    }
    assert_true(hold(assignment, assignment->generation, 2, 100));
    assert_int_equal(assignment_halted_count(assignment), 0);
    assert_non_null(assignment_accept(assignment, 2, 100));
    assert_true(assignment_halt(assignment, 2, "the row says so", start)); /* news again */
}

static void a_halt_ends_with_the_assignment_and_with_ownership(void **state)
{
    struct assignment *assignment = *state;
    hold_all(assignment);
    assignment_halt(assignment, 4, "bad", start);
    assignment_fence(assignment, 4, start);
    assert_int_equal(assignment_halted_count(assignment), 0);
    assignment_halt(assignment, 5, "bad", start);
    assignment_clear(assignment);
    assert_int_equal(assignment_halted_count(assignment), 0);
    assert_int_equal(assignment_find_halt(assignment), -1);
}

static void a_changed_topic_is_claimed_anew(void **state)
{
    struct assignment *assignment = *state;
    hold_all(assignment);
    int generation = assignment->generation;
    assignment_halt(assignment, 1, "bad", start);
    assignment_renew(assignment, start);
    assert_int_equal(assignment_count(assignment, ASSIGNMENT_WANTED), PARTITIONS);
    assert_int_equal(assignment_halted_count(assignment), 0);
    assert_false(hold(assignment, generation, 2, 5)); /* asked for before */
    assert_int_equal(assignment_find_due(assignment, start), 0);
}

static void quiet_begins_at_the_end_of_the_log_and_ends_with_a_message(void **state)
{
    struct assignment *assignment = *state;
    hold_all(assignment);
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(5)), -1);
    assignment_note_end(assignment, 1, after(10));
    assignment_note_end(assignment, 1, after(20));
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(50)), 40);
    assert_non_null(assignment_accept(assignment, 1, 100));
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(60)), -1);
    assignment_note_end(assignment, 1, after(70));
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(71)), 1);
    assignment_drop(assignment);
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(72)), -1);
    assignment_note_end(assignment, 1, after(73)); /* of an older list */
    assert_int_equal(assignment_quiet_ms(assignment, 1, after(74)), -1);
}

static void a_condemned_message_is_remembered_until_it_is_committed(void **state)
{
    struct assignment *assignment = *state;
    hold_all(assignment);
    struct assignment_part *part = &assignment->parts[5];
    part->condemned_offset = 100;
    assignment_note_committed(assignment, 5);
    assert_int_equal(part->condemned_offset, 100);
    part->claim->next_offset = 101;
    assignment_note_committed(assignment, 5);
    assert_int_equal(part->condemned_offset, -1);
    assignment_drop(assignment);
    assert_int_equal(part->stored_offset, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_assigned_is_claimed_one_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(partitions_beyond_the_topic_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_claim_of_an_older_generation_is_thrown_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_are_taken_once_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_claims_live_until_they_are_buried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fenced_partition_is_asked_for_later_and_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_halt_is_kept_before_the_partition_is_looked_at_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_halted_partition_is_looked_at_until_it_can_be_claimed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_halt_ends_with_the_assignment_and_with_ownership, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_changed_topic_is_claimed_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quiet_begins_at_the_end_of_the_log_and_ends_with_a_message, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_condemned_message_is_remembered_until_it_is_committed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
