/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/merge: its rules one by one, then whole random lives against the oracle. */
#include "aggregator/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/allocations.h"
#include "tests/unit/aggregator/merge_world.h"
#include "tests/unit/aggregator/tuples.h"

enum { PARTITIONS = 4, GAP_MS = 300000, LATENESS_MS = 15000, MAX_CLOSED = 3 };

static const wall_ms noon = {1738497600000}; /* 2025-02-02T12:00:00Z */
static const int64_t awake[PARTITIONS] = {-1, -1, -1, -1};
static const int64_t quiet[PARTITIONS] = {-1, LATENESS_MS, -1, -1};

/* ---- The bench ---- */

struct bench {
    struct batch *batch;
    struct merge *merge;
    struct claim *claims[PARTITIONS];
    struct merge_time time;
    int64_t next_offset;
};

static int set_up(void **state)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    struct merge_rules rules = {
        .topic = "hits", .gap_ms = GAP_MS, .lateness_ms = LATENESS_MS, .max_closed = MAX_CLOSED};
    bench->batch = batch_new("hits", PARTITIONS);
    bench->merge = merge_new(&rules);
    for (int i = 0; i < PARTITIONS; i++)
        bench->claims[i] = claim_new(i, GAP_MS, 100);
    bench->time = (struct merge_time){.wall = noon, .quiet_ms = awake};
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < PARTITIONS; i++)
        claim_free(&bench->claims[i]);
    merge_free(&bench->merge);
    batch_free(&bench->batch);
    free(bench);
    return 0;
}

/* A hit of visitor 192.0.2.n, read at home in partition 1 unless changed afterwards. */
static struct batch_hit *add_hit(struct bench *bench, uint8_t visitor, int64_t after_noon_ms)
{
    struct batch_position at = {1, bench->next_offset++, noon};
    struct hit hit = {.url = SLICE("https://example.com/"),
                      .host = SLICE("example.com"),
                      .ip = {{[10] = 0xff, 0xff, 192, 0, 2, visitor}},
                      .event_time = {noon.ms + after_noon_ms}};
    struct place place = {.country = SLICE("IN")};
    batch_add_hit(bench->batch, &at, &hit, &place);
    struct batch_hit *added = &bench->batch->hits[bench->batch->hit_count - 1];
    added->home = 1;
    return added;
}

static void number(struct batch_hit *hit, int64_t seq)
{
    hit->has_stream = true;
    hit->stream = (struct hit_stream){.boot = {{7}}, .partition = hit->at.partition};
    hit->seq = seq;
}

static void start(struct bench *bench)
{
    int partition;
    assert_int_equal(merge_start(bench->merge, bench->batch, bench->claims, PARTITIONS, &partition),
                     STATUS_OK);
}

static const struct merge_output *finish(struct bench *bench)
{
    merge_finish(bench->merge, &bench->time);
    for (int i = 0; i < PARTITIONS; i++)
        bench->claims[i]->version++;
    batch_clear(bench->batch);
    return merge_output(bench->merge);
}

static size_t count_lookups(const struct bench *bench)
{
    struct merge_lookup lookup;
    size_t count = 0;
    for (size_t cursor = 0; merge_next_lookup(bench->merge, &cursor, &lookup);)
        count++;
    return count;
}

/* ---- Rule by rule ---- */

static void a_number_counts_once(void **state)
{
    struct bench *bench = *state;
    struct hit_stream stream = {.boot = {{7}}, .partition = 1};
    claim_stream_add(bench->claims[1], &stream, (struct received){.count = 0});
    number(add_hit(bench, 1, 0), 5);
    number(add_hit(bench, 1, 0), 5);
    number(add_hit(bench, 1, 0), 4);
    add_hit(bench, 1, 0); /* without a number: its offset is another one */
    start(bench);
    assert_false(bench->batch->hits[0].is_duplicate);
    assert_true(bench->batch->hits[1].is_duplicate);
    assert_false(bench->batch->hits[2].is_duplicate);
    assert_false(bench->batch->hits[3].is_duplicate);
    assert_true(claim_stream_find(bench->claims[1], &stream)->changed);
    const struct merge_output *output = finish(bench);
    assert_int_equal(output->new_hit_count, 3);
    assert_int_equal(output->duplicate_count, 1);
    struct session open;
    size_t cursor = 0;
    assert_true(sessions_next(bench->claims[1]->sessions, &cursor, &open));
    assert_int_equal(open.events, 3);
    assert_true(slice_equals(open.country, SLICE("IN")));
    assert_false(sessions_next(bench->claims[1]->sessions, &cursor, &open));
}

