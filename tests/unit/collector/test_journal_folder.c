/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/journal on a folder that is not as it left it: files that cannot be opened, of a newer
 * version, kept in quarantine, that do not go. */
#include "collector/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <cmocka.h>

#include "collector/segment.h"
#include "tests/unit/collector/journal_case.h"

/* --- files that cannot be opened --- */

/* A process that took ten hits was killed. Its active segment is 1, the spare 2. */
static void leave_ten_hits(void)
{
    open_rig(1);
    for (int i = 0; i < 10; i++)
        append(0, 1000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    start_again();
}

/* The second one, which takes a hit as well. */
static int64_t hits_after(struct plan plan)
{
    struct journal_entry entry;
    int64_t hits = 0;
    leave_ten_hits();
    open_rig(2);
    sim_disk_set_fault(sim, follow, &plan);
    rig_recover(&rig);
    assert_int_equal(plan.count, 0);
    sim_disk_set_fault(sim, NULL, NULL);
    append(0, 1000);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry)) {
        hits += entry.kind == JOURNAL_HIT;
        journal_acknowledge(rig.journal, entry.position);
    }
    for (int i = 0; i < 5; i++)
        rig_upkeep(&rig);
    return hits;
}

static void a_file_that_must_not_be_opened_is_set_aside(void **state)
{
    static const int errors[] = {-EACCES, -EIO, -EISDIR};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        /* The unused spare comes first: the newest. */
        assert_int_equal(hits_after((struct plan){SIM_OPEN, errors[i], 1, 1}), 1);
        assert_int_equal(figures().damaged_segments, 1);
        assert_int_equal(figures().quarantined, 1);
        assert_non_null(sim_disk_file(sim, "quarantine/0000000000000001.segment").data);
        journal_case_end(state);
        journal_case_begin(state);
    }
}

static void a_lack_of_descriptors_passes(void **state)
{
    struct plan none_left = {SIM_OPEN, -EMFILE, 0, 30};
    leave_ten_hits();
    open_rig(2);
    sim_disk_set_fault(sim, follow, &none_left);
    assert_int_equal(journal_recover(rig.journal), STATUS_UNAVAILABLE); /* the loop shall not spin */
    sim_disk_set_fault(sim, NULL, NULL);
    journal_case_end(state);
    journal_case_begin(state);
    assert_int_equal(hits_after((struct plan){SIM_OPEN, -EMFILE, 1, 30}), 11);
    assert_int_equal(figures().damaged_segments, 0);
}

static void a_file_whose_size_is_not_told_is_not_forgotten(void **state)
{
    struct plan plan = {SIM_SIZE, -EIO, 0, 1000};
    struct journal_options options = rig_options(sim, 2);
    (void)state;
    leave_ten_hits();
    sim_disk_set_fault(sim, follow, &plan);
    options.disk = sim_disk_of(sim);
    rig_open(&rig, &options, sim); /* its own files get numbers behind those */
    rig_recover(&rig);
    assert_int_equal(figures().damaged_segments, 2);
    append(0, 1000);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
}

/* --- a newer version --- */

static void make_newer(const char *name)
{
    slice file = sim_disk_file(sim, name);
    char *bytes = must_malloc(file.len);
    uint32_t version = htole32(2);
    memcpy(bytes, file.data, file.len);
    for (size_t at = 0; at <= SEGMENT_BLOCK; at += SEGMENT_BLOCK) {
        memcpy(bytes + at + 16, &version, sizeof(version));
        uint64_t checksum = htole64(XXH3_64bits(bytes + at + 16, SEGMENT_BLOCK - 16));
        memcpy(bytes + at + 8, &checksum, sizeof(checksum));
    }
    sim_disk_put(sim, name, (slice){bytes, file.len});
    free(bytes);
}

/* It cannot be read, and is kept whatever room that takes. */
static void segments_of_a_newer_version_are_kept(void **state)
{
    char name[SEGMENT_NAME_LEN + 1];
    (void)state;
    open_rig(1);
    for (int i = 0; i < 60; i++) {
        append(0, 7000);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
    }
    start_again();
    for (uint64_t number = 1; number <= 4; number++) {
        segment_name_write(number, name);
        make_newer(name);
    }
    struct journal_options options = rig_options(sim, 2);
    options.max_bytes = 8 * RIG_SEGMENT_BYTES; /* a quarter: two segments */
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    acknowledge_all();
    for (int i = 0; i < 20; i++)
        rig_upkeep(&rig);
    assert_int_equal(figures().quarantined, 4);
    assert_non_null(sim_disk_file(sim, "quarantine/0000000000000004.segment").data);
}

/* --- the quarantine --- */

static void numbers_that_lie_in_quarantine_are_not_used_again(void **state)
{
    (void)state;
    sim_disk_put(sim, "quarantine/0000000000000007.segment", SLICE("an older one"));
    open_rig(1);
    append(0, 100);
    rig_commit(&rig);
    assert_non_null(sim_disk_file(sim, "0000000000000008.segment").data);
    assert_null(sim_disk_file(sim, "0000000000000001.segment").data);
}

