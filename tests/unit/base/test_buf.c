/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/buf, against a model: everything that fitted before the first that did not. */
#include "base/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { ROUNDS = 3000, STEPS = 40, MAX_BYTES = 300 };

struct model {
    char bytes[MAX_BYTES];
    size_t len, max;
    bool overflowed;
};

/* needed: what must be free for it, which can be more than what stays. */
static void model_add(struct model *model, const void *bytes, size_t len, size_t needed)
{
    if (model->overflowed || needed > model->max - model->len) {
        model->overflowed |= needed > 0;
        return;
    }
    memcpy(model->bytes + model->len, bytes, len);
    model->len += len;
}

static void add_number(struct buf *buf, struct model *model, struct choice *choice)
{
    char text[32];
    int64_t number = (int64_t)(choice_below(choice, UINT64_MAX) >> choice_below(choice, 64));
    if (choice_one_in(choice, 2))
        number = (int64_t)(0 - (uint64_t)number);
    buf_add_int64(buf, number);
    int len = snprintf(text, sizeof text, "%" PRId64, number);
    model_add(model, text, (size_t)len, (size_t)len);
}

static void add_reserved(struct buf *buf, struct model *model, const char *bytes, size_t len)
{
    char *room = buf_reserve(buf, len);
    if (room != NULL) {
        memcpy(room, bytes, len);
        buf_commit(buf, len);
    }
    model_add(model, bytes, len, len);
}

static void add_something(struct buf *buf, struct model *model, struct choice *choice)
{
    char bytes[32];
    size_t len = 1 + choice_below(choice, sizeof bytes);
    memset(bytes, 'a' + (int)choice_below(choice, 26), sizeof bytes);
    switch (choice_below(choice, 6)) {
    case 0:
        buf_add(buf, (slice){bytes, len});
        model_add(model, bytes, len, len);
        break;
    case 1:
        buf_add_char(buf, bytes[0]);
        model_add(model, bytes, 1, 1);
        break;
    case 2:
        add_number(buf, model, choice);
        break;
    case 3:
        buf_add_format(buf, "%.*s", (int)len, bytes);
        model_add(model, bytes, len, len + 1);
        break;
    case 4:
        add_reserved(buf, model, bytes, len);
        break;
    default:
        buf_add(buf, slice_of(NULL)); /* nothing always fits */
    }
}

static void check_against_model(struct buf *buf, struct choice *choice)
{
    struct model model = {.max = buf->max};
    for (int step = 0; step < STEPS; step++) {
        add_something(buf, &model, choice);
        assert_int_equal(buf->overflowed, model.overflowed);
        assert_true(buf->cap <= buf->max);
        assert_true(slice_equals(buf_slice(buf), (slice){model.bytes, model.len}));
    }
}

static void what_fits_is_kept_and_an_overflow_remembered(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(3);
    int overflow_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct buf buf;
        size_t max = choice_below(&choice, MAX_BYTES + 1);
        char *memory = malloc(max + 1); /* its own allocation, so that a write past the end is seen */
        buf_init(&buf, memory, max);
        check_against_model(&buf, &choice);
        overflow_count += buf.overflowed;
        buf_clear(&buf);
        assert_int_equal(buf.overflowed, false);
        check_against_model(&buf, &choice);
        assert_ptr_equal(buf.data, memory);
        buf_fini(&buf);
        free(memory);

        buf_init_growing(&buf, choice_below(&choice, max + 1), max);
        check_against_model(&buf, &choice);
        buf_fini(&buf);
    }
    assert_true(overflow_count > ROUNDS / 10 && overflow_count < ROUNDS);
}

static void numbers_reach_their_limits(void **state)
{
    (void)state;
    char memory[64];
    struct buf buf;
    buf_init(&buf, memory, sizeof memory);
    buf_add_int64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_int64(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_int64(&buf, INT64_MAX);
    assert_true(slice_equals(buf_slice(&buf), SLICE("-9223372036854775808 0 9223372036854775807")));
}

static void integers_stand_big_end_first(void **state)
{
    (void)state;
    char memory[14];
    struct buf buf;
    buf_init(&buf, memory, sizeof memory);
    buf_add_be16(&buf, 0x0102);
    buf_add_be32(&buf, 0x03040506);
    buf_add_be64(&buf, 0x0708090A0B0C0D0E);
    assert_true(
        slice_equals(buf_slice(&buf), SLICE("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E")));
    assert_false(buf.overflowed);
    buf_add_char(&buf, 'x');
    assert_true(buf.overflowed);
}

static void a_huge_length_is_refused(void **state)
{
    (void)state;
    struct buf buf;
    buf_init_growing(&buf, 0, 100);
    buf_add_char(&buf, 'a');
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.overflowed);
    assert_int_equal(buf.len, 1);
    buf_fini(&buf);
}

static void commit_too_much(void *unused)
{
    (void)unused;
    char memory[4];
    struct buf buf;
    buf_init(&buf, memory, sizeof memory);
    buf_commit(&buf, 5);
}

static void committing_what_was_not_reserved_stops(void **state)
{
    (void)state;
    assert_int_equal(child_signal(commit_too_much, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_kept_and_an_overflow_remembered),
        cmocka_unit_test(numbers_reach_their_limits),
        cmocka_unit_test(integers_stand_big_end_first),
        cmocka_unit_test(a_huge_length_is_refused),
        cmocka_unit_test(committing_what_was_not_reserved_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
