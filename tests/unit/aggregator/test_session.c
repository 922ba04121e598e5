/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/session: its values are an algebra in which order and grouping do not matter. */
#include "aggregator/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { TRIALS = 100000, GAP_MS = 300000, HITS = 6 };

/* Few texts, one the beginning of another, so that ties are frequent. */
static const slice texts[] = {{"", 0}, {"a", 1}, {"ab", 2}, {"b", 1}};

static slice pick(struct choice *choice)
{
    return texts[choice_below(choice, sizeof texts / sizeof texts[0])];
}

/* One hit, at one of three times. */
static struct session random_hit(struct choice *choice)
{
    wall_ms time = {(int64_t)choice_below(choice, 3)};
    return (struct session){
        .host = SLICE("h"),
        .start = time,
        .last = time,
        .events = 1,
        .bot_events = (int64_t)choice_below(choice, 2),
        .entry_url = pick(choice),
        .referrer = pick(choice),
        .country = pick(choice),
        .state = pick(choice),
        .city = pick(choice),
        .exit_url = pick(choice),
    };
}

static void assert_same(const struct session *a, const struct session *b)
{
    assert_true(session_is_same_key(a, b));
    assert_int_equal(a->start.ms, b->start.ms);
    assert_int_equal(a->last.ms, b->last.ms);
    assert_int_equal(a->events, b->events);
    assert_int_equal(a->bot_events, b->bot_events);
    assert_true(slice_equals(a->entry_url, b->entry_url));
    assert_true(slice_equals(a->referrer, b->referrer));
    assert_true(slice_equals(a->country, b->country));
    assert_true(slice_equals(a->state, b->state));
    assert_true(slice_equals(a->city, b->city));
    assert_true(slice_equals(a->exit_url, b->exit_url));
}

static struct session merged(const struct session *a, const struct session *b)
{
    struct session both = *a;
    session_merge(&both, b);
    return both;
}

static void merging_is_commutative_and_associative(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(1);
    for (int trial = 0; trial < TRIALS; trial++) {
        struct session a = random_hit(&choice), b = random_hit(&choice), c = random_hit(&choice);
        struct session ab = merged(&a, &b), ba = merged(&b, &a), bc = merged(&b, &c);
        struct session ab_c = merged(&ab, &c), a_bc = merged(&a, &bc);
        assert_same(&ab, &ba);
        assert_same(&ab_c, &a_bc);
    }
}

static struct session fold(const struct session *hits, size_t count)
{
    struct session all = hits[0];
    for (size_t i = 1; i < count; i++)
        session_merge(&all, &hits[i]);
    return all;
}

static void any_order_and_grouping_gives_the_same(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(2);
    for (int trial = 0; trial < TRIALS; trial++) {
        struct session hits[HITS];
        for (size_t i = 0; i < HITS; i++)
            hits[i] = random_hit(&choice);
        struct session in_order = fold(hits, HITS);
        choice_shuffle(&choice, hits, HITS, sizeof hits[0]);
        size_t cut = 1 + choice_below(&choice, HITS - 1);
        struct session left = fold(hits, cut), right = fold(hits + cut, HITS - cut);
        struct session grouped = merged(&right, &left);
        assert_same(&in_order, &grouped);
    }
}

/* What a merge keeps is that of the least and of the greatest hit, found without merging. */
static void first_and_last_hit_decide(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(3);
    for (int trial = 0; trial < TRIALS; trial++) {
        struct session hits[HITS];
        size_t first = 0, last = 0;
        int64_t bots = 0;
        for (size_t i = 0; i < HITS; i++) {
            hits[i] = random_hit(&choice);
            bots += hits[i].bot_events;
            if (session_starts_before(&hits[i], &hits[first]))
                first = i;
            if (session_ends_after(&hits[i], &hits[last]))
                last = i;
        }
        struct session expected = hits[first];
        expected.last = hits[last].last;
        expected.exit_url = hits[last].exit_url;
        expected.events = HITS;
        expected.bot_events = bots;
        struct session all = fold(hits, HITS);
        assert_same(&all, &expected);
    }
}

