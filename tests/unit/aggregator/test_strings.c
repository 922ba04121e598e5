/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/strings, against a plain list of texts and their uses. */
#include "aggregator/strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { TEXTS = 400, STEPS = 200000 };

struct known_text {
    char *bytes;
    size_t len;
    string_id id;
    uint32_t uses;
};

static slice text_of(const struct known_text *known)
{
    return (slice){known->bytes, known->len};
}

/* Distinct texts of all lengths up to the greatest. */
static void make_texts(struct known_text *known)
{
    for (size_t i = 0; i < TEXTS; i++) {
        size_t len = i < 200 ? 4 + i : 4 + (i - 199) * (STRINGS_MAX_LEN - 4) / (TEXTS - 200);
        known[i] = (struct known_text){.bytes = must_malloc(len), .len = len};
        memset(known[i].bytes, 'x', len);
        uint32_t number = (uint32_t)i;
        memcpy(known[i].bytes, &number, sizeof number);
    }
    assert_int_equal(known[TEXTS - 1].len, STRINGS_MAX_LEN);
}

static void free_texts(struct known_text *known)
{
    for (size_t i = 0; i < TEXTS; i++)
        free(known[i].bytes);
}

static void assert_is_known(const struct strings *strings, const struct known_text *known)
{
    if (known->uses == 0) {
        assert_int_equal(strings_find(strings, text_of(known)), 0);
        return;
    }
    assert_int_equal(strings_find(strings, text_of(known)), known->id);
    assert_true(slice_equals(strings_text(strings, known->id), text_of(known)));
}

static size_t count_used(const struct known_text *known)
{
    size_t count = 0;
    for (size_t i = 0; i < TEXTS; i++)
        count += known[i].uses > 0;
    return count;
}

static void it_equals_a_list(void **state)
{
    (void)state;
    static struct known_text known[TEXTS];
    struct choice choice = choice_seeded(1);
    struct strings *strings = strings_new();
    make_texts(known);
    for (int step = 0; step < STEPS; step++) {
        struct known_text *one = &known[choice_below(&choice, TEXTS)];
        if (one->uses > 0 && choice_one_in(&choice, 2)) {
            strings_remove(strings, one->id);
            one->uses--;
        } else {
            string_id id = strings_add(strings, text_of(one));
            assert_true(id != 0 && (one->uses == 0 || one->id == id));
            one->id = id;
            one->uses++;
        }
        assert_is_known(strings, one);
        assert_is_known(strings, &known[choice_below(&choice, TEXTS)]);
        if (step % 1000 == 0)
            assert_int_equal(strings_count(strings), count_used(known));
    }
    for (size_t i = 0; i < TEXTS; i++)
        for (; known[i].uses > 0; known[i].uses--)
            strings_remove(strings, known[i].id);
    assert_int_equal(strings_count(strings), 0);
    assert_int_equal(strings_used_bytes(strings), 0);
    strings_free(&strings);
    assert_null(strings);
    strings_free(&strings);
    free_texts(known);
}

static void the_empty_text_is_id_0(void **state)
{
    (void)state;
    struct strings *strings = strings_new();
    assert_int_equal(strings_add(strings, (slice){NULL, 0}), 0);
    assert_int_equal(strings_find(strings, (slice){NULL, 0}), 0);
    assert_int_equal(strings_text(strings, 0).len, 0);
    strings_remove(strings, 0);
    assert_int_equal(strings_count(strings), 0);
    strings_free(&strings);
}

/* Blocks are at most a fifth too big and of texts that are gone nothing remains in use. */
static void a_block_fits_its_text(void **state)
{
    (void)state;
    static char bytes[STRINGS_MAX_LEN];
    struct strings *strings = strings_new();
    for (size_t len = 1; len <= STRINGS_MAX_LEN; len++) {
        string_id id = strings_add(strings, (slice){bytes, len});
        size_t block = strings_used_bytes(strings);
        assert_true(block >= len && block <= len + len / 4 + 15);
        strings_remove(strings, id);
        assert_int_equal(strings_used_bytes(strings), 0);
    }
    strings_free(&strings);
}

static void a_text_may_be_added_from_itself(void **state)
{
    (void)state;
    struct strings *strings = strings_new();
    string_id whole = strings_add(strings, SLICE("example.com/page"));
    string_id tail = strings_add(strings, slice_from(strings_text(strings, whole), 11));
    assert_true(slice_equals(strings_text(strings, tail), SLICE("/page")));
    assert_int_equal(strings_add(strings, strings_text(strings, whole)), whole);
    strings_free(&strings);
}

static void many_texts_are_found(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    char text[32];
    struct strings *strings = strings_new();
    for (unsigned i = 0; i < MANY; i++)
        strings_add(strings, (slice){text, (size_t)snprintf(text, sizeof text, "/page/%u", i)});
    assert_int_equal(strings_count(strings), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        slice wanted = {text, (size_t)snprintf(text, sizeof text, "/page/%u", i)};
        assert_true(slice_equals(strings_text(strings, strings_find(strings, wanted)), wanted));
    }
    strings_free(&strings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_equals_a_list),      cmocka_unit_test(the_empty_text_is_id_0),
        cmocka_unit_test(a_block_fits_its_text), cmocka_unit_test(a_text_may_be_added_from_itself),
        cmocka_unit_test(many_texts_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
