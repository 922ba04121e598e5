/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/received, against one byte a number. */
#include "aggregator/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { MAX_SEQ = 20000 };

static char model[MAX_SEQ + 2]; /* 1: received */
static char text_bytes[RECEIVED_MAX_RANGES * 48];

static size_t count_model_ranges(void)
{
    size_t count = 0;
    for (size_t seq = 1; seq <= MAX_SEQ; seq++)
        count += model[seq] && !model[seq - 1];
    return count;
}

static void assert_is_model(const struct received *set)
{
    assert_int_equal(set->count, count_model_ranges());
    for (int64_t seq = 1; seq <= MAX_SEQ; seq++)
        assert_int_equal(received_has(set, seq), model[seq]);
}

static slice write_text(const struct received *set)
{
    struct buf out;
    buf_init(&out, text_bytes, sizeof text_bytes);
    received_write(set, &out);
    assert_false(out.overflowed);
    return buf_slice(&out);
}

static void assert_survives_text(const struct received *set)
{
    struct received read = {.count = 0};
    assert_int_equal(received_read(write_text(set), &read), STATUS_OK);
    assert_int_equal(read.count, set->count);
    if (set->count > 0)
        assert_memory_equal(read.ranges, set->ranges, set->count * sizeof *set->ranges);
    received_fini(&read);
}

static void add_checked(struct received *set, int64_t seq)
{
    enum status expected = model[seq] ? STATUS_CONFLICT : STATUS_OK;
    assert_int_equal(received_add(set, seq), expected);
    model[seq] = 1;
}

static void a_healthy_stream_is_one_range(void **state)
{
    (void)state;
    struct received set = {.count = 0};
    memset(model, 0, sizeof model);
    assert_false(received_has(&set, 1));
    for (int64_t seq = 1; seq <= 1000; seq++)
        add_checked(&set, seq);
    for (int64_t seq = 1; seq <= 1000; seq++)
        add_checked(&set, seq); /* replayed */
    assert_int_equal(set.count, 1);
    assert_is_model(&set);
    received_fini(&set);
    assert_int_equal(set.count, 0);
}

/* Numbers come shuffled within a window, some never, some twice. */
static void it_equals_a_bitmap(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct choice choice = choice_seeded(seed);
        struct received set = {.count = 0};
        memset(model, 0, sizeof model);
        int64_t window = 1 + (int64_t)choice_below(&choice, seed % 2 ? 50 : 5000);
        for (int64_t front = 1; front + window <= MAX_SEQ; front++) {
            add_checked(&set, front + (int64_t)choice_below(&choice, (uint64_t)window));
            if (choice_one_in(&choice, 7))
                add_checked(&set, 1 + (int64_t)choice_below(&choice, (uint64_t)front));
            if (choice_one_in(&choice, 4000))
                assert_survives_text(&set);
        }
        assert_is_model(&set);
        assert_survives_text(&set);
        received_fini(&set);
    }
}

static void add_range_checked(struct received *set, int64_t from, int64_t to)
{
    enum status expected = STATUS_CONFLICT;
    for (int64_t seq = from; seq <= to; seq++) {
        expected = model[seq] ? expected : STATUS_OK;
        model[seq] = 1;
    }
    assert_int_equal(received_add_range(set, (struct received_range){from, to}), expected);
}

/* Ranges of all lengths: apart, adjacent, over one or many that are there, inside of one. */
static void ranges_equal_a_bitmap(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct choice choice = choice_seeded(seed);
        struct received set = {.count = 0};
        memset(model, 0, sizeof model);
        for (int i = 0; i < 100; i++) {
            int64_t len = 1 + (int64_t)choice_below(&choice, choice_one_in(&choice, 10) ? 60 : 4);
            int64_t from = 1 + (int64_t)choice_below(&choice, (uint64_t)(300 - len));
            if (choice_one_in(&choice, 4))
                add_checked(&set, from);
            else
                add_range_checked(&set, from, from + len - 1);
            assert_int_equal(set.count, count_model_ranges());
        }
        for (int64_t seq = 1; seq <= 301; seq++)
            assert_int_equal(received_has(&set, seq), model[seq]);
        assert_survives_text(&set);
        received_fini(&set);
    }
}

static void a_range_over_all_is_one(void **state)
{
    (void)state;
    struct received set = {.count = 0};
    for (int64_t i = 1; i <= RECEIVED_MAX_RANGES; i++)
        assert_int_equal(received_add(&set, 2 * i), STATUS_OK);
    struct received_range apart = {2 * (int64_t)RECEIVED_MAX_RANGES + 2,
                                   2 * (int64_t)RECEIVED_MAX_RANGES + 9};
    assert_int_equal(received_add_range(&set, apart), STATUS_FULL);
    assert_false(received_has(&set, apart.from));
    assert_int_equal(set.count, RECEIVED_MAX_RANGES);
    assert_int_equal(received_add_range(&set, (struct received_range){1, RECEIVED_MAX_SEQ}), STATUS_OK);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.ranges[0].from, 1);
    assert_int_equal(set.ranges[0].to, RECEIVED_MAX_SEQ);
    received_fini(&set);
}

