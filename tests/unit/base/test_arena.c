/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/arena: pieces do not overlap, are aligned, and a steady load allocates nothing. */
#include "base/arena.h"

#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/allocations.h"
#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { CHUNK_BYTES = 1000, MAX_BYTES = 200000, PIECES = 300, ROUNDS = 200 };

struct piece {
    unsigned char *data;
    size_t len;
    unsigned char fill;
};

static void assert_is_filled(const struct piece *piece)
{
    for (size_t i = 0; i < piece->len; i++)
        assert_int_equal(piece->data[i], piece->fill);
}

static void take_and_fill(struct arena *arena, struct choice *choice)
{
    static struct piece pieces[PIECES];
    size_t sum = 0;
    for (int i = 0; i < PIECES; i++) {
        struct piece *piece = &pieces[i];
        piece->len = choice_below(choice, choice_one_in(choice, 20) ? 3 * CHUNK_BYTES : 60);
        piece->fill = (unsigned char)i;
        piece->data = arena_take(arena, piece->len);
        assert_int_equal((uintptr_t)piece->data % alignof(max_align_t), 0);
        memset(piece->data, piece->fill, piece->len);
        sum += piece->len;
    }
    for (int i = 0; i < PIECES; i++)
        assert_is_filled(&pieces[i]);
    assert_true(arena_used_bytes(arena) >= sum);
    assert_true(arena_used_bytes(arena) < sum + PIECES * alignof(max_align_t));
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(4);
    struct arena *arena = arena_new(CHUNK_BYTES, MAX_BYTES);
    for (int round = 0; round < ROUNDS; round++) {
        take_and_fill(arena, &choice);
        arena_clear(arena);
        assert_int_equal(arena_used_bytes(arena), 0);
    }
    arena_free(&arena);
    assert_null(arena);
    arena_free(&arena);
}

static void a_steady_load_allocates_nothing(void **state)
{
    (void)state;
    struct arena *arena = arena_new(CHUNK_BYTES, MAX_BYTES);
    size_t before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct choice choice = choice_seeded(5);
        if (round == 1)
            before = allocations_count();
        take_and_fill(arena, &choice);
        arena_clear(arena);
    }
    assert_true(before > 0); /* the counting works */
    assert_int_equal(allocations_count(), before);
    arena_free(&arena);
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    char text[] = "first";
    struct arena *arena = arena_new(CHUNK_BYTES, MAX_BYTES);
    slice copy = arena_copy(arena, slice_of(text));
    text[0] = 'x';
    assert_true(slice_equals(copy, SLICE("first")));
    assert_int_equal(arena_copy(arena, slice_of(NULL)).len, 0);
    arena_free(&arena);
}

static void take_all_and_more(void *unused)
{
    (void)unused;
    struct arena *arena = arena_new(CHUNK_BYTES, CHUNK_BYTES);
    for (size_t i = 0; i < CHUNK_BYTES / 8 + 1; i++)
        arena_take(arena, 8);
}

static void take_at_once(void *unused)
{
    (void)unused;
    arena_take(arena_new(CHUNK_BYTES, CHUNK_BYTES), SIZE_MAX);
}

static void going_over_the_maximum_stops(void **state)
{
    (void)state;
    assert_int_equal(child_signal(take_all_and_more, NULL), SIGABRT);
    assert_int_equal(child_signal(take_at_once, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(a_steady_load_allocates_nothing),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(going_over_the_maximum_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
