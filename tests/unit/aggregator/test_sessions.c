/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/sessions: against the slow model, in any order, at its bounds. */
#include "aggregator/sessions.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "tests/lib/sessions_model.h"
#include "tests/lib/sessions_trial.h"
#include "tests/unit/aggregator/sessions_asked.h"

static uint64_t seed_under_way;

static void on_abort(int signal)
{
    (void)signal;
    fprintf(stderr, "the seed was %llu\n", (unsigned long long)seed_under_way);
}

/* ---- Random lives ---- */

static struct sessions_trial_counts run_seed(uint64_t seed, const struct sessions_trial_rules *rules)
{
    struct choice choice = choice_seeded(seed);
    seed_under_way = seed;
    return sessions_trial_run(&choice, rules);
}

static void short_lives_agree_with_the_model(void **state)
{
    (void)state;
    struct sessions_trial_counts sum = {0};
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct sessions_trial_rules rules = {.steps = 1500,
                                             .max_open = seed % 3 ? NO_BOUND : 10,
                                             .time_steps = seed % 2 ? 12 : 60,
                                             .replay_every = 1};
        struct sessions_trial_counts counts = run_seed(seed, &rules);
        sum.closed += counts.closed;
        sum.evicted += counts.evicted;
        sum.restarts += counts.restarts;
    }
    assert_true(sum.closed > 2500);
    assert_true(sum.evicted > 1000);
    assert_true(sum.restarts > 100);
}

/* Long enough for stored changes to be forgotten. */
static void long_lives_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct sessions_trial_rules rules = {
            .steps = 60000, .max_open = NO_BOUND, .time_steps = 12, .replay_every = 40};
        struct sessions_trial_counts counts = run_seed(seed, &rules);
        assert_true(counts.forgotten > 10000 && counts.renewed > 0);
    }
}

/* ---- Any order ---- */

enum { MAX_BYTES = 1 << 20 };

static void add_text(struct buf *out, slice text)
{
    buf_add_be32(out, (uint32_t)text.len);
    buf_add(out, text);
}

/* All open sessions, in one order, every member. */
static slice write_all(const struct sessions *store, char *memory)
{
    static struct session all[MODEL_MAX];
    size_t count = 0, cursor = 0;
    struct buf out;
    buf_init(&out, memory, MAX_BYTES);
    while (sessions_next(store, &cursor, &all[count]))
        count++;
    qsort(all, count, sizeof *all, session_order);
    for (size_t i = 0; i < count; i++) {
        const struct session *one = &all[i];
        int64_t numbers[] = {one->start.ms, one->last.ms, one->events, one->bot_events};
        buf_add_bytes(&out, &one->ip, sizeof one->ip);
        buf_add_bytes(&out, numbers, sizeof numbers);
        slice texts[] = {one->host,  one->entry_url, one->referrer, one->country,
                         one->state, one->city,      one->exit_url};
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
            add_text(&out, texts[t]);
    }
    assert_false(out.overflowed);
    return buf_slice(&out);
}

enum { HITS = 2000, MAX_ROWS = 4096 };

struct rows { /* sessions that were closed */
    struct session at[MAX_ROWS];
    size_t count;
};

/* What merge does with Postgres: rows that the part touches come back before it is added. */
static void take_back(struct sessions *store, struct rows *rows, const struct session *part)
{
    for (size_t i = rows->count; i-- > 0;) {
        if (!session_is_same_key(&rows->at[i], part) || !session_touches(&rows->at[i], part, GAP_MS))
            continue;
        struct session row = rows->at[i];
        rows->at[i] = rows->at[--rows->count];
        sessions_add(store, &row, (mono_ms){0});
    }
}

static void close_some(struct sessions *store, struct rows *rows, struct choice *choice)
{
    int64_t watermark_ms = BASE_MS + (int64_t)choice_below(choice, 40000000);
    struct session taken;
    for (uint64_t i = choice_below(choice, 30); i > 0; i--)
        if (take_due(store, watermark_ms, 10000, &taken))
            rows->at[rows->count++] = pooled(&taken);
}

/* Hits in a random order, at times merged before they are added, sessions closed early now and then. */
static void add_somehow(struct sessions *store, struct session *hits, struct choice *choice)
{
    static struct rows rows;
    rows.count = 0;
    choice_shuffle(choice, hits, HITS, sizeof *hits);
    for (size_t i = 0; i < HITS; i++) {
        struct session part = hits[i];
        if (i + 1 < HITS && session_is_same_key(&part, &hits[i + 1]) &&
            session_touches(&part, &hits[i + 1], GAP_MS))
            session_merge(&part, &hits[++i]);
        take_back(store, &rows, &part);
        sessions_add(store, &part, (mono_ms){0});
        if (choice_one_in(choice, 40))
            close_some(store, &rows, choice);
        if (choice_one_in(choice, 100))
            sessions_note_stored(store, (int64_t)i + 1);
    }
    for (size_t i = 0; i < rows.count; i++)
        sessions_add(store, &rows.at[i], (mono_ms){0});
}

static void any_order_gives_the_same_bytes(void **state)
{
    (void)state;
    static struct session hits[HITS];
    static char expected_bytes[MAX_BYTES], found_bytes[MAX_BYTES];
    slice expected = {NULL, 0};
    struct choice choice = choice_seeded(1);
    for (size_t i = 0; i < HITS; i++)
        hits[i] = random_part(&choice, (wall_ms){BASE_MS}, 400);
    for (int order = 0; order < 100; order++) {
        struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
        add_somehow(store, hits, &choice);
        if (order == 0)
            expected = write_all(store, expected_bytes);
        else
            assert_true(slice_equals(write_all(store, found_bytes), expected));
        sessions_free(&store);
    }
    assert_true(expected.len > 20000);
}