static void a_set_with_too_many_holes_is_named(void **state)
{
    struct bench *bench = *state;
    struct hit_stream stream = {.boot = {{7}}, .partition = 1};
    struct received set = {.count = 0};
    for (int64_t i = 0; i < RECEIVED_MAX_RANGES; i++)
        assert_int_equal(received_add(&set, 1 + 2 * i), STATUS_OK);
    claim_stream_add(bench->claims[1], &stream, set);
    number(add_hit(bench, 1, 0), 2 * RECEIVED_MAX_RANGES + 3);
    int partition = -1;
    assert_int_equal(merge_start(bench->merge, bench->batch, bench->claims, PARTITIONS, &partition),
                     STATUS_FULL);
    assert_int_equal(partition, 1);
}

static void the_home_in_the_batch_gets_the_hit_wherever_it_was_read(void **state)
{
    struct bench *bench = *state;
    add_hit(bench, 1, 0)->home = 2;
    add_hit(bench, 1, 1)->home = 3; /* as if there were two: parts of different homes stay apart */
    start(bench);
    const struct merge_output *output = finish(bench);
    assert_int_equal(output->stray_count, 0);
    assert_int_equal(sessions_count(bench->claims[1]->sessions), 0);
    assert_int_equal(sessions_count(bench->claims[2]->sessions), 1);
    assert_int_equal(sessions_count(bench->claims[3]->sessions), 1);
    assert_int_equal(output->change_count, 2);
    struct tuples_change change;
    struct tuples_changes rest = {.rest = buf_slice(&output->changes)};
    assert_true(tuples_next_change(&rest, SLICE("hits"), &change));
    assert_int_equal(change.partition, 2);
    assert_int_equal(change.version, 1);
    assert_int_equal(change.value.events, 1);
}

static void a_home_elsewhere_gets_one_stray_for_hits_that_belong_together(void **state)
{
    struct bench *bench = *state;
    add_hit(bench, 1, 0)->home = 3;
    add_hit(bench, 1, 2 * GAP_MS)->home = 3;
    add_hit(bench, 1, GAP_MS)->home = 3; /* joins the two */
    add_hit(bench, 1, 3 * GAP_MS + 1)->home = 3;
    int partition;
    assert_int_equal(merge_start(bench->merge, bench->batch, bench->claims, PARTITIONS - 1, &partition),
                     STATUS_OK);
    assert_int_equal(count_lookups(bench), 0);
    const struct merge_output *output = finish(bench);
    assert_int_equal(output->stray_count, 2);
    assert_int_equal(output->change_count, 0);
    struct tuples_stray stray;
    slice rest = buf_slice(&output->strays);
    assert_true(tuples_next_stray(&rest, SLICE("hits"), &stray));
    assert_int_equal(stray.home, 3);
    assert_int_equal(stray.value.events, 3);
    assert_int_equal(stray.value.last.ms - stray.value.start.ms, 2 * GAP_MS);
}

static void only_what_stored_rows_may_touch_is_looked_up(void **state)
{
    struct bench *bench = *state;
    bench->claims[1]->stored_until.ms = noon.ms - GAP_MS;
    add_hit(bench, 1, 1); /* beyond all that is stored */
    add_hit(bench, 2, 0); /* exactly the gap behind it */
    start(bench);
    struct merge_lookup lookup;
    size_t cursor = 0;
    assert_true(merge_next_lookup(bench->merge, &cursor, &lookup));
    assert_int_equal(lookup.partition, 1);
    assert_int_equal(lookup.ip.bytes[15], 2);
    assert_true(slice_equals(lookup.host, SLICE("example.com")));
    assert_int_equal(lookup.from.ms, noon.ms);
    assert_int_equal(lookup.to.ms, noon.ms + GAP_MS);
    assert_false(merge_next_lookup(bench->merge, &cursor, &lookup));
    finish(bench);
}

