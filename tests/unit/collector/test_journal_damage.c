/* SPDX-License-Identifier: Apache-2.0
 * A journal of two segments, the first one damaged in every way: whole frames come back, what does not is
 * announced to the number, nothing is made up, the file is kept in quarantine, and recovering again gives the
 * same. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "collector/reader.h"
#include "tests/unit/collector/journal_case.h"

#define FIRST  "0000000000000001.segment"
#define SECOND "0000000000000002.segment"

enum { MAX_FRAMES = 256, HEADERS = 2 * SEGMENT_BLOCK, PAGE = 4096 };

struct place {
    size_t from, to; /* without the padding */
    int partition;
    int64_t seq;
};

/* The two files as they should be, and where the frames of the first are. */
static char *first_bytes, *second_bytes;
static size_t first_len, second_len;
static struct place places[MAX_FRAMES];
static size_t place_count;
static int64_t second_count;

static char *copy_of(slice bytes)
{
    char *copy = must_malloc(bytes.len);
    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void find_places(void)
{
    struct reader *reader = reader_new();
    struct frame frame;
    place_count = 0;
    assert_int_equal(reader_open(reader, sim_disk_of(sim), 1), STATUS_OK);
    for (size_t at = reader_position(reader); reader_next(reader, &frame) == STATUS_OK;
         at = reader_position(reader)) {
        assert_true(place_count < MAX_FRAMES);
        places[place_count++] = (struct place){at, at + FRAME_HEAD_BYTES + frame.key.len + frame.value.len,
                                               frame.partition, frame.seq};
    }
    reader_free(&reader);
}

/* count hits of up to max_len bytes in the first segment, six in the second. */
static void write_files(int count, size_t max_len)
{
    struct plan plan = {SIM_WRITE, -ENOSPC, 0, 1};
    open_rig(1);
    for (int i = 0; i < count; i++)
        append((i * i) % 3, (size_t)i * 37 % max_len);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    sim_disk_set_fault(sim, follow, &plan); /* the first takes no more */
    for (int i = 0; i < 6; i++)
        append(i % 3, 20);
    assert_int_equal(rig_commit(&rig), STATUS_OK);
    sim_disk_set_fault(sim, NULL, NULL);
    second_count = 6;
    find_places();
    assert_int_equal(place_count, count);
    first_len = (places[count - 1].to + 7) / 8 * 8;
    first_bytes = copy_of(slice_head(sim_disk_file(sim, FIRST), first_len));
    second_len = sim_disk_file(sim, SECOND).len;
    second_bytes = copy_of(sim_disk_file(sim, SECOND));
    rig_close(&rig);
}

static int forget_files(void **state)
{
    free(first_bytes);
    free(second_bytes);
    first_bytes = second_bytes = NULL;
    return journal_case_end(state);
}

/* --- one damaged journal --- */

struct outcome {
    bool is_there[MAX_FRAMES];
    bool is_skipped[MAX_FRAMES];
    int64_t second; /* hits of the other segment */
    int64_t entries;
    struct journal_figures figures;
};

static struct place *find_place(int partition, int64_t seq)
{
    for (size_t i = 0; i < place_count; i++)
        if (places[i].partition == partition && places[i].seq == seq)
            return &places[i];
    return NULL;
}

static void note_entry(struct outcome *outcome, const struct journal_entry *entry)
{
    struct place *place = find_place(entry->partition, entry->seq);
    outcome->entries++;
    assert_true(uuid_equals(entry->boot, rig_boot(1)));
    if (entry->kind == JOURNAL_HIT) {
        assert_true(rig_is_value(entry->boot, entry->partition, entry->seq, entry->value));
        assert_true(!place || !outcome->is_there[place - places]);
        if (place)
            outcome->is_there[place - places] = true;
        else
            outcome->second++;
    }
    for (int64_t seq = entry->seq; entry->kind == JOURNAL_SKIP && seq <= entry->last; seq++) {
        place = find_place(entry->partition, seq);
        assert_non_null(place); /* nothing of the other segment */
        outcome->is_skipped[place - places] = true;
    }
}

static void read_outcome(uint8_t boot, struct outcome *outcome)
{
    struct journal_entry entry;
    memset(outcome, 0, sizeof(*outcome));
    open_rig(boot);
    rig_recover(&rig);
    outcome->figures = figures();
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry))
        note_entry(outcome, &entry);
    rig_close(&rig);
}

/* Recovers twice. */
static void recover_damaged(slice bytes, struct outcome *outcome)
{
    struct outcome *again = must_malloc(sizeof(*again));
    struct sim_disk *fresh = sim_disk_new(&choice);
    sim_disk_free(&sim);
    sim = fresh;
    sim_disk_put(sim, FIRST, bytes);
    sim_disk_put(sim, SECOND, (slice){second_bytes, second_len});
    read_outcome(50, outcome);
    read_outcome(51, again);
    assert_memory_equal(outcome->is_there, again->is_there, sizeof(outcome->is_there));
    assert_memory_equal(outcome->is_skipped, again->is_skipped, sizeof(outcome->is_skipped));
    assert_int_equal(outcome->entries, again->entries);
    free(again);
}

