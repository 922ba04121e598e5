/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/seen, against a plain list of the last ids. */
#include "collector/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WINDOW = 50, KEEP_MS = 1000, MODEL_MAX = 200000 };

struct known {
    uuid id;
    int64_t since_ms;
    uint32_t holder;
    bool is_done;
    bool is_there;
};

/* All entries ever made, the latest WINDOW of them count. */
static struct known model[MODEL_MAX];
static size_t model_count;

static struct known *find_known(uuid id, int64_t now_ms)
{
    size_t oldest = model_count > WINDOW ? model_count - WINDOW : 0;
    for (size_t i = oldest; i < model_count; i++)
        if (model[i].is_there && uuid_equals(model[i].id, id) && now_ms - model[i].since_ms < KEEP_MS)
            return &model[i];
    return NULL;
}

static uuid id_of(int number)
{
    uuid id = {{0}};
    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

static enum seen_state add_to_model(uuid id, int64_t now_ms, uint32_t *holder)
{
    struct known *known = find_known(id, now_ms);
    if (!known) {
        MUST(model_count < MODEL_MAX);
        model[model_count++] =
            (struct known){.id = id, .since_ms = now_ms, .holder = *holder, .is_there = true};
        return SEEN_NEW;
    }
    if (known->is_done)
        return SEEN_DONE;
    *holder = known->holder;
    return SEEN_PENDING;
}

static void add_to_both(struct seen *seen, uuid id, int64_t now_ms, uint32_t holder)
{
    uint32_t got = holder, expected = holder;
    enum seen_state state = seen_add(seen, id, (mono_ms){now_ms}, &got);
    assert_int_equal(state, add_to_model(id, now_ms, &expected));
    assert_int_equal(got, expected);
}

/* One of the entries made lately, whoever holds it. */
static struct known *some_known(void)
{
    size_t back = (size_t)rand() % (WINDOW + 10);
    return back < model_count ? &model[model_count - 1 - back] : NULL;
}

static void settle_or_forget(struct seen *seen, int64_t now_ms, bool forget)
{
    struct known *some = some_known();
    if (!some)
        return;
    uint32_t holder = rand() % 4 ? some->holder : some->holder + 1;
    struct known *known = find_known(some->id, now_ms);
    (forget ? seen_forget : seen_settle)(seen, some->id, holder);
    if (!known || known->is_done || known->holder != holder)
        return;
    if (forget)
        known->is_there = false;
    else
        known->is_done = true;
}

static void it_behaves_like_a_list(void **state)
{
    (void)state;
    srand(11);
    struct seen *seen = seen_new(WINDOW, KEEP_MS);
    int64_t now_ms = 5000;
    for (int round = 0; round < 150000; round++) {
        int kind = rand() % 10;
        if (kind < 6)
            add_to_both(seen, id_of(rand() % 120), now_ms, (uint32_t)round);
        else if (kind < 9)
            settle_or_forget(seen, now_ms, kind == 8);
        else
            now_ms += rand() % 60;
        assert_true(seen_count(seen) <= WINDOW);
    }
    seen_free(&seen);
    seen_free(&seen);
}

static void the_window_ends_by_number_and_by_time(void **state)
{
    uint32_t holder = 1;
    (void)state;
    struct seen *seen = seen_new(4, 100);
    assert_int_equal(seen_add(seen, id_of(1), (mono_ms){0}, &holder), SEEN_NEW);
    seen_settle(seen, id_of(1), 1);
    assert_int_equal(seen_add(seen, id_of(1), (mono_ms){99}, &holder), SEEN_DONE);
    assert_int_equal(seen_add(seen, id_of(1), (mono_ms){100}, &holder), SEEN_NEW);
    for (int i = 2; i <= 5; i++)
        assert_int_equal(seen_add(seen, id_of(i), (mono_ms){100}, &holder), SEEN_NEW);
    assert_int_equal(seen_count(seen), 4);
    assert_int_equal(seen_add(seen, id_of(1), (mono_ms){100}, &holder), SEEN_NEW);
    seen_free(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_behaves_like_a_list),
        cmocka_unit_test(the_window_ends_by_number_and_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