/* Two rows and an open session that only the late hit connects. */
static void a_late_hit_bridges_rows_and_an_open_session(void **state)
{
    struct bench *bench = *state;
    add_hit(bench, 1, GAP_MS);
    start(bench);
    finish(bench);
    bench->claims[1]->stored_until.ms = noon.ms - GAP_MS;
    add_hit(bench, 1, 0);
    start(bench);
    assert_int_equal(count_lookups(bench), 1);
    char texts[] = "example.com";
    struct session stored = {.ip = {{[10] = 0xff, 0xff, 192, 0, 2, 1}},
                             .host = {texts, sizeof texts - 1},
                             .start = {noon.ms - 2 * GAP_MS},
                             .last = {noon.ms - GAP_MS},
                             .events = 10};
    merge_take_stored(bench->merge, 1, &stored);
    memset(texts, 'x', sizeof texts); /* it was copied */
    finish(bench);
    struct session open;
    size_t cursor = 0;
    assert_int_equal(sessions_count(bench->claims[1]->sessions), 1);
    assert_true(sessions_next(bench->claims[1]->sessions, &cursor, &open));
    assert_int_equal(open.events, 12);
    assert_int_equal(open.start.ms, noon.ms - 2 * GAP_MS);
    assert_int_equal(open.last.ms, noon.ms + GAP_MS);
}

static void closing_is_bounded_and_moves_stored_until(void **state)
{
    struct bench *bench = *state;
    for (uint8_t visitor = 1; visitor <= 5; visitor++)
        add_hit(bench, visitor, visitor);
    start(bench);
    assert_int_equal(finish(bench)->closed_count, 0);
    assert_int_equal(bench->claims[1]->stored_until.ms, INT64_MIN);

    bench->time = (struct merge_time){
        .wall = {noon.ms + GAP_MS + 3 * LATENESS_MS}, .mono = {2 * SESSIONS_SETTLE_MS}, .quiet_ms = awake};
    start(bench);
    assert_int_equal(finish(bench)->closed_count, 0); /* no message has moved the watermark */
    bench->time.quiet_ms = quiet;
    start(bench);
    const struct merge_output *output = finish(bench);
    assert_int_equal(output->closed_count, MAX_CLOSED);
    assert_int_equal(output->change_count, MAX_CLOSED);
    struct session closed, latest = {.events = 0};
    for (slice rest = buf_slice(&output->closed); tuples_next_session(&rest, GAP_MS, &closed);)
        latest = closed.last.ms > latest.last.ms ? closed : latest;
    assert_int_equal(bench->claims[1]->stored_until.ms, latest.last.ms);
    struct tuples_change tombstone;
    struct tuples_changes rest = {.rest = buf_slice(&output->changes)};
    for (int32_t i = 0; i < MAX_CLOSED; i++) {
        assert_true(tuples_next_change(&rest, SLICE("hits"), &tombstone));
        assert_int_equal(tombstone.value.events, 0);
        assert_int_equal(tombstone.version, 3);
        assert_int_equal(tombstone.ordinal, i);
    }
    start(bench);
    assert_int_equal(finish(bench)->closed_count, 5 - MAX_CLOSED);
    assert_int_equal(bench->claims[1]->stored_until.ms, noon.ms + 5);
}

static void a_message_moves_the_watermark(void **state)
{
    struct bench *bench = *state;
    add_hit(bench, 1, 0);
    start(bench);
    finish(bench);
    bench->time.wall.ms += 2 * GAP_MS;
    bench->time.mono.ms += 2 * SESSIONS_SETTLE_MS;
    add_hit(bench, 2, GAP_MS + 2 * LATENESS_MS);
    start(bench);
    const struct merge_output *output = finish(bench);
    slice rest = buf_slice(&output->closed);
    struct session closed;
    assert_true(tuples_next_session(&rest, GAP_MS, &closed));
    assert_int_equal(closed.ip.bytes[15], 1);
    assert_int_equal(output->closed_count, 1);
}

static void a_full_store_closes_beyond_the_limit(void **state)
{
    struct bench *bench = *state;
    enum { MAX_OPEN = 2, HITS = MAX_OPEN + MAX_CLOSED + 4 };
    claim_free(&bench->claims[1]);
    bench->claims[1] = claim_new(1, GAP_MS, MAX_OPEN);
    for (uint8_t visitor = 1; visitor <= HITS; visitor++)
        add_hit(bench, visitor, 0);
    start(bench);
    assert_int_equal(finish(bench)->closed_count, HITS - MAX_OPEN);
    assert_int_equal(sessions_count(bench->claims[1]->sessions), MAX_OPEN);
}