/* All frames outside of [from, to) are there; every other is there or announced. */
static void check_outside(const struct outcome *outcome, size_t from, size_t to)
{
    for (size_t i = 0; i < place_count; i++) {
        bool is_touched = places[i].from < to && places[i].to > from;
        assert_true(outcome->is_there[i] || is_touched);
        assert_true(outcome->is_there[i] != outcome->is_skipped[i]);
    }
    assert_int_equal(outcome->second, second_count);
}

static int64_t lost_count(const struct outcome *outcome)
{
    int64_t lost = 0;
    for (size_t i = 0; i < place_count; i++)
        lost += !outcome->is_there[i];
    return lost;
}

/* --- the tests --- */

static void each_byte_flipped(void **state)
{
    struct outcome outcome;
    (void)state;
    write_files(12, 100);
    for (size_t at = 0; at < first_len; at++) {
        if (at > 512 && at % SEGMENT_BLOCK > 512 && at < HEADERS && at % 64 != 0)
            continue; /* the many zeros of the headers: some will do */
        first_bytes[at] ^= (char)(1 << at % 8);
        recover_damaged((slice){first_bytes, first_len}, &outcome);
        first_bytes[at] ^= (char)(1 << at % 8);
        check_outside(&outcome, at, at + 1);
        bool is_last = at >= places[place_count - 1].from; /* looks like a torn tail */
        bool is_padding = at >= HEADERS && lost_count(&outcome) == 0;
        assert_int_equal(outcome.figures.damaged_segments, !is_last && !is_padding);
    }
}

static void cut_at_every_byte(void **state)
{
    struct outcome outcome;
    (void)state;
    write_files(12, 100);
    for (size_t len = HEADERS; len <= first_len; len++) {
        recover_damaged((slice){first_bytes, len}, &outcome);
        check_outside(&outcome, len - (FRAME_ALIGN - 1), first_len); /* padding counts too */
        assert_int_equal(outcome.figures.damaged_segments, 0);
    }
    for (size_t len = 0; len < HEADERS; len += 61) {
        recover_damaged((slice){first_bytes, len}, &outcome);
        assert_int_equal(outcome.second, second_count);
        assert_int_equal(lost_count(&outcome), place_count); /* without a salt nothing can be believed */
    }
}

static void a_torn_tail_is_cut_off(void **state)
{
    struct outcome outcome;
    (void)state;
    write_files(12, 100);
    size_t good = (places[10].to + 7) / 8 * 8;
    first_bytes[first_len - 10] ^= 1;
    recover_damaged((slice){first_bytes, first_len}, &outcome);
    assert_int_equal(outcome.figures.torn_tails, 1);
    assert_int_equal(sim_disk_file(sim, FIRST).len, good);
}

static void damage_pages(size_t count, void (*damage)(char *bytes, size_t page, size_t *from, size_t *to))
{
    char *bytes = must_malloc(first_len);
    struct outcome outcome;
    for (size_t page = 0; page + 1 < count; page++) {
        size_t from = page * PAGE, to = from + PAGE;
        memcpy(bytes, first_bytes, first_len);
        damage(bytes, page, &from, &to);
        recover_damaged((slice){bytes, first_len}, &outcome);
        check_outside(&outcome, from, to);
        assert_true(page < 2 || lost_count(&outcome) > 0);
        assert_int_equal(outcome.figures.damaged_segments, memcmp(bytes, first_bytes, first_len) != 0);
    }
    free(bytes);
}

static void zero(char *bytes, size_t page, size_t *from, size_t *to)
{
    (void)to;
    (void)page;
    memset(bytes + *from, 0, PAGE);
}

static void scribble(char *bytes, size_t page, size_t *from, size_t *to)
{
    (void)to;
    for (size_t i = 0; i < PAGE; i++)
        bytes[*from + i] = (char)(i * 31 + page);
}

static void double_page(char *bytes, size_t page, size_t *from, size_t *to)
{
    (void)page;
    memcpy(bytes + *from + PAGE, bytes + *from, PAGE);
    *from += PAGE;
    *to += PAGE;
}

static void swap_pages(char *bytes, size_t page, size_t *from, size_t *to)
{
    char kept[PAGE];
    (void)page;
    memcpy(kept, bytes + *from, PAGE);
    memcpy(bytes + *from, bytes + *from + PAGE, PAGE);
    memcpy(bytes + *from + PAGE, kept, PAGE);
    *to += PAGE;
}

static void pages_zeroed_scribbled_doubled_swapped(void **state)
{
    (void)state;
    write_files(60, 2000);
    size_t pages = (first_len - 1) / PAGE; /* the last one is left whole: damage at the end is a torn tail */
    assert_true(pages > 10);
    damage_pages(pages, zero);
    damage_pages(pages, scribble);
    damage_pages(pages, double_page);
    damage_pages(pages - 1, swap_pages);
}

