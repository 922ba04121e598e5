/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/journal on a disk that is full or fails. */
#include "collector/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "collector/segment.h"
#include "tests/unit/collector/journal_case.h"

/* --- full --- */

static void full_at_max_bytes_and_again_when_there_is_room(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    journal_position position;
    enum status status = STATUS_OK;
    int taken = 0;
    (void)state;
    options.max_bytes = 4 * RIG_SEGMENT_BYTES;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (; status == STATUS_OK && taken < 1000; taken++) {
        status = rig_append(&rig, 0, 5000, &position);
        rig_commit(&rig);
    }
    assert_int_equal(status, STATUS_FULL);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_FULL);
    assert_true(figures().bytes <= options.max_bytes);
    assert_true(taken > 60);
    acknowledge_all();
    for (int i = 0; i < 5; i++)
        rig_upkeep(&rig);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_OK);
    append(0, 5000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    expect_hit(0, taken);
}

static void full_when_the_disk_has_too_little_left(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    options.min_free_bytes = 1000000;
    sim_disk_set_free_bytes(sim, options.min_free_bytes + RIG_SEGMENT_BYTES - 1);
    rig_open(&rig, &options, sim);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_FULL);
    sim_disk_set_free_bytes(sim, options.min_free_bytes + RIG_SEGMENT_BYTES);
    rig_upkeep(&rig);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_OK);
}

static void no_more_is_kept_in_memory_than_allowed(void **state)
{
    journal_position position;
    enum status status = STATUS_OK;
    (void)state;
    open_rig(1);
    for (int i = 0; status == STATUS_OK && i < 1000; i++) {
        status = rig_append(&rig, 0, 8000, &position);
        rig_flush(&rig); /* and never synced */
        rig_upkeep(&rig);
    }
    assert_int_equal(status, STATUS_FULL);
    assert_true(journal_unsynced_bytes(rig.journal) <= 2 * RIG_SEGMENT_BYTES);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    append(0, 8000);
}

/* --- failing --- */

static void all_hits_arrive_once(int count)
{
    rig_start_publishing(&rig);
    for (int64_t seq = 1; seq <= count; seq++)
        expect_hit(0, seq);
    expect_nothing();
}

