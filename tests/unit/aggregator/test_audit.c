/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/audit, against one byte a number. */
#include "aggregator/audit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { MAX_SEQ = 60, ROUNDS = 3000, STEPS = 30 };

struct world {
    struct audit audit;
    struct received received;
    bool is_received[MAX_SEQ + 1];
    bool is_skipped[MAX_SEQ + 1];
    int64_t last; /* -1: not ended */
};

static void end_world(struct world *world)
{
    audit_fini(&world->audit);
    received_fini(&world->received);
}

static struct audit_missing missing_of_model(const struct world *world)
{
    struct audit_missing missing = {.count = 0};
    for (int64_t seq = 1; seq <= world->last; seq++) {
        if (world->is_received[seq] || world->is_skipped[seq])
            continue;
        if (missing.count == 0)
            missing.first = (struct received_range){seq, seq};
        else if (missing.count == seq - missing.first.from)
            missing.first.to = seq;
        missing.count++;
    }
    return missing;
}

static void receive(struct world *world, int64_t seq)
{
    assert_int_equal(received_add(&world->received, seq),
                     world->is_received[seq] ? STATUS_CONFLICT : STATUS_OK);
    world->is_received[seq] = true;
}

static void skip_range(struct world *world, int64_t from, int64_t to)
{
    bool is_new = false;
    for (int64_t seq = from; seq <= to; seq++) {
        is_new |= !world->is_skipped[seq];
        world->is_skipped[seq] = true;
    }
    assert_int_equal(audit_note_skip(&world->audit, (struct received_range){from, to}), is_new);
}

static void end_stream(struct world *world, int64_t last)
{
    wall_ms written = {1000 + last};
    assert_int_equal(audit_note_end(&world->audit, last, written), last > world->last);
    if (last > world->last)
        world->last = last;
    assert_true(world->audit.is_ended);
    assert_int_equal(world->audit.last, world->last);
    assert_int_equal(world->audit.ended.ms, 1000 + world->last);
}

static void take_step(struct world *world, struct choice *choice)
{
    int64_t seq = 1 + (int64_t)choice_below(choice, MAX_SEQ);
    int64_t room = MAX_SEQ - seq + 1;
    switch (choice_below(choice, 8)) {
    case 0:
        end_stream(world, (int64_t)choice_below(choice, MAX_SEQ + 1));
        break;
    case 1:
        skip_range(world, seq, seq + (int64_t)choice_below(choice, room < 8 ? (uint64_t)room : 8));
        break;
    case 2:
        for (int64_t i = 0; i < room && i < 9; i++) /* as they come in health */
            receive(world, seq + i);
        break;
    default:
        receive(world, seq);
    }
}

static void it_equals_a_bitmap(void **state)
{
    (void)state;
    int64_t whole_count = 0, hole_count = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct choice choice = choice_seeded(seed);
        struct world world = {.last = -1};
        for (int step = 0; step < STEPS; step++) {
            take_step(&world, &choice);
            struct audit_missing expected = missing_of_model(&world);
            struct audit_missing found = audit_find_missing(&world.audit, &world.received);
            assert_int_equal(found.count, expected.count);
            if (found.count > 0) {
                assert_int_equal(found.first.from, expected.first.from);
                assert_int_equal(found.first.to, expected.first.to);
            }
            hole_count += found.count > 0;
            whole_count += world.last > 0 && found.count == 0;
        }
        end_world(&world);
    }
    assert_true(hole_count > ROUNDS && whole_count > ROUNDS / 10); /* both were seen often */
}

static void nothing_is_missing_of_a_stream_that_goes_on(void **state)
{
    (void)state;
    struct audit audit = {.is_ended = false};
    struct received received = {.count = 0};
    assert_int_equal(received_add(&received, 5), STATUS_OK);
    assert_int_equal(audit_find_missing(&audit, &received).count, 0);
    assert_true(audit_note_end(&audit, 0, (wall_ms){1})); /* it never had a number */
    assert_int_equal(audit_find_missing(&audit, &received).count, 0);
    assert_false(audit_note_end(&audit, 0, (wall_ms){2}));
    received_fini(&received);
}

static void the_greatest_numbers_fit(void **state)
{
    (void)state;
    struct audit audit = {.is_ended = false};
    struct received received = {.count = 0};
    assert_true(audit_note_end(&audit, RECEIVED_MAX_SEQ, (wall_ms){1}));
    assert_int_equal(audit_find_missing(&audit, &received).count, RECEIVED_MAX_SEQ);
    assert_int_equal(received_add(&received, RECEIVED_MAX_SEQ), STATUS_OK);
    assert_true(audit_note_skip(&audit, (struct received_range){2, RECEIVED_MAX_SEQ}));
    struct audit_missing missing = audit_find_missing(&audit, &received);
    assert_int_equal(missing.count, 1);
    assert_int_equal(missing.first.from, 1);
    assert_int_equal(missing.first.to, 1);
    audit_fini(&audit);
    received_fini(&received);
}

static void end_below_zero(void *unused)
{
    (void)unused;
    struct audit audit = {.is_ended = false};
    audit_note_end(&audit, -1, (wall_ms){1});
}

static void an_impossible_end_stops(void **state)
{
    (void)state;
    assert_int_equal(child_signal(end_below_zero, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_equals_a_bitmap),
        cmocka_unit_test(nothing_is_missing_of_a_stream_that_goes_on),
        cmocka_unit_test(the_greatest_numbers_fit),
        cmocka_unit_test(an_impossible_end_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
