/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/utf8. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <cmocka.h>

static bool is_surrogate(uint32_t code_point)
{
    return code_point >= 0xd800 && code_point <= 0xdfff;
}

static void every_code_point_is_read_back(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        char bytes[UTF8_MAX_LEN];
        if (is_surrogate(code_point))
            continue;
        size_t len = utf8_write(code_point, bytes);
        assert_int_equal(utf8_character_len(bytes, len), len);
        assert_int_equal(utf8_code_point(bytes, len), code_point);
        for (size_t cut = 1; cut < len; cut++) {
            assert_int_equal(utf8_character_len(bytes, cut), 0);
            assert_int_equal(utf8_invalid_len(bytes, cut), cut);
        }
    }
}

/* A three-byte decoder written another way: by what it decodes to. */
static bool is_valid_3(const unsigned char *at)
{
    uint32_t code_point = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    return (at[0] & 0xf0) == 0xe0 && (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80 &&
           code_point >= 0x800 && !is_surrogate(code_point);
}

static void only_shortest_forms_are_valid(void **state)
{
    (void)state;
    for (uint32_t first = 0xe0; first <= 0xef; first++) {
        for (uint32_t rest = 0; rest <= 0xffff; rest++) {
            unsigned char bytes[] = {(unsigned char)first, (unsigned char)(rest >> 8), (unsigned char)rest};
            assert_int_equal(utf8_character_len((char *)bytes, 3), is_valid_3(bytes) ? 3 : 0);
        }
    }
    for (uint32_t first = 0x80; first <= 0xff; first++) {
        char two[] = {(char)first, '\x80'};
        char four[] = {(char)first, '\x90', '\x80', '\x80'};
        assert_int_equal(utf8_character_len(two, 2), first >= 0xc2 && first <= 0xdf ? 2 : 0);
        size_t len = utf8_character_len(four, 4);
        assert_int_equal(len == 4, first >= 0xf0 && first <= 0xf3);
    }
}

static void an_invalid_sequence_ends_where_the_next_character_may_begin(void **state)
{
    (void)state;
    assert_int_equal(utf8_invalid_len("\x80\x80", 2), 1);
    assert_int_equal(utf8_invalid_len("\xe2\x82"
                                      "A",
                                      3),
                     2);
    assert_int_equal(utf8_invalid_len("\xf0\x9f\x98\xff", 4), 3);
    assert_int_equal(utf8_invalid_len("\xed\xa0\x80", 3), 1);
    assert_int_equal(utf8_invalid_len("\xff", 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_read_back),
        cmocka_unit_test(only_shortest_forms_are_valid),
        cmocka_unit_test(an_invalid_sequence_ends_where_the_next_character_may_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
