/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/rollups: against a slow model that keeps every sum in a list and walks it. */
#include "aggregator/rollups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/allocations.h"
#include "tests/lib/choice.h"
#include "tests/unit/aggregator/tuples.h"

enum { ROUNDS = 30, HITS = 400, MODEL_MAX = 3 * HITS, LINE_MAX_BYTES = 200 };
#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

static const wall_ms noon = {1738497600000}; /* 2025-02-02T12:00:00Z */

/* ---- The model: a line a sum ---- */

struct model {
    size_t count;
    char lines[MODEL_MAX][LINE_MAX_BYTES];
    int64_t hits[MODEL_MAX];
};

static void model_add(struct model *model, const char *line, int64_t hits)
{
    size_t at = 0;
    while (at < model->count && strcmp(model->lines[at], line) != 0)
        at++;
    if (at == model->count) {
        assert_true(model->count < MODEL_MAX);
        snprintf(model->lines[model->count++], LINE_MAX_BYTES, "%s", line);
    }
    model->hits[at] += hits;
}

static long long floor_to(wall_ms time, int64_t length)
{
    int64_t rest = (time.ms % length + length) % length;
    return (long long)(time.ms - rest);
}

/* name: as the test knows it, not as paths finds it. */
static void model_add_hit(struct model *model, const struct batch_hit *hit, const char *page,
                          const char *referrer)
{
    char line[LINE_MAX_BYTES];
    bool is_bot = hit->flags & 1 || hit->flags & 4, is_counted = !is_bot && !(hit->flags & 2);
    snprintf(line, sizeof line, "traffic|%lld|%.*s||%.*s|%.*s|%.*s|%d|%.*s|%d",
             floor_to(hit->event_time, HOUR_MS), SLICE_ARGS(hit->host), SLICE_ARGS(hit->country),
             SLICE_ARGS(hit->state), SLICE_ARGS(hit->city), is_bot, SLICE_ARGS(hit_source_text(hit->source)),
             is_counted);
    model_add(model, line, 1);
    const char *const names[][2] = {{"page", page}, {"referrer", referrer}};
    for (size_t i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "%s|%lld|%.*s|%s||||-1|%.*s|%d", names[i][0],
                 floor_to(hit->event_time, DAY_MS), SLICE_ARGS(hit->host), names[i][1],
                 SLICE_ARGS(hit_source_text(hit->source)), is_counted);
        model_add(model, line, 1);
    }
}

static void assert_same(const struct rollups *rollups, struct model *model)
{
    slice rest = buf_slice(rollups_rows(rollups));
    struct tuples_sum sum;
    size_t count = 0;
    while (tuples_next_sum(&rest, &sum)) {
        char line[LINE_MAX_BYTES];
        snprintf(line, sizeof line, "%.*s|%lld|%.*s|%.*s|%.*s|%.*s|%.*s|%d|%.*s|%d", SLICE_ARGS(sum.kind),
                 (long long)sum.at.ms, SLICE_ARGS(sum.host), SLICE_ARGS(sum.name), SLICE_ARGS(sum.country),
                 SLICE_ARGS(sum.state), SLICE_ARGS(sum.city), sum.bot, SLICE_ARGS(sum.source), sum.counted);
        model_add(model, line, -sum.hits);
        count++;
    }
    assert_int_equal(count, model->count); /* each once */
    assert_int_equal(count, rollups_count(rollups));
    for (size_t i = 0; i < model->count; i++)
        if (model->hits[i] != 0)
            fail_msg("off by %lld: %s", (long long)model->hits[i], model->lines[i]);
}

/* ---- Hits ---- */

static const char *const hosts[] = {"shop.example", "blog.example"};
static const char *const places[][3] = {{"", "", ""},
                                        {"IN", "", ""},
                                        {"IN", "Karnataka", "Bengaluru"},
                                        {"IN", "Karnataka", ""},
                                        {"DE", "", "Bengaluru"}};