static void what_was_refused_does_not_fill_the_journal(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    char value[8000];
    enum status status = STATUS_OK;
    (void)state;
    memset(value, '.', sizeof(value));
    options.max_bytes = 4 * RIG_SEGMENT_BYTES;
    rig_open(&rig, &options, sim);
    for (int i = 0; status == STATUS_OK && i < 1000; i++)
        status = journal_keep_refused(rig.journal, (slice){value, sizeof(value)});
    assert_int_equal(status, STATUS_FULL);
    assert_true(sim_disk_file(sim, "quarantine/refused").len > RIG_SEGMENT_BYTES / 2);
    append(0, 1000);
    rig_commit(&rig);
    rig_upkeep(&rig);
    assert_int_equal(figures().segments, 2);
    assert_int_equal(journal_has_room(rig.journal, 1), STATUS_OK);
}

/* Whenever the power goes, its segment is there or the line is. */
static void what_was_refused_outlives_its_segment(void **state)
{
    const slice value = SLICE("{\"url\":1}");
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        choice = choice_seeded(seed);
        open_rig(1);
        rig_recover(&rig);
        rig_start_publishing(&rig);
        for (int i = 0; i < 20; i++) { /* two segments */
            append(0, 7000);
            rig_commit(&rig);
        }
        assert_int_equal(journal_keep_refused(rig.journal, value), STATUS_OK);
        acknowledge_all();
        for (int i = 0; i < 3; i++)
            rig_upkeep(&rig);
        struct sim_disk *found = sim_disk_lose_power(sim, &choice);
        slice kept = sim_disk_file(found, "quarantine/refused");
        assert_null(sim_disk_file(found, "0000000000000001.segment").data);
        assert_true(kept.len == value.len + 1 && slice_equals(slice_head(kept, value.len), value));
        sim_disk_free(&found);
        journal_case_end(state);
        journal_case_begin(state);
    }
}

/* --- the end --- */

static void what_was_refused_outlives_a_clean_end(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        choice = choice_seeded(seed);
        open_rig(1);
        rig_recover(&rig);
        rig_start_publishing(&rig);
        append(0, 100);
        rig_commit(&rig);
        journal_finish(rig.journal);
        assert_int_equal(journal_keep_refused(rig.journal, SLICE("{}")), STATUS_OK);
        acknowledge_all();
        rig_close(&rig);
        struct sim_disk *found = sim_disk_lose_power(sim, &choice);
        assert_null(sim_disk_file(found, "0000000000000001.segment").data);
        assert_true(slice_equals(sim_disk_file(found, "quarantine/refused"), SLICE("{}\n")));
        sim_disk_free(&found);
        journal_case_end(state);
        journal_case_begin(state);
    }
}

/* What stays is sent again by the next start, with the end of its streams: the last numbers must be there. */
static void a_file_that_stays_at_the_end_keeps_those_behind_it(void **state)
{
    struct plan plan = {SIM_REMOVE, -EIO, 0, 1};
    struct journal_entry entry;
    int64_t last = 0;
    (void)state;
    open_rig(1);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    for (int i = 0; i < 40; i++) {
        append(0, 7000);
        rig_commit(&rig);
    }
    journal_finish(rig.journal);
    acknowledge_all();
    sim_disk_set_fault(sim, follow, &plan);
    rig_close(&rig);
    sim_disk_set_fault(sim, NULL, NULL);
    open_rig(2);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry))
        if (entry.kind == JOURNAL_FIN)
            last = entry.last;
    assert_int_equal(last, 40);
}

static void time_alone_does_not_fill_it(void **state)
{
    struct journal_options options = rig_options(sim, 1);
    (void)state;
    options.roll_age_ms = 3000;
    rig_open(&rig, &options, sim);
    rig_recover(&rig);
    for (int i = 0; i < 50; i++) { /* Kafka is away */
        append(0, 100);
        assert_int_equal(rig_commit(&rig), STATUS_OK);
    }
    assert_int_equal(figures().segments, 2);
    rig_start_publishing(&rig);
    acknowledge_all();
    for (int i = 0; i < 5; i++)
        rig_commit(&rig);
    assert_null(sim_disk_file(sim, "0000000000000001.segment").data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_case_begin, journal_case_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_must_not_be_opened_is_set_aside),
        TEST(a_lack_of_descriptors_passes),
        TEST(a_file_whose_size_is_not_told_is_not_forgotten),
        TEST(segments_of_a_newer_version_are_kept),
        TEST(numbers_that_lie_in_quarantine_are_not_used_again),
        TEST(what_was_refused_does_not_fill_the_journal),
        TEST(what_was_refused_outlives_its_segment),
        TEST(what_was_refused_outlives_a_clean_end),
        TEST(a_file_that_stays_at_the_end_keeps_those_behind_it),
        TEST(time_alone_does_not_fill_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