static void a_failed_sync_seals_the_file_and_loses_nothing(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    for (int i = 0; i < 10; i++)
        append(0, 1000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    journal_position durable = journal_durable(rig.journal);
    struct plan plan = {SIM_SYNC, -EIO, 0, 1};
    sim_disk_set_fault(sim, follow, &plan);
    for (int i = 0; i < 10; i++)
        append(0, 1000);
    assert_int_equal(rig_commit(&rig), STATUS_UNAVAILABLE);
    assert_int_equal(journal_durable(rig.journal), durable);
    append(0, 1000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    assert_int_equal(journal_durable(rig.journal), durable + 11);
    assert_int_equal(figures().sync_errors, 1);
    all_hits_arrive_once(21);
    assert_int_equal(sim_disk_repeated_syncs(sim), 0);
    killed_and_started_again(2);
    rig_start_publishing(&rig);
    for (int seq = 1; seq <= 10; seq++)
        expect_hit(0, seq);
}

/* What was written and not made durable can still be read, should the process be killed: its file stays until
 * it was written again. */
static void a_file_whose_sync_failed_stays_until_its_hits_are_elsewhere(void **state)
{
    struct plan sync = {SIM_SYNC, -EIO, 0, 1000}; /* also of what shall become the next file */
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_commit(&rig); /* a spare is there, and used up by the second failure */
    for (int i = 0; i < 10; i++)
        append(0, 1000);
    rig_flush(&rig);
    sim_disk_set_fault(sim, follow, &sync);
    for (int i = 0; i < 5; i++)
        (void)rig_commit(&rig);
    assert_int_equal(journal_written(rig.journal), JOURNAL_FIRST_OWN);
    sim_disk_set_fault(sim, NULL, NULL);
    killed_and_started_again(2);
    assert_true(figures().recovered >= 10);
    rig_start_publishing(&rig);
    expect_hit(0, 1);
}

static void a_failed_sync_of_the_first_of_two_files(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    for (int i = 0; i < 30; i++) { /* two segments, one group */
        append(0, 7000);
        rig_flush(&rig);
        rig_upkeep(&rig);
    }
    struct plan plan = {SIM_SYNC, -EIO, 0, 1};
    rig_begin_sync(&rig);
    assert_int_equal(rig.sync.count, 2);
    sim_disk_set_fault(sim, follow, &plan);
    assert_int_equal(rig_end_sync(&rig), STATUS_UNAVAILABLE);
    assert_int_equal(journal_durable(rig.journal), JOURNAL_FIRST_OWN);
    for (int i = 0; i < 5; i++)
        rig_commit(&rig);
    assert_int_equal(journal_durable(rig.journal), JOURNAL_FIRST_OWN + 30);
    all_hits_arrive_once(30);
    assert_int_equal(sim_disk_repeated_syncs(sim), 0);
}

static void a_disk_that_is_gone_for_a_while(void **state)
{
    journal_position position;
    int taken = 0;
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    append(0, 1000);
    rig_commit(&rig);
    struct plan plan = {SIM_SYNC, -EIO, 0, 1000};
    sim_disk_set_fault(sim, follow, &plan);
    for (int i = 0; i < 300; i++) {
        taken += rig_append(&rig, 0, 4000, &position) == STATUS_OK;
        (void)rig_commit(&rig);
    }
    assert_true(taken < 300);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_UNAVAILABLE);
    sim_disk_set_fault(sim, NULL, NULL);
    for (int i = 0; i < 10; i++)
        (void)rig_commit(&rig);
    assert_int_equal(journal_durable(rig.journal), JOURNAL_FIRST_OWN + 1 + (uint64_t)taken);
    all_hits_arrive_once(1 + taken);
    assert_int_equal(sim_disk_repeated_syncs(sim), 0);
}

static void writes_that_fail(int error)
{
    for (int64_t skip = 0; skip < 12; skip++) {
        void *nothing = NULL;
        struct plan plan = {SIM_WRITE, error, skip, 1};
        journal_case_begin(&nothing);
        open_rig(1);
        rig_recover(&rig);
        sim_disk_set_fault(sim, follow, &plan);
        for (int i = 0; i < 40; i++) {
            append(0, 7000);
            (void)rig_commit(&rig);
        }
        for (int i = 0; i < 5; i++)
            (void)rig_commit(&rig);
        assert_int_equal(plan.count, 0);
        assert_int_equal(figures().write_errors, 1);
        all_hits_arrive_once(40);
        rig_close(&rig);
        sim_disk_free(&sim);
        sim = NULL;
    }
}

static void a_write_that_fails_goes_on_in_another_segment(void **state)
{
    (void)state;
    sim_disk_free(&sim);
    writes_that_fail(-ENOSPC);
    writes_that_fail(-EIO);
}

static void a_file_that_failed_is_cut_and_left(void **state)
{
    struct plan plan = {SIM_WRITE, -ENOSPC, 0, 1};
    (void)state;
    open_rig(1);
    append(0, 100);
    rig_commit(&rig);
    sim_disk_set_fault(sim, follow, &plan);
    append(0, 100);
    assert_int_equal(rig_flush(&rig), STATUS_OK);
    size_t frames = frame_bytes(strlen("shop.example|192.0.2.7"), 100);
    assert_int_equal(sim_disk_file(sim, "0000000000000001.segment").len, 2 * SEGMENT_BLOCK + frames);
    assert_int_not_equal(sim_disk_file(sim, "0000000000000002.segment").data[0], 0);
}

static void interrupted_and_short_calls_are_repeated(void **state)
{
    static const struct plan plans[] = {
        {SIM_WRITE, SIM_SHORT, 0, 30}, {SIM_WRITE, -EINTR, 1, 7}, {SIM_READ, SIM_SHORT, 0, 30},
        {SIM_READ, -EINTR, 0, 7},      {SIM_OPEN, -EINTR, 0, 2},  {SIM_PREALLOCATE, -EINTR, 0, 2},
    };
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct plan plan = plans[i];
        open_rig(1);
        rig_recover(&rig);
        sim_disk_set_fault(sim, follow, &plan);
        for (int hit = 0; hit < 40; hit++) {
            append(0, 7000);
            assert_int_equal(rig_commit(&rig), STATUS_OK);
        }
        all_hits_arrive_once(40);
        assert_int_equal(figures().write_errors, 0);
        journal_case_end(state);
        journal_case_begin(state);
    }
}