/* Opens so many sessions of a claim by hand, as a replay does. */
static void open_many(struct claim *claim, uint32_t count)
{
    struct session change = {.ip = {{[10] = 0xff, 0xff}},
                             .host = SLICE("example.com"),
                             .start = noon,
                             .last = noon,
                             .events = 1,
                             .entry_url = SLICE("https://example.com/"),
                             .exit_url = SLICE("https://example.com/")};
    for (uint32_t i = 0; i < count; i++) {
        memcpy(change.ip.bytes + 12, &i, sizeof i);
        sessions_replay(claim->sessions, &change, (mono_ms){0});
    }
}

/* Each batch has so much to do and no more, however many are due. */
static void a_burst_is_closed_in_batches_of_one_size(void **state)
{
    struct bench *bench = *state;
    enum { COUNT = 100000, A_BATCH = 500 };
    struct merge_rules rules = {
        .topic = "hits", .gap_ms = GAP_MS, .lateness_ms = LATENESS_MS, .max_closed = A_BATCH};
    merge_free(&bench->merge);
    bench->merge = merge_new(&rules);
    claim_free(&bench->claims[1]);
    bench->claims[1] = claim_new(1, GAP_MS, COUNT);
    open_many(bench->claims[1], COUNT);
    bench->time = (struct merge_time){.wall = {noon.ms + 2 * GAP_MS}, .mono = {100000}, .quiet_ms = quiet};
    for (int i = 0; i < COUNT / A_BATCH; i++) {
        start(bench);
        const struct merge_output *output = finish(bench);
        assert_int_equal(output->closed_count, A_BATCH);
        /* tombstones, and some that are stored anew so that old rows can be forgotten */
        assert_true(output->change_count >= A_BATCH && output->change_count <= 2 * A_BATCH + 1000);
    }
    assert_int_equal(sessions_count(bench->claims[1]->sessions), 0);
    start(bench);
    assert_int_equal(finish(bench)->closed_count, 0);
}

static void partitions_that_close_take_turns(void **state)
{
    struct bench *bench = *state;
    enum { COUNT = 20 * MAX_CLOSED };
    static const int64_t all_quiet[PARTITIONS] = {LATENESS_MS, LATENESS_MS, LATENESS_MS, LATENESS_MS};
    for (int i = 0; i < PARTITIONS; i++)
        open_many(bench->claims[i], COUNT);
    bench->time =
        (struct merge_time){.wall = {noon.ms + 2 * GAP_MS}, .mono = {100000}, .quiet_ms = all_quiet};
    for (int i = 0; i < PARTITIONS; i++) {
        start(bench);
        assert_int_equal(finish(bench)->closed_count, MAX_CLOSED);
    }
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(sessions_count(bench->claims[i]->sessions), COUNT - MAX_CLOSED);
}

/* As after a restart with a lower sessions.max_open. */
static void a_store_far_over_its_bound_shrinks_in_many_batches(void **state)
{
    struct bench *bench = *state;
    enum { MAX_OPEN = 10, COUNT = 1000 };
    claim_free(&bench->claims[1]);
    bench->claims[1] = claim_new(1, GAP_MS, MAX_OPEN);
    open_many(bench->claims[1], COUNT);
    size_t left = COUNT;
    while (left > MAX_OPEN) {
        add_hit(bench, 1, 0); /* of a new visitor, or of one that is open */
        start(bench);
        size_t closed = finish(bench)->closed_count;
        assert_true(closed > 0 && closed <= MAX_CLOSED + 1);
        size_t now = sessions_count(bench->claims[1]->sessions);
        assert_true(now < left);
        left = now;
    }
}

static void changes_that_nobody_needs_are_forgotten(void **state)
{
    struct bench *bench = *state;
    int64_t before = 0;
    int64_t version = 0;
    while (!merge_forgets(bench->merge, 1, &before)) {
        assert_true(version < 100000);
        add_hit(bench, 1, version++);
        start(bench);
        assert_int_equal(finish(bench)->change_count, 1);
        assert_false(merge_forgets(bench->merge, 2, &before));
    }
    /* The newest one holds the session. */
    assert_true(before > 1 && before <= version);
    assert_true(sessions_change_rows(bench->claims[1]->sessions) < version);
}

