/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/slice; numbers against strtoll. */
#include "base/slice.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

enum { ROUNDS = 200000, MAX_LEN = 22 };

static slice random_text(struct choice *choice, const char *alphabet, char out[MAX_LEN + 1])
{
    size_t len = choice_below(choice, MAX_LEN + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[choice_below(choice, strlen(alphabet))];
    out[len] = '\0';
    return (slice){out, len};
}

static void empty_slices_are_equal_wherever_they_point(void **state)
{
    (void)state;
    assert_true(slice_equals(slice_of(NULL), SLICE("")));
    assert_true(slice_equals_nocase(slice_of(NULL), SLICE("")));
    assert_int_equal(slice_compare(slice_of(NULL), SLICE("")), 0);
    assert_true(slice_starts_with(SLICE("a"), slice_of(NULL)));
    assert_true(slice_ends_with(slice_of(NULL), SLICE("")));
    assert_int_equal(slice_find(slice_of(NULL), 'a'), 0);
}

static void comparing_looks_at_bytes_and_length(void **state)
{
    (void)state;
    assert_false(slice_equals(SLICE("ab"), SLICE("abc")));
    assert_false(slice_equals(SLICE("ab"), SLICE("aB")));
    assert_true(slice_equals(SLICE("a\0b"), SLICE("a\0b")));
    assert_false(slice_equals(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_equals_nocase(SLICE("Content-Type"), SLICE("cONTENT-tYPE")));
    assert_false(slice_equals_nocase(SLICE("["), SLICE("{"))); /* 0x20 apart and no letters */
    assert_false(slice_equals_nocase(SLICE("\xC4"), SLICE("\xE4")));
    assert_true(slice_compare(SLICE("ab"), SLICE("abc")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("abc")) > 0);
    assert_true(slice_compare(SLICE("\xFF"), SLICE("a")) > 0); /* bytes have no sign */
}

static void ends_are_found(void **state)
{
    (void)state;
    assert_true(slice_starts_with(SLICE("unix:/x"), SLICE("unix:")));
    assert_false(slice_starts_with(SLICE("uni"), SLICE("unix:")));
    assert_true(slice_ends_with(SLICE("a.example.org"), SLICE(".example.org")));
    assert_false(slice_ends_with(SLICE("org"), SLICE(".org")));
    assert_true(slice_equals(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_find(SLICE("abcb"), 'b'), 1);
    assert_int_equal(slice_find(SLICE("abc"), 'x'), 3);
}

/* What is cut, put together again with the separators, is what there was. */
static void pieces_add_up(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(1);
    for (int round = 0; round < ROUNDS; round++) {
        char text[MAX_LEN + 1], together[MAX_LEN + 2];
        slice whole = random_text(&choice, "ab,,", text), rest = whole, piece;
        size_t len = 0;
        while (slice_cut(&rest, ',', &piece)) {
            assert_int_equal(slice_find(piece, ','), piece.len);
            memcpy(together + len, piece.data, piece.len);
            len += piece.len;
            together[len++] = ',';
        }
        assert_null(rest.data);
        assert_true(slice_equals(whole, (slice){together, len - 1}));
    }
    slice none = slice_of(NULL), piece;
    assert_false(slice_cut(&none, ',', &piece));
}

static bool is_number(const char *text)
{
    text += *text == '-';
    return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

static void numbers_are_those_of_strtoll(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(2);
    int accepted = 0, too_far = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char text[MAX_LEN + 1];
        slice s = random_text(&choice, round % 2 ? "0123456789" : "-0123456789 +x", text);
        int64_t number = 7;
        errno = 0;
        int64_t expected = strtoll(text, NULL, 10);
        enum status status = slice_to_int64(s, INT64_MIN, INT64_MAX, &number);
        if (!is_number(text)) {
            assert_int_equal(status, STATUS_MALFORMED);
            assert_int_equal(number, 7);
        } else if (errno == ERANGE) {
            assert_int_equal(status, STATUS_RANGE);
            assert_int_equal(number, 7);
            too_far++;
        } else {
            assert_int_equal(status, STATUS_OK);
            assert_int_equal(number, expected);
            accepted++;
        }
    }
    assert_true(accepted > ROUNDS / 4);
    assert_true(too_far > ROUNDS / 100);
}

static void numbers_keep_to_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t min, max;
        enum status expected;
    } cases[] = {
        {"9223372036854775807", INT64_MIN, INT64_MAX, STATUS_OK},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, STATUS_OK},
        {"9223372036854775808", INT64_MIN, INT64_MAX, STATUS_RANGE},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, STATUS_RANGE},
        {"18446744073709551616", INT64_MIN, INT64_MAX, STATUS_RANGE}, /* 2^64 is not 0 */
        {"99999999999999999999x", INT64_MIN, INT64_MAX, STATUS_MALFORMED},
        {"1", 1, 1, STATUS_OK},
        {"0", 1, 5, STATUS_RANGE},
        {"6", 1, 5, STATUS_RANGE},
        {"-1", 0, 5, STATUS_RANGE},
        {"-0", 0, 5, STATUS_OK},
        {"--1", -5, 5, STATUS_MALFORMED},
        {"-", -5, 5, STATUS_MALFORMED},
        {"", -5, 5, STATUS_MALFORMED},
        {"+1", -5, 5, STATUS_MALFORMED},
        {" 1", -5, 5, STATUS_MALFORMED},
        {"1 ", -5, 5, STATUS_MALFORMED},
        {"0x1", -5, 5, STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t number;
        assert_int_equal(slice_to_int64(slice_of(cases[i].text), cases[i].min, cases[i].max, &number),
                         cases[i].expected);
    }
}

static void cut_too_far(void *slice_to_cut)
{
    const slice *s = slice_to_cut;
    slice_from(*s, s->len + 1);
}

static void head_too_far(void *slice_to_cut)
{
    const slice *s = slice_to_cut;
    slice_head(*s, s->len + 1);
}

static void going_past_the_end_stops(void **state)
{
    (void)state;
    slice s = SLICE("abc");
    assert_int_equal(slice_from(s, 3).len, 0);
    assert_int_equal(slice_head(s, 3).len, 3);
    assert_int_equal(child_signal(cut_too_far, &s), SIGABRT);
    assert_int_equal(child_signal(head_too_far, &s), SIGABRT);
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void cases_are_alike_for_letters_only(void **state)
{
    (void)state;
    for (int x = 0; x < 256; x++) {
        for (int y = 0; y < 256; y++) {
            bool is_alike = x == y || (is_letter(x) && (x ^ y) == 0x20);
            char a[] = "User-Agent-x", b[] = "uSER-aGENT-X";
            size_t at = (size_t)(x + y) % 12; /* in the first eight bytes and behind them */
            a[at] = (char)x;
            b[at] = (char)y;
            assert_int_equal(slice_equals_nocase((slice){a, 12}, (slice){b, 12}), is_alike);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slices_are_equal_wherever_they_point),
        cmocka_unit_test(comparing_looks_at_bytes_and_length),
        cmocka_unit_test(ends_are_found),
        cmocka_unit_test(pieces_add_up),
        cmocka_unit_test(numbers_are_those_of_strtoll),
        cmocka_unit_test(numbers_keep_to_their_limits),
        cmocka_unit_test(going_past_the_end_stops),
        cmocka_unit_test(cases_are_alike_for_letters_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