static void a_shuffled_stream_ends_as_one_range(void **state)
{
    (void)state;
    static int64_t seqs[16667];
    size_t most = 0;
    struct received set = {.count = 0};
    struct choice choice = choice_seeded(5);
    for (size_t i = 0; i < 16667; i++)
        seqs[i] = (int64_t)i + 1;
    choice_shuffle(&choice, seqs, 16667, sizeof seqs[0]);
    for (size_t i = 0; i < 16667; i++) {
        assert_int_equal(received_add(&set, seqs[i]), STATUS_OK);
        most = set.count > most ? set.count : most;
    }
    assert_true(most > 4000);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.ranges[0].from, 1);
    assert_int_equal(set.ranges[0].to, 16667);
    received_fini(&set);
}

static void too_many_ranges_are_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct received set = {.count = 0};
    for (int64_t i = 1; i <= RECEIVED_MAX_RANGES; i++)
        assert_int_equal(received_add(&set, 2 * i), STATUS_OK);
    assert_int_equal(received_add(&set, 2 * (int64_t)RECEIVED_MAX_RANGES + 2), STATUS_FULL);
    assert_false(received_has(&set, 2 * (int64_t)RECEIVED_MAX_RANGES + 2));
    assert_int_equal(set.count, RECEIVED_MAX_RANGES);
    assert_survives_text(&set);
    assert_int_equal(received_add(&set, 1), STATUS_OK); /* what closes or widens a range has room */
    assert_int_equal(received_add(&set, 3), STATUS_OK);
    assert_int_equal(set.count, RECEIVED_MAX_RANGES - 1);
    assert_int_equal(received_add(&set, 2 * (int64_t)RECEIVED_MAX_RANGES + 2), STATUS_OK);
    received_fini(&set);
}

static void the_greatest_number_has_a_text(void **state)
{
    (void)state;
    struct received set = {.count = 0};
    assert_int_equal(received_add(&set, RECEIVED_MAX_SEQ), STATUS_OK);
    assert_int_equal(received_add(&set, 1), STATUS_OK);
    slice text = write_text(&set);
    assert_true(slice_equals(text, SLICE("{[1,2),[9223372036854775806,9223372036854775807)}")));
    assert_survives_text(&set);
    received_fini(&set);
}

static void texts_of_the_server_are_read(void **state)
{
    (void)state;
    struct received set = {.count = 0};
    assert_int_equal(received_read(SLICE("{}"), &set), STATUS_OK);
    assert_int_equal(set.count, 0);
    assert_int_equal(received_read(SLICE("{[1,6),[8,9)}"), &set), STATUS_OK);
    assert_int_equal(set.count, 2);
    assert_true(received_has(&set, 5));
    assert_false(received_has(&set, 6));
    assert_true(received_has(&set, 8));
    received_fini(&set);
}

static void any_other_text_is_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "{[1,2)",
        "[1,2)",
        "{[1,2)} ",
        " {[1,2)}",
        "{ [1,2)}",
        "{[1,2),}",
        "{,[1,2)}",
        "{[1,2)[3,4)}",
        "{[1,2],[4,5)}",
        "{(0,2)}",
        "{[1, 2)}",
        "{[2,2)}",
        "{[2,1)}",
        "{[0,2)}",
        "{[-1,2)}",
        "{[01,2)}",
        "{[+1,2)}",
        "{[1,2),[2,3)}",
        "{[3,4),[1,2)}",
        "{[1,5),[3,8)}",
        "{[1,)}",
        "{[1,9223372036854775808)}",
        "{[1,2),[4,99999999999999999999)}",
        "{empty}",
        "{[1,2),{[3,4)}}",
        "{[1,2)}{}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct received set = {.count = 77};
        assert_int_equal(received_read(slice_of(texts[i]), &set), STATUS_MALFORMED);
        assert_int_equal(set.count, 77); /* untouched */
    }
}

static void a_text_of_too_many_ranges_is_full(void **state)
{
    (void)state;
    struct buf out;
    struct received set = {.count = 77};
    buf_init(&out, text_bytes, sizeof text_bytes);
    for (int64_t i = 1; i <= RECEIVED_MAX_RANGES + 1; i++)
        buf_add_format(&out, "%s[%lld,%lld)", i == 1 ? "{" : ",", 2LL * i, 2LL * i + 1);
    buf_add_char(&out, '}');
    assert_false(out.overflowed);
    assert_int_equal(received_read(buf_slice(&out), &set), STATUS_FULL);
    assert_int_equal(set.count, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_stream_is_one_range),
        cmocka_unit_test(it_equals_a_bitmap),
        cmocka_unit_test(ranges_equal_a_bitmap),
        cmocka_unit_test(a_range_over_all_is_one),
        cmocka_unit_test(a_shuffled_stream_ends_as_one_range),
        cmocka_unit_test(too_many_ranges_are_refused_and_nothing_changes),
        cmocka_unit_test(the_greatest_number_has_a_text),
        cmocka_unit_test(texts_of_the_server_are_read),
        cmocka_unit_test(any_other_text_is_malformed),
        cmocka_unit_test(a_text_of_too_many_ranges_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