/* ---- Bounds ---- */

static size_t count_after(int64_t first_ms, int64_t second_ms)
{
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct session first = part_at(first_ms), second = part_at(second_ms);
    sessions_add(store, &first, (mono_ms){0});
    sessions_add(store, &second, (mono_ms){0});
    size_t count = sessions_count(store);
    sessions_free(&store);
    return count;
}

static void the_gap_itself_is_one_session(void **state)
{
    (void)state;
    assert_int_equal(count_after(BASE_MS, BASE_MS + 299999), 1);
    assert_int_equal(count_after(BASE_MS, BASE_MS + 300000), 1);
    assert_int_equal(count_after(BASE_MS, BASE_MS + 300001), 2);
    assert_int_equal(count_after(BASE_MS, BASE_MS - 300000), 1);
    assert_int_equal(count_after(BASE_MS, BASE_MS - 300001), 2);
}

static void one_hit_bridges_what_is_on_both_sides(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    static const int64_t times[] = {0, 600000, 1200000, 300000, 900000};
    static const size_t counts[] = {1, 2, 3, 2, 1};
    for (size_t i = 0; i < 5; i++) {
        struct session part = part_at(BASE_MS + times[i]);
        sessions_add(store, &part, (mono_ms){0});
        assert_int_equal(sessions_count(store), counts[i]);
    }
    struct session whole;
    size_t cursor = 0;
    assert_true(sessions_next(store, &cursor, &whole));
    assert_int_equal(whole.events, 5);
    assert_int_equal(whole.last.ms - whole.start.ms, 1200000);
    sessions_free(&store);
}

static void extreme_values_are_kept_exactly(void **state)
{
    (void)state;
    static char long_text[SESSION_MAX_TEXT];
    memset(long_text, 'x', sizeof long_text);
    slice text = {long_text, sizeof long_text};
    struct session extreme = {.ip = {{0x20, 0x01, [15] = 0xff}},
                              .host = text,
                              .start = {SESSION_MIN_TIME_MS},
                              .last = {SESSION_MAX_TIME_MS},
                              .events = SESSION_MAX_EVENTS,
                              .bot_events = SESSION_MAX_EVENTS,
                              .entry_url = text,
                              .referrer = text,
                              .country = text,
                              .state = text,
                              .city = text,
                              .exit_url = text};
    assert_true(session_is_sound(&extreme));
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    sessions_add(store, &extreme, (mono_ms){0});
    struct session found;
    size_t cursor = 0;
    assert_true(sessions_next(store, &cursor, &found));
    assert_true(session_is_same(&found, &extreme));
    assert_false(take_due(store, INT64_MIN, INT64_MAX, &found));
    sessions_add(store, &extreme, (mono_ms){0}); /* full counters stay full */
    cursor = 0;
    assert_true(sessions_next(store, &cursor, &found));
    assert_true(session_is_same(&found, &extreme));
    sessions_free(&store);
    assert_null(store);
    sessions_free(&store);
}

static void a_session_closes_when_it_is_over_and_settled(void **state)
{
    (void)state;
    struct sessions *store = sessions_new(GAP_MS, NO_BOUND);
    struct session part = part_at(BASE_MS), taken;
    int64_t over_ms = BASE_MS + GAP_MS + LATENESS_MS;
    sessions_add(store, &part, (mono_ms){50000});
    assert_false(take_due(store, over_ms - 1, 90000, &taken));
    assert_false(take_due(store, over_ms + 5000, 52999, &taken));
    assert_true(has_due(store, over_ms + 2000, 55000));
    part = part_at(BASE_MS + 1000); /* touched again, and a second longer */
    sessions_add(store, &part, (mono_ms){60000});
    assert_false(take_due(store, over_ms + 999, 90000, &taken));
    assert_false(take_due(store, over_ms + 5000, 62999, &taken));
    assert_true(take_due(store, over_ms + 3000, 65000, &taken));
    assert_int_equal(taken.events, 2);
    assert_int_equal(sessions_count(store), 0);
    sessions_free(&store);
}

static void beyond_the_bound_the_oldest_goes_first(void **state)
{
    (void)state;
    enum { COUNT = 1000, BOUND = 10 };
    int64_t order[COUNT];
    struct choice choice = choice_seeded(4);
    struct sessions *store = sessions_new(GAP_MS, BOUND);
    for (int64_t i = 0; i < COUNT; i++)
        order[i] = i;
    choice_shuffle(&choice, order, COUNT, sizeof order[0]);
    for (size_t i = 0; i < COUNT; i++) {
        struct session part = part_at(BASE_MS + order[i] * 86400000);
        sessions_add(store, &part, (mono_ms){0});
    }
    assert_true(sessions_is_over(store));
    struct session taken;
    for (int64_t i = 0; i < COUNT - BOUND; i++) {
        assert_true(take_due(store, INT64_MIN, 0, &taken));
        assert_int_equal(taken.start.ms, BASE_MS + i * 86400000);
    }
    assert_false(has_due(store, INT64_MIN, 0));
    assert_false(sessions_is_over(store));
    sessions_free(&store);
}

int main(void)
{
    signal(SIGABRT, on_abort);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_lives_agree_with_the_model),
        cmocka_unit_test(long_lives_agree_with_the_model),
        cmocka_unit_test(any_order_gives_the_same_bytes),
        cmocka_unit_test(the_gap_itself_is_one_session),
        cmocka_unit_test(one_hit_bridges_what_is_on_both_sides),
        cmocka_unit_test(extreme_values_are_kept_exactly),
        cmocka_unit_test(a_session_closes_when_it_is_over_and_settled),
        cmocka_unit_test(beyond_the_bound_the_oldest_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
