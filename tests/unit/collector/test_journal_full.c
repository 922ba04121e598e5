/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/journal when a start finds it full, on a full disk, or after many starts. */
#include "collector/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "collector/segment.h"
#include "tests/unit/collector/journal_case.h"

/* Until it takes no more. How many it took. */
static int64_t fill(struct journal_options *options)
{
    journal_position position;
    int64_t taken = 0;
    rig_open(&rig, options, sim);
    while (rig_append(&rig, 0, 5000, &position) == STATUS_OK) {
        taken++;
        (void)rig_commit(&rig);
        MUST(taken < 10000);
    }
    return taken;
}

static int64_t acknowledge_hits(void)
{
    struct journal_entry entry;
    int64_t hits = 0;
    while (rig_read(&rig, &entry)) {
        hits += entry.kind == JOURNAL_HIT;
        journal_acknowledge(rig.journal, entry.position);
    }
    return hits;
}

static void hits_are_taken_again(void)
{
    for (int i = 0; i < 10; i++)
        rig_upkeep(&rig);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_OK);
    append(0, 5000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    expect_hit(0, 1);
}

/* The mark that must be durable before the first hit is handed out needs a place too. */
static void a_full_journal_is_emptied_after_a_restart(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    options.max_bytes = 4 * RIG_SEGMENT_BYTES;
    int64_t taken = fill(&options);
    start_again();
    options = rig_options(sim, 2);
    options.max_bytes = 4 * RIG_SEGMENT_BYTES;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_FULL);
    rig_start_publishing(&rig);
    assert_int_equal(acknowledge_hits(), taken);
    hits_are_taken_again();
}

static void a_journal_on_a_full_disk_is_emptied_after_a_restart(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    rig_open(&rig, &options, sim);
    append(0, 5000);
    rig_commit(&rig);
    start_again();
    options = rig_options(sim, 2);
    options.min_free_bytes = 1000000;
    sim_disk_set_free_bytes(sim, options.min_free_bytes - 1);
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    assert_int_equal(acknowledge_hits(), 1);
    sim_disk_set_free_bytes(sim, options.min_free_bytes + RIG_SEGMENT_BYTES);
    hits_are_taken_again();
}

/* A file that was made and never used takes nothing of the room, however many starts there were. */
static void many_starts_do_not_fill_it(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    for (uint8_t boot = 1; boot <= 40; boot++) {
        rig_open(&rig, &options, sim);
        rig_recover(&rig);
        append(0, 100);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
        start_again();
        options = rig_options(sim, (uint8_t)(boot + 1));
        options.max_bytes = 8 * RIG_SEGMENT_BYTES;
    }
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    assert_int_equal(figures().recovered, 40);
    assert_true(figures().bytes < 6 * RIG_SEGMENT_BYTES);
}

/* A request is refused when its hit could be too long, long before every hit is. */
static void figures_say_so_when_requests_are_refused(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    options.max_bytes = 3 * RIG_SEGMENT_BYTES;
    rig_open(&rig, &options, sim);
    while (journal_has_room(rig.journal, 1) != STATUS_FULL) {
        assert_int_equal(figures().state, journal_has_room(rig.journal, 1));
        append(0, 5000);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
    }
    assert_int_equal(figures().state, STATUS_FULL);
    append(0, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_case_begin, journal_case_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_journal_is_emptied_after_a_restart),
        TEST(a_journal_on_a_full_disk_is_emptied_after_a_restart),
        TEST(many_starts_do_not_fill_it),
        TEST(figures_say_so_when_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
