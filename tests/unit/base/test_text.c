/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/text, against a second validator that decodes to code points and looks at those. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { ROUNDS = 300000, MAX_LEN = 40, MAX_CLEAN = 3 * MAX_LEN };

static size_t encode(uint32_t code, char out[4])
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(leads[len] | code);
    return len;
}

static bool is_code_clean(uint32_t code)
{
    return code >= 0x20 && code != 0x7F && !(code >= 0xD800 && code <= 0xDFFF) && code <= 0x10FFFF;
}

/* Valid is what encodes back to the bytes it was decoded from, and may stand in a text column. */
static bool model_is_clean(slice s)
{
    for (size_t at = 0; at < s.len;) {
        unsigned char first = (unsigned char)s.data[at];
        size_t len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        uint32_t code = len == 1 ? first : first & (0xFFu >> (len + 1));
        char back[4];
        if (at + len > s.len)
            return false;
        for (size_t i = 1; i < len; i++)
            code = code << 6 | ((unsigned char)s.data[at + i] & 0x3F);
        if (!is_code_clean(code) || encode(code, back) != len || memcmp(back, s.data + at, len) != 0)
            return false;
        at += len;
    }
    return true;
}

static slice random_text(struct choice *choice, char out[MAX_LEN])
{
    size_t len = 0, wanted = choice_below(choice, MAX_LEN - 3);
    bool is_dirty = choice_one_in(choice, 2);
    while (len < wanted) {
        uint32_t limit = choice_one_in(choice, 3) ? 0x110000 : choice_one_in(choice, 2) ? 0x900 : 0x80;
        uint32_t code = (uint32_t)choice_below(choice, limit);
        if (is_dirty && choice_one_in(choice, 4))
            out[len++] = (char)choice_below(choice, 256);
        else if (is_code_clean(code))
            len += encode(code, out + len);
    }
    return (slice){out, len};
}

static slice clean(slice s, size_t max_len, char memory[MAX_CLEAN], bool *changed)
{
    struct buf out;
    buf_init(&out, memory, MAX_CLEAN);
    *changed = text_add_clean(&out, s, max_len);
    assert_false(out.overflowed);
    return buf_slice(&out);
}

static void check_cleaning(slice s)
{
    char memory[MAX_CLEAN], again_memory[MAX_CLEAN];
    bool changed, changed_again;
    slice cleaned = clean(s, MAX_CLEAN, memory, &changed);
    assert_true(model_is_clean(cleaned));
    assert_int_equal(changed, !slice_equals(cleaned, s));
    assert_int_equal(changed, !text_is_clean(s));
    assert_true(slice_equals(clean(cleaned, MAX_CLEAN, again_memory, &changed_again), cleaned));
    assert_false(changed_again);
}

/* The longest start of the cleaned text that is whole characters and not longer than allowed. */
static void check_cutting(slice s, size_t max_len)
{
    char memory[MAX_CLEAN], cut_memory[MAX_CLEAN];
    bool changed;
    slice cleaned = clean(s, MAX_CLEAN, memory, &changed);
    slice cut = clean(s, max_len, cut_memory, &changed);
    assert_true(cut.len <= max_len);
    assert_true(slice_starts_with(cleaned, cut));
    assert_int_equal(changed, !slice_equals(cut, s));
    for (size_t len = cut.len + 1; len <= max_len && len <= cleaned.len; len++)
        assert_false(model_is_clean(slice_head(cleaned, len)));
}

static void any_bytes_become_clean(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(6);
    int clean_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char text[MAX_LEN];
        slice s = random_text(&choice, text);
        assert_int_equal(text_is_clean(s), model_is_clean(s));
        clean_count += model_is_clean(s);
        check_cleaning(s);
        check_cutting(s, choice_below(&choice, MAX_LEN));
    }
    assert_true(clean_count > ROUNDS / 4 && clean_count < ROUNDS - ROUNDS / 4);
}

static void every_code_point_is_judged_right(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x140000; code++) {
        char text[4];
        slice s = {text, encode(code, text)};
        assert_int_equal(text_is_clean(s), is_code_clean(code));
    }
}

/* Eight bytes are looked at together: the place within them must not matter. */
static void a_bad_byte_is_seen_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < 20; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[20];
            memset(text, 'a', sizeof text);
            text[at] = (char)byte;
            assert_int_equal(text_is_clean((slice){text, sizeof text}), byte >= 0x20 && byte < 0x7F);
        }
}

static void bad_sequences_become_one_replacement_each(void **state)
{
    (void)state;
    static const struct {
        slice from, to;
    } cases[] = {
        /* Unicode, 3.9: one for each maximal start of a character */
        {SLICE("a\xF0\x9F\x98"), SLICE("a\xEF\xBF\xBD")},
        {SLICE("\xE2\x82 \xC3\xA4"), SLICE("\xEF\xBF\xBD \xC3\xA4")},
        {SLICE("\xC0\xAF"), SLICE("\xEF\xBF\xBD\xEF\xBF\xBD")},
        {SLICE("\xED\xA0\x80"), SLICE("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD")},
        {SLICE("a\0b\x1B[1m\x7F"), SLICE("ab[1m")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[MAX_CLEAN];
        bool changed;
        assert_true(slice_equals(clean(cases[i].from, MAX_CLEAN, memory, &changed), cases[i].to));
        assert_true(changed);
    }
}

static void percent_encoding_is_undone(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(7);
    for (int round = 0; round < ROUNDS / 10; round++) {
        char text[MAX_LEN], encoded[3 * MAX_LEN + 1], memory[MAX_LEN];
        size_t len = choice_below(&choice, MAX_LEN), encoded_len = 0;
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)choice_below(&choice, 256);
            bool is_plain = text[i] >= 'a' && text[i] <= 'z' && choice_one_in(&choice, 2);
            const char *format = is_plain ? "%c" : choice_one_in(&choice, 2) ? "%%%02x" : "%%%02X";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            encoded_len += (size_t)sprintf(encoded + encoded_len, format, (unsigned char)text[i]);
#pragma GCC diagnostic pop
        }
        struct buf out;
        buf_init(&out, memory, sizeof memory);
        assert_int_equal(text_add_percent_decoded(&out, (slice){encoded, encoded_len}, true), STATUS_OK);
        assert_true(slice_equals(buf_slice(&out), (slice){text, len}));
    }
}

static void plus_and_broken_percents(void **state)
{
    (void)state;
    static const slice broken[] = {SLICE("%"), SLICE("a%4"), SLICE("%g1"), SLICE("%1g"), SLICE("%%41")};
    char memory[16];
    struct buf out;
    buf_init(&out, memory, sizeof memory);
    assert_int_equal(text_add_percent_decoded(&out, SLICE("a+b"), true), STATUS_OK);
    assert_int_equal(text_add_percent_decoded(&out, SLICE("+%2B"), false), STATUS_OK);
    assert_true(slice_equals(buf_slice(&out), SLICE("a b++")));
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(text_add_percent_decoded(&out, broken[i], true), STATUS_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_become_clean),
        cmocka_unit_test(every_code_point_is_judged_right),
        cmocka_unit_test(a_bad_byte_is_seen_anywhere),
        cmocka_unit_test(bad_sequences_become_one_replacement_each),
        cmocka_unit_test(percent_encoding_is_undone),
        cmocka_unit_test(plus_and_broken_percents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
