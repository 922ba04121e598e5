/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/journal: its life on a good disk, on a full one and on one that fails. */
#include "collector/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collector/reader.h"
#include "tests/lib/journal_rig.h"

static struct choice choice;
static struct sim_disk *sim;
static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    choice = choice_seeded(1);
    sim = sim_disk_new(&choice);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (rig.journal)
        rig_close(&rig);
    sim_disk_free(&sim);
    return 0;
}

static void open_rig(uint8_t boot)
{
    struct journal_options options = rig_options(sim, boot);
    rig_open(&rig, &options, sim);
}

static journal_position append(int partition, size_t len)
{
    journal_position position = 0;
    assert_int_equal(rig_append(&rig, partition, len, &position), STATUS_OK);
    return position;
}

static void expect_hit(int partition, int64_t seq)
{
    struct journal_entry entry;
    assert_true(rig_read(&rig, &entry));
    assert_int_equal(entry.kind, JOURNAL_HIT);
    assert_int_equal(entry.partition, partition);
    assert_int_equal(entry.seq, seq);
    assert_true(rig_is_value(entry.boot, partition, seq, entry.value));
    assert_true(slice_equals(entry.key, SLICE("shop.example|192.0.2.7")));
}

static void expect_nothing(void)
{
    struct journal_entry entry;
    assert_false(rig_read(&rig, &entry));
}

static struct journal_figures figures(void)
{
    struct journal_figures now;
    journal_figures(rig.journal, (wall_ms){1000 + rig.now.ms}, &now);
    return now;
}

static void acknowledge_all(void)
{
    struct journal_entry entry;
    while (rig_read(&rig, &entry))
        journal_acknowledge(rig.journal, entry.position);
}

static void killed_and_started_again(uint8_t boot)
{
    struct sim_disk *found = sim_disk_kill(sim, &choice);
    rig_close(&rig);
    sim_disk_free(&sim);
    sim = found;
    open_rig(boot);
    rig_recover(&rig);
}

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
    for (int i = 0; i < 50; i++)
        append(0, 5000);
    rig_commit(&rig);
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
    for (int i = 0; i < 200; i++) {
        append(0, 5000);
        rig_commit(&rig);
    }
    struct sim_disk *found = sim_disk_kill(sim, &choice);
    rig_close(&rig);
    sim_disk_free(&sim);
    sim = found;
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

struct plan {
    enum sim_call call;
    int result;
    int64_t skip;  /* so many calls are fine */
    int64_t count; /* then so many fail */
};

static int follow(void *context, enum sim_call call)
{
    struct plan *plan = context;
    if (call != plan->call)
        return SIM_FINE;
    if (plan->skip > 0) {
        plan->skip--;
        return SIM_FINE;
    }
    return plan->count-- > 0 ? plan->result : SIM_FINE;
}

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

static void a_failed_sync_of_the_first_of_two_files(void **state)
{
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    for (int i = 0; i < 30; i++)
        append(0, 7000); /* two segments, one group */
    rig_flush(&rig);
    rig_upkeep(&rig);
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
        set_up(&nothing);
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
        tear_down(state);
        set_up(state);
    }
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
        tear_down(state);
        set_up(state);
    }
}

static void a_file_that_stays_is_removed_later(void **state)
{
    struct plan plan = {SIM_REMOVE, -EIO, 0, 3};
    (void)state;
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
    assert_int_equal(sim_disk_file_count(sim), 2);
}

static void what_cannot_be_read_is_damage(void **state)
{
    struct plan plan = {SIM_READ, -EIO, 1, 2}; /* the window, then one page of it */
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
    plan.skip = 0;
    sim_disk_set_fault(sim, follow, &plan);
    rig_recover(&rig);
    sim_disk_set_fault(sim, NULL, NULL);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry)) {
        hits += entry.kind == JOURNAL_HIT;
        skipped += entry.kind == JOURNAL_SKIP;
    }
    assert_int_equal(hits, 20); /* the page was one of the first copy of a header */
    assert_int_equal(skipped, 0);
    assert_int_equal(figures().damaged_segments, 1);
}

static void what_kafka_refused_is_kept(void **state)
{
    (void)state;
    open_rig(1);
    assert_int_equal(journal_keep_refused(rig.journal, SLICE("{\"url\":1}")), STATUS_OK);
    assert_int_equal(journal_keep_refused(rig.journal, SLICE("{}")), STATUS_OK);
    assert_true(slice_equals(sim_disk_file(sim, "quarantine/refused"), SLICE("{\"url\":1}\n{}\n")));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(full_at_max_bytes_and_again_when_there_is_room),
        TEST(full_when_the_disk_has_too_little_left),
        TEST(no_more_is_kept_in_memory_than_allowed),
        TEST(a_failed_sync_seals_the_file_and_loses_nothing),
        TEST(a_failed_sync_of_the_first_of_two_files),
        TEST(a_disk_that_is_gone_for_a_while),
        TEST(a_write_that_fails_goes_on_in_another_segment),
        TEST(interrupted_and_short_calls_are_repeated),
        TEST(a_segment_that_cannot_be_made),
        TEST(a_file_that_stays_is_removed_later),
        TEST(what_cannot_be_read_is_damage),
        TEST(what_kafka_refused_is_kept),
        TEST(the_oldest_hit_has_its_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