static const char *const pages[][2] = {{"https://shop.example/a?b", "/a"},
                                       {"https://shop.example/a#c", "/a"},
                                       {"https://shop.example/A", "/A"},
                                       {"https://shop.example", "/"}};
static const char *const referrers[][2] = {{"https://Search.example/1", "search.example"},
                                           {"http://search.example:80/2", "search.example"},
                                           {"", ""},
                                           {"https://other.example/", "other.example"}};

static void add_random(struct choice *choice, struct rollups *rollups, struct model *model)
{
    static const int64_t times[] = {0, HOUR_MS - 1, HOUR_MS, DAY_MS / 2 - 1, DAY_MS / 2, -1};
    const char *const *place = places[choice_below(choice, 5)];
    const char *const *page = pages[choice_below(choice, 4)];
    const char *const *referrer = referrers[choice_below(choice, 4)];
    struct batch_hit hit = {
        .event_time = {choice_one_in(choice, 10) ? -1 - (int64_t)choice_below(choice, 2) * DAY_MS
                                                 : noon.ms + times[choice_below(choice, 6)]},
        .host = slice_of(hosts[choice_below(choice, 2)]),
        .url = slice_of(page[0]),
        .referrer = slice_of(referrer[0]),
        .country = slice_of(place[0]),
        .state = slice_of(place[1]),
        .city = slice_of(place[2]),
        .source = (enum hit_source)choice_below(choice, HIT_OTHER + 1),
        .flags = (uint32_t)choice_below(choice, 32),
    };
    rollups_add(rollups, &hit);
    model_add_hit(model, &hit, page[1], referrer[1]);
}

static void random_batches_are_added_up_as_the_model_does(void **state)
{
    (void)state;
    static struct model model;
    struct rollups *rollups = rollups_new();
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct choice choice = choice_seeded(round);
        memset(&model, 0, sizeof model);
        rollups_clear(rollups);
        uint64_t count = choice_below(&choice, HITS + 1);
        for (uint64_t i = 0; i < count; i++)
            add_random(&choice, rollups, &model);
        assert_same(rollups, &model);
    }
    rollups_free(&rollups);
    assert_null(rollups);
    rollups_free(&rollups);
}

/* Every hit its own page, referrer and place. */
static void fill(struct rollups *rollups)
{
    for (int i = 0; i < BATCH_MAX_HITS; i++) {
        char text[64];
        struct batch_hit hit = {.event_time = noon, .host = SLICE("shop.example"), .source = HIT_BEACON};
        snprintf(text, sizeof text, "https://host%d.example/%d", i, i);
        hit.url = hit.referrer = hit.city = slice_of(text);
        rollups_add(rollups, &hit);
    }
}

static void a_full_batch_loses_no_sum(void **state)
{
    (void)state;
    struct rollups *rollups = rollups_new();
    for (int64_t times = 1; times <= 2; times++) {
        rollups_clear(rollups);
        for (int64_t i = 0; i < times; i++) /* what is there already takes no room */
            fill(rollups);
        assert_int_equal(rollups_count(rollups), 3 * BATCH_MAX_HITS);
        slice rest = buf_slice(rollups_rows(rollups));
        struct tuples_sum sum;
        while (tuples_next_sum(&rest, &sum))
            assert_int_equal(sum.hits, times);
    }
    rollups_free(&rollups);
}

static void the_next_batch_of_its_size_allocates_nothing(void **state)
{
    (void)state;
    struct rollups *rollups = rollups_new();
    fill(rollups);
    rollups_clear(rollups);
    size_t before = allocations_count();
    fill(rollups);
    assert_int_equal(allocations_count(), before);
    rollups_free(&rollups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_batches_are_added_up_as_the_model_does),
        cmocka_unit_test(a_full_batch_loses_no_sum),
        cmocka_unit_test(the_next_batch_of_its_size_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
