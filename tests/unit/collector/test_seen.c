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
    uint64_t position;
};

/* All entries ever made, the latest WINDOW of them count. */
static struct known model[MODEL_MAX];
static size_t model_count;

static struct known *find_known(uuid id, int64_t now_ms)
{
    size_t oldest = model_count > WINDOW ? model_count - WINDOW : 0;
    for (size_t i = oldest; i < model_count; i++)
        if (uuid_equals(model[i].id, id) && now_ms - model[i].since_ms < KEEP_MS)
            return &model[i];
    return NULL;
}

static uuid id_of(int number)
{
    uuid id = {{0}};
    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

static bool add_to_model(uuid id, int64_t now_ms, uint64_t *position)
{
    const struct known *known = find_known(id, now_ms);
    if (known) {
        *position = known->position;
        return false;
    }
    MUST(model_count < MODEL_MAX);
    model[model_count++] = (struct known){id, now_ms, *position};
    return true;
}

static void add_to_both(struct seen *seen, uuid id, int64_t now_ms, uint64_t position)
{
    uint64_t got = position, expected = position;
    bool is_new = seen_add(seen, id, (mono_ms){now_ms}, &got);
    assert_int_equal(is_new, add_to_model(id, now_ms, &expected));
    assert_int_equal(got, expected);
}

static void it_behaves_like_a_list(void **state)
{
    (void)state;
    srand(11);
    struct seen *seen = seen_new(WINDOW, KEEP_MS);
    int64_t now_ms = 5000;
    for (int round = 1; round <= 150000; round++) {
        if (rand() % 10 < 9)
            add_to_both(seen, id_of(rand() % 120), now_ms, (uint64_t)round);
        else
            now_ms += rand() % 60;
        assert_true(seen_count(seen) <= WINDOW);
    }
    seen_free(&seen);
    seen_free(&seen);
}

static void the_window_ends_by_number_and_by_time(void **state)
{
    uint64_t position = 7;
    (void)state;
    struct seen *seen = seen_new(4, 100);
    assert_true(seen_add(seen, id_of(1), (mono_ms){0}, &position));
    position = 8;
    assert_false(seen_add(seen, id_of(1), (mono_ms){99}, &position));
    assert_int_equal(position, 7);
    assert_true(seen_add(seen, id_of(1), (mono_ms){100}, &position));
    for (int i = 2; i <= 5; i++)
        assert_true(seen_add(seen, id_of(i), (mono_ms){100}, &position));
    assert_int_equal(seen_count(seen), 4);
    assert_true(seen_add(seen, id_of(1), (mono_ms){100}, &position));
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