static void what_a_killed_process_has_written_is_made_durable(void **state)
{
    struct plan plan = {SIM_SYNC, -EIO, 0, 100};
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    append(0, 100);
    assert_int_equal(rig_flush(&rig), STATUS_OK);
    start_again();
    sim_disk_set_fault(sim, follow, &plan);
    struct journal_options options = rig_options(sim, 2);
    struct why why;
    assert_null(journal_open(&options, (mono_ms){0}, &why));
    assert_int_equal(plan.count, 100 - 1 - 1); /* the segment that was found, and the new one */
    sim_disk_set_fault(sim, NULL, NULL);
}

static void a_segment_that_cannot_be_made(void **state)
{
    static const enum sim_call calls[] = {SIM_OPEN, SIM_PREALLOCATE, SIM_SYNC_FOLDER};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct plan plan = {calls[i], -ENOSPC, 0, 100};
        journal_position position;
        open_rig(1);
        sim_disk_set_fault(sim, follow, &plan);
        enum status status = STATUS_OK;
        for (int hit = 0; status == STATUS_OK && hit < 100; hit++) {
            status = rig_append(&rig, 0, 7000, &position);
            rig_commit(&rig);
        }
        assert_int_equal(status, STATUS_FULL);
        assert_int_equal(sim_disk_file_count(sim), 1);
        sim_disk_set_fault(sim, NULL, NULL);
        rig_commit(&rig);
        append(0, 7000);
        journal_case_end(state);
        journal_case_begin(state);
    }
}

static int said_that_it_stays; /* lines */

static void count_lines(slice line)
{
    said_that_it_stays += memmem(line.data, line.len, "event=segment_stays", 19) != NULL;
}

static void a_file_that_stays_is_said_and_removed_later(void **state)
{
    struct plan plan = {SIM_REMOVE, -EIO, 0, 3};
    (void)state;
    said_that_it_stays = 0;
    log_set_sink(count_lines);
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (int i = 0; i < 40; i++) {
        append(0, 7000);
        rig_commit(&rig);
    }
    acknowledge_all();
    sim_disk_set_fault(sim, follow, &plan);
    for (int i = 0; i < 12; i++)
        rig_upkeep(&rig);
    log_set_sink(NULL);
    assert_true(said_that_it_stays > 0); /* the log leaves out what comes too often */
    assert_int_equal(sim_disk_file_count(sim), 2);
}

static void what_cannot_be_read_is_damage(void **state)
{
    struct plan plan = {SIM_READ, -EIO, 0, 2}; /* a window, then its first page */
    struct journal_entry entry;
    int64_t hits = 0, skipped = 0;
    (void)state;
    open_rig(1);
    for (int i = 0; i < 20; i++)
        append(0, 1000);
    rig_commit(&rig);
    killed_and_started_again(2);
    rig_close(&rig);
    open_rig(3);
    sim_disk_set_fault(sim, follow, &plan);
    rig_recover(&rig);
    sim_disk_set_fault(sim, NULL, NULL);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry)) {
        hits += entry.kind == JOURNAL_HIT;
        skipped += entry.kind == JOURNAL_SKIP;
    }
    assert_int_equal(hits, 20); /* the page was the first copy of the header */
    assert_int_equal(skipped, 0);
    assert_int_equal(figures().damaged_segments, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_case_begin, journal_case_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_at_max_bytes_and_again_when_there_is_room),
        TEST(full_when_the_disk_has_too_little_left),
        TEST(no_more_is_kept_in_memory_than_allowed),
        TEST(a_failed_sync_seals_the_file_and_loses_nothing),
        TEST(a_file_whose_sync_failed_stays_until_its_hits_are_elsewhere),
        TEST(a_failed_sync_of_the_first_of_two_files),
        TEST(a_disk_that_is_gone_for_a_while),
        TEST(a_write_that_fails_goes_on_in_another_segment),
        TEST(a_file_that_failed_is_cut_and_left),
        TEST(interrupted_and_short_calls_are_repeated),
        TEST(what_a_killed_process_has_written_is_made_durable),
        TEST(a_segment_that_cannot_be_made),
        TEST(a_file_that_stays_is_said_and_removed_later),
        TEST(what_cannot_be_read_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
