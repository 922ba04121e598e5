/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/journal on a disk that does what it is told. */
#include "collector/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collector/reader.h"
#include "tests/unit/collector/journal_case.h"

/* --- on a good disk --- */

static void a_hit_is_read_when_it_is_durable(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    journal_position position = append(2, 100);
    assert_true(journal_written(rig.journal) <= position);
    assert_int_equal(rig_flush(&rig), STATUS_OK);
    assert_true(journal_written(rig.journal) > position);
    assert_true(journal_durable(rig.journal) <= position);
    expect_nothing();
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    assert_true(journal_durable(rig.journal) > position);
    expect_hit(2, 1);
    expect_nothing();
}

static void with_ack_os_it_is_read_when_it_is_written(void **state)
{
    (void)state;
    struct journal_options options = rig_options(sim, 1);
    options.hands_out_unsynced = true;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    append(0, 10);
    expect_nothing();
    assert_int_equal(rig_flush(&rig), STATUS_OK);
    expect_hit(0, 1);
}

static void nothing_is_read_before_the_mark_is_durable(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    append(0, 10);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    expect_nothing();
    journal_start_publishing(rig.journal, (wall_ms){1});
    rig_flush(&rig);
    expect_nothing();
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    expect_hit(0, 1);
}

static void a_sync_covers_what_was_flushed_before_it_began(void **state)
{
    (void)state;
    open_rig(1);
    journal_position first = append(0, 10);
    rig_flush(&rig);
    rig_begin_sync(&rig);
    journal_position second = append(0, 10);
    rig_flush(&rig);
    assert_int_equal(rig_end_sync(&rig), STATUS_OK);
    assert_int_equal(journal_durable(rig.journal), first + 1);
    rig_begin_sync(&rig);
    assert_int_equal(rig_end_sync(&rig), STATUS_OK);
    assert_int_equal(journal_durable(rig.journal), second + 1);
    assert_int_equal(journal_unsynced_bytes(rig.journal), 0);
}

static void segments_roll_and_go_when_they_are_acknowledged(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (int i = 0; i < 100; i++) {
        append(i % 3, 5000);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
    }
    assert_true(figures().segments >= 6);
    assert_int_equal(figures().pending, 100 + 1 /* the mark */);
    for (int i = 0; i < 100; i++)
        expect_hit(i % 3, i / 3 + 1);
    rig_upkeep(&rig);
    assert_true(figures().segments >= 6); /* handed out is not acknowledged */
    journal_rewind(rig.journal);
    acknowledge_all();
    for (int i = 0; i < 10; i++)
        rig_upkeep(&rig);
    assert_int_equal(figures().segments, 2); /* one that is written, one to come */
    assert_int_equal(figures().pending, 0);
    assert_int_equal(sim_disk_file_count(sim), 2);
}

static void acknowledged_in_any_order_and_read_again_without_them(void **state)
{
    struct journal_entry entry;
    journal_position positions[50];
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (int i = 0; i < 50; i++) {
        append(0, 5000);
        rig_commit(&rig);
    }
    for (int i = 0; i < 50; i++) {
        assert_true(rig_read(&rig, &entry));
        positions[i] = entry.position;
    }
    for (int i = 49; i > 0; i -= 2)
        journal_acknowledge(rig.journal, positions[i]);
    journal_acknowledge(rig.journal, positions[0]);
    journal_acknowledge(rig.journal, positions[0]);
    assert_int_equal(figures().pending,
                     48); /* 0 and 1 are gone; an odd one behind an even one that waits is not */
    journal_rewind(rig.journal);
    for (int i = 2; i < 50; i += 2)
        expect_hit(0, i + 1);
    expect_nothing();
}

static void no_more_is_handed_out_than_can_be_remembered(void **state)
{
    struct journal_entry entry;
    struct journal_options options = rig_options(sim, 1);
    int64_t given = 0;
    (void)state;
    options.segment_bytes = 16 * 1024 * 1024;
    options.max_bytes = 4 * options.segment_bytes;
    options.max_unsynced_bytes = options.segment_bytes;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (int i = 0; i < JOURNAL_MAX_READ_AHEAD + 10; i++)
        append(0, 0);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    while (rig_read(&rig, &entry))
        given++;
    assert_int_equal(given, JOURNAL_MAX_READ_AHEAD);
    assert_int_equal(journal_read(rig.journal, &entry), STATUS_FULL);
    journal_acknowledge(rig.journal, JOURNAL_FIRST_OWN + 1); /* behind the mark */
    expect_hit(0, given + 1);
    assert_int_equal(journal_read(rig.journal, &entry), STATUS_FULL);
}

static void an_old_segment_is_left_behind(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    options.roll_age_ms = 5000;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    append(0, 10);
    rig_commit(&rig);
    acknowledge_all();
    uint64_t before = figures().bytes;
    for (int i = 0; i < 10; i++)
        rig_commit(&rig); /* nothing is appended: time alone passes */
    assert_int_equal(figures().bytes, before);
    assert_null(sim_disk_file(sim, "0000000000000001.segment").data);
}

/* --- the next start --- */

static void the_next_start_sends_the_same_streams_and_ends_them(void **state)
{
    struct journal_entry entry;
    (void)state;
    open_rig(1);
    for (int i = 0; i < 60; i++) {
        append(i % 2, 5000);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
    }
    killed_and_started_again(2);
    append(0, 10);
    rig_start_publishing(&rig);
    assert_int_equal(figures().recovered, 60);
    for (int i = 0; i < 60; i++) {
        assert_true(rig_read(&rig, &entry));
        assert_true(uuid_equals(entry.boot, rig_boot(1)));
        assert_false(entry.may_have_been_sent);
        assert_string_equal(entry.topic, "hits");
        assert_int_equal(entry.seq, i / 2 + 1);
        journal_acknowledge(rig.journal, entry.position);
    }
    for (int partition = 0; partition < 2; partition++) {
        assert_true(rig_read(&rig, &entry));
        assert_int_equal(entry.kind, JOURNAL_FIN);
        assert_true(uuid_equals(entry.boot, rig_boot(1)));
        assert_int_equal(entry.partition, partition);
        assert_int_equal(entry.last, 30);
        journal_acknowledge(rig.journal, entry.position);
    }
    assert_true(rig_read(&rig, &entry));
    assert_true(uuid_equals(entry.boot, rig_boot(2)));
}