static void a_frame_inside_a_payload_is_no_frame(void **state)
{
    char forged[2048];
    struct frame frame = {
        .kind = FRAME_HIT, .partition = 1, .seq = 1, .key = SLICE("k"), .value = SLICE("forged")};
    journal_position position;
    struct journal_entry entry;
    (void)state;
    open_rig(1);
    append(0, 100);
    rig_commit(&rig);
    /* All of the file so far, then frames for many salts and for this very place but without its salt. */
    size_t len = frame_bytes(frame.key.len, frame.value.len), used = 0;
    memcpy(forged, sim_disk_file(sim, FIRST).data + HEADERS, 200);
    for (used = 200; used + len <= sizeof(forged); used += len) {
        frame_write(&frame, forged + used);
        frame_seal(forged + used, used, HEADERS + 200 + used);
    }
    frame = (struct frame){.kind = FRAME_HIT, .partition = 1, .seq = 1, .value = {forged, used}};
    assert_int_equal(journal_append(rig.journal, &frame, &position), STATUS_OK);
    append(0, 100);
    rig_commit(&rig);
    size_t outer = HEADERS + frame_bytes(22, 100);
    char *bytes = copy_of(sim_disk_file(sim, FIRST));
    bytes[outer + 9] ^= 1; /* its length: the search goes through the payload */
    size_t file_len = sim_disk_file(sim, FIRST).len;
    rig_close(&rig);
    sim_disk_put(sim, FIRST, (slice){bytes, file_len});
    open_rig(2);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    expect_hit(0, 1);
    expect_hit(0, 2);
    assert_true(rig_read(&rig, &entry));
    assert_int_equal(entry.kind, JOURNAL_FIN);
    free(bytes);
}

static void what_was_damaged_is_kept(void **state)
{
    struct outcome outcome;
    (void)state;
    write_files(12, 100);
    first_bytes[places[3].from + 50] ^= 1;
    first_bytes[first_len - 10] ^= 1; /* and what would be a torn tail, were the rest whole */
    recover_damaged((slice){first_bytes, first_len}, &outcome);
    open_rig(52);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    assert_non_null(sim_disk_file(sim, FIRST).data);
    acknowledge_all();
    for (int i = 0; i < 5; i++)
        rig_upkeep(&rig);
    assert_null(sim_disk_file(sim, FIRST).data);
    assert_true(slice_equals(sim_disk_file(sim, "quarantine/" FIRST), (slice){first_bytes, first_len}));
    assert_int_equal(figures().quarantined, 1);
}

static void a_missing_segment_is_announced(void **state)
{
    struct journal_entry entry;
    int64_t skipped = 0, hits = 0;
    (void)state;
    open_rig(1);
    append_large(60);
    start_again();
    sim_disk_put(sim, SECOND, (slice){NULL, 0});
    open_rig(2);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry)) {
        hits += entry.kind == JOURNAL_HIT;
        skipped += entry.kind == JOURNAL_SKIP ? entry.last - entry.seq + 1 : 0;
    }
    assert_true(skipped > 10);
    assert_int_equal(hits + skipped, 60);
    assert_int_equal(figures().missing_segments, 1);
}

static void a_search_that_is_led_astray_ends(void **state)
{
    enum { LEN = 4 * 1024 * 1024, WINDOWS = LEN / READER_WINDOW_BYTES };
    struct frame frame = {.kind = FRAME_HIT, .seq = 1};
    struct outcome outcome;
    int64_t steps = 0;
    (void)state;
    write_files(12, 100);
    char *bytes = must_calloc(1, LEN);
    memcpy(bytes, first_bytes, first_len);
    for (size_t at = first_len; at + FRAME_HEAD_BYTES <= LEN; at += FRAME_HEAD_BYTES) {
        frame_write(&frame, bytes + at);
        bytes[at] = 1;
        bytes[at + 9] = '\x80'; /* looks like the head of a frame of 32 KiB */
    }
    sim_disk_put(sim, FIRST, (slice){bytes, LEN});
    sim_disk_put(sim, SECOND, (slice){second_bytes, second_len});
    open_rig(50);
    while (journal_recover(rig.journal) == STATUS_AGAIN)
        steps++;
    assert_true(steps < (READER_MAX_WASTE + 2) * WINDOWS + 10);
    assert_int_equal(figures().recovered, place_count + (size_t)second_count);
    assert_int_equal(figures().damaged_segments, 1);
    rig_close(&rig);
    read_outcome(51, &outcome);
    check_outside(&outcome, 0, 0);
    free(bytes);
}

static void say_nothing(slice line)
{
    (void)line;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_case_begin, forget_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_byte_flipped),
        TEST(cut_at_every_byte),
        TEST(a_torn_tail_is_cut_off),
        TEST(pages_zeroed_scribbled_doubled_swapped),
        TEST(a_frame_inside_a_payload_is_no_frame),
        TEST(what_was_damaged_is_kept),
        TEST(a_missing_segment_is_announced),
        TEST(a_search_that_is_led_astray_ends),
    };
    log_set_sink(say_nothing);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