static void ties_are_broken_by_content(void **state)
{
    (void)state;
    struct session a = {.host = SLICE("h"), .events = 1, .entry_url = SLICE("/a"), .exit_url = SLICE("/a")};
    struct session b = a;
    b.referrer = SLICE("r");
    assert_true(session_starts_before(&a, &b));
    assert_false(session_starts_before(&b, &a));
    b.entry_url = b.exit_url = SLICE("/");
    assert_true(session_starts_before(&b, &a)); /* the page comes before the referrer */
    assert_true(session_ends_after(&a, &b));
    b = a;
    assert_false(session_starts_before(&a, &b));
    assert_false(session_ends_after(&a, &b));
    b.city = SLICE("c");
    assert_true(session_starts_before(&a, &b));
    a.state = SLICE("s");
    assert_true(session_starts_before(&b, &a));
    b.country = SLICE("x");
    assert_true(session_starts_before(&a, &b));
}

static void the_gap_itself_is_together(void **state)
{
    (void)state;
    struct session a = {.start = {1000}, .last = {2000}};
    static const struct {
        int64_t away_ms;
        bool touches;
    } cases[] = {{0, true}, {299999, true}, {300000, true}, {300001, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session after = {.start = {2000 + cases[i].away_ms}, .last = {9000000}};
        struct session before = {.start = {-9000000}, .last = {1000 - cases[i].away_ms}};
        assert_int_equal(session_touches(&a, &after, GAP_MS), cases[i].touches);
        assert_int_equal(session_touches(&after, &a, GAP_MS), cases[i].touches);
        assert_int_equal(session_touches(&a, &before, GAP_MS), cases[i].touches);
        assert_int_equal(session_touches(&before, &a, GAP_MS), cases[i].touches);
    }
    struct session around = {.start = {0}, .last = {99999999}};
    assert_true(session_touches(&a, &around, 0));
    assert_true(session_touches(&around, &a, 0));
}

static void counts_stop_instead_of_overflowing(void **state)
{
    (void)state;
    struct session a = {.host = SLICE("h"), .events = SESSION_MAX_EVENTS, .bot_events = SESSION_MAX_EVENTS};
    struct session b = {.host = SLICE("h"), .events = 1, .bot_events = 1};
    session_merge(&b, &a);
    assert_int_equal(b.events, SESSION_MAX_EVENTS);
    assert_int_equal(b.bot_events, SESSION_MAX_EVENTS);
    assert_true(session_is_sound(&b));
}

static void what_is_unsound_is_seen(void **state)
{
    (void)state;
    static char long_text[SESSION_MAX_TEXT + 1];
    const struct session sound = {.host = SLICE("h"),
                                  .start = {SESSION_MIN_TIME_MS},
                                  .last = {SESSION_MAX_TIME_MS},
                                  .events = SESSION_MAX_EVENTS,
                                  .city = {long_text, SESSION_MAX_TEXT}};
    assert_true(session_is_sound(&sound));
    struct session bad[] = {sound, sound, sound, sound, sound, sound, sound};
    bad[0].host.len = 0;
    bad[1].start.ms--;
    bad[2].last.ms++;
    bad[3].last.ms = bad[3].start.ms - 1;
    bad[4].bot_events = -1;
    bad[5].events++;
    bad[6].city.len++;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(session_is_sound(&bad[i]));
    struct session more_bots = sound;
    more_bots.events = 1;
    more_bots.bot_events = 2;
    assert_false(session_is_sound(&more_bots));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_commutative_and_associative),
        cmocka_unit_test(any_order_and_grouping_gives_the_same),
        cmocka_unit_test(first_and_last_hit_decide),
        cmocka_unit_test(ties_are_broken_by_content),
        cmocka_unit_test(the_gap_itself_is_together),
        cmocka_unit_test(counts_stop_instead_of_overflowing),
        cmocka_unit_test(what_is_unsound_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