static void what_was_handed_out_is_known_after_a_restart(void **state)
{
    struct journal_entry entry;
    (void)state;
    open_rig(1);
    append(0, 10);
    rig_commit(&rig);
    killed_and_started_again(2); /* hands out those of the first */
    rig_start_publishing(&rig);
    killed_and_started_again(3);
    rig_start_publishing(&rig);
    assert_true(rig_read(&rig, &entry));
    assert_true(uuid_equals(entry.boot, rig_boot(1)));
    assert_true(entry.may_have_been_sent);
}

static void hits_are_taken_while_recovery_goes_on(void **state)
{
    struct journal_entry entry;
    int64_t hits = 0;
    (void)state;
    open_rig(1);
    append_large(200);
    start_again();
    open_rig(2);
    uint64_t read = sim_disk_bytes_read(sim);
    assert_int_equal(read, 0); /* opening reads nothing: it is quick whatever there is */
    for (int step = 0; journal_recover(rig.journal) == STATUS_AGAIN; step++) {
        assert_true(sim_disk_bytes_read(sim) - read <= 2 * READER_WINDOW_BYTES);
        read = sim_disk_bytes_read(sim);
        append(1, 10);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
        assert_false(rig_read(&rig, &entry));
    }
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry))
        hits += entry.kind == JOURNAL_HIT && uuid_equals(entry.boot, rig_boot(1));
    assert_int_equal(hits, 200);
}

static void a_clean_end_leaves_nothing(void **state)
{
    struct journal_entry entry;
    int fins = 0;
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    append(0, 10);
    append(2, 10);
    rig_commit(&rig);
    journal_finish(rig.journal);
    journal_position position;
    assert_int_equal(rig_append(&rig, 0, 10, &position), STATUS_STOPPING);
    while (rig_read(&rig, &entry)) {
        fins += entry.kind == JOURNAL_FIN;
        journal_acknowledge(rig.journal, entry.position);
    }
    assert_int_equal(fins, 2);
    rig_upkeep(&rig);
    rig_close(&rig);
    assert_int_equal(sim_disk_file_count(sim), 0);
}

static void an_end_that_was_not_told_is_told_by_the_next_start(void **state)
{
    struct journal_entry entry;
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    append(1, 10);
    rig_commit(&rig);
    acknowledge_all();
    rig_close(&rig);
    open_rig(2);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    assert_true(rig_read(&rig, &entry)); /* again: the segment was still there */
    assert_int_equal(entry.kind, JOURNAL_HIT);
    assert_true(rig_read(&rig, &entry));
    assert_int_equal(entry.kind, JOURNAL_FIN);
    assert_int_equal(entry.last, 1);
}

static void two_on_one_folder_are_refused(void **state)
{
    struct journal_options options = rig_options(sim, 2);
    struct why why;
    (void)state;
    open_rig(1);
    assert_null(journal_open(&options, (mono_ms){1}, &why));
    assert_non_null(strstr(why.text, "another collector"));
}

static void the_oldest_hit_has_its_age(void **state)
{
    struct journal_entry entry;
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    assert_true(rig_read(&rig, &entry) == false);
    assert_int_equal(figures().oldest_pending_ms, 0);
    append(0, 10);
    int64_t start = rig.now.ms;
    for (int i = 0; i < 5; i++) {
        rig_commit(&rig);
        assert_int_equal(figures().oldest_pending_ms, rig.now.ms - start);
    }
    expect_hit(0, 1);
    assert_int_equal(figures().oldest_pending_ms, rig.now.ms - start);
    journal_rewind(rig.journal);
    acknowledge_all();
    assert_int_equal(figures().oldest_pending_ms, 0);
}

static void what_kafka_refused_is_kept(void **state)
{
    (void)state;
    open_rig(1);
    assert_int_equal(journal_keep_refused(rig.journal, SLICE("{\"url\":1}")), STATUS_OK);
    assert_int_equal(journal_keep_refused(rig.journal, SLICE("{}")), STATUS_OK);
    assert_true(slice_equals(sim_disk_file(sim, "quarantine/refused"), SLICE("{\"url\":1}\n{}\n")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_case_begin, journal_case_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hit_is_read_when_it_is_durable),
        TEST(with_ack_os_it_is_read_when_it_is_written),
        TEST(nothing_is_read_before_the_mark_is_durable),
        TEST(a_sync_covers_what_was_flushed_before_it_began),
        TEST(segments_roll_and_go_when_they_are_acknowledged),
        TEST(acknowledged_in_any_order_and_read_again_without_them),
        TEST(no_more_is_handed_out_than_can_be_remembered),
        TEST(an_old_segment_is_left_behind),
        TEST(the_next_start_sends_the_same_streams_and_ends_them),
        TEST(what_was_handed_out_is_known_after_a_restart),
        TEST(hits_are_taken_while_recovery_goes_on),
        TEST(a_clean_end_leaves_nothing),
        TEST(an_end_that_was_not_told_is_told_by_the_next_start),
        TEST(two_on_one_folder_are_refused),
        TEST(what_kafka_refused_is_kept),
        TEST(the_oldest_hit_has_its_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