/* A minute's visitors come, stay for three batches and leave, over and over. */
static void a_steady_load_allocates_nothing(void **state)
{
    struct bench *bench = *state;
    enum { VISITORS = 200, WARM_BATCHES = 300, BATCHES = 600 };
    struct merge_rules rules = {
        .topic = "hits", .gap_ms = GAP_MS, .lateness_ms = LATENESS_MS, .max_closed = 2 * VISITORS};
    struct hit_stream stream = {.boot = {{7}}, .partition = 1};
    merge_free(&bench->merge);
    bench->merge = merge_new(&rules);
    claim_free(&bench->claims[1]);
    bench->claims[1] = claim_new(1, GAP_MS, 100000);
    claim_stream_add(bench->claims[1], &stream, (struct received){.count = 0});
    size_t closed_count = 0, before = 0;
    for (int i = 0; i < BATCHES; i++) {
        if (i == WARM_BATCHES)
            before = allocations_count();
        int64_t minute = (int64_t)i * 60000;
        for (int visitor = 0; visitor < VISITORS; visitor++) {
            struct batch_hit *hit = add_hit(bench, (uint8_t)visitor, minute + visitor);
            hit->ip.bytes[14] = (uint8_t)(i / 3 % 8);
            number(hit, bench->next_offset);
        }
        bench->time.wall.ms = noon.ms + minute + 60000;
        bench->time.mono.ms = minute;
        start(bench);
        closed_count += finish(bench)->closed_count;
    }
    assert_true(closed_count > (size_t)VISITORS * (BATCHES / 3 - 10));
    assert_true(before > 0); /* the counting works */
    assert_int_equal(allocations_count(), before);
}

/* ---- Whole lives ---- */

enum { TRIALS = 1500, STEPS = 40 };

static void sum_up(struct world_counts *all, const struct world_counts *one)
{
    all->duplicates += one->duplicates;
    all->strays_made += one->strays_made;
    all->strays_taken += one->strays_taken;
    all->taken_back += one->taken_back;
    all->closed += one->closed;
    all->restarts += one->restarts;
    all->rollbacks += one->rollbacks;
    all->lookups += one->lookups;
}

static void any_life_ends_with_the_sessions_of_the_oracle(void **state)
{
    (void)state;
    static struct world world;
    struct world_counts counts = {.duplicates = 0};
    for (uint64_t seed = 1; seed <= TRIALS; seed++) {
        world_make(&world, seed);
        for (size_t i = 0; i < seed % STEPS; i++)
            world_step(&world);
        world_drain(&world, false);
        world_check_sessions(&world);
        world_drain(&world, true);
        world_check_sessions(&world);
        sum_up(&counts, &world.counts);
        world_unmake(&world);
    }
    print_message(
        "%zu duplicates, %zu strays (%zu taken), %zu sessions closed, %zu taken back by %zu look-ups,"
        " %zu restarts, %zu rollbacks\n",
        counts.duplicates, counts.strays_made, counts.strays_taken, counts.closed, counts.taken_back,
        counts.lookups, counts.restarts, counts.rollbacks);
    assert_true(counts.duplicates > TRIALS && counts.strays_taken > TRIALS && counts.taken_back > TRIALS);
    assert_true(counts.restarts > TRIALS && counts.rollbacks > TRIALS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_counts_once),
        TEST(a_set_with_too_many_holes_is_named),
        TEST(the_home_in_the_batch_gets_the_hit_wherever_it_was_read),
        TEST(a_home_elsewhere_gets_one_stray_for_hits_that_belong_together),
        TEST(only_what_stored_rows_may_touch_is_looked_up),
        TEST(a_late_hit_bridges_rows_and_an_open_session),
        TEST(closing_is_bounded_and_moves_stored_until),
        TEST(a_message_moves_the_watermark),
        TEST(a_full_store_closes_beyond_the_limit),
        TEST(a_burst_is_closed_in_batches_of_one_size),
        TEST(partitions_that_close_take_turns),
        TEST(a_store_far_over_its_bound_shrinks_in_many_batches),
        TEST(changes_that_nobody_needs_are_forgotten),
        TEST(a_steady_load_allocates_nothing),
        cmocka_unit_test(any_life_ends_with_the_sessions_of_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
