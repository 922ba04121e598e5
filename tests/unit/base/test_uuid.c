/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/uuid. */
#include "base/uuid.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { ROUNDS = 200000 };

static void assert_is_marked(uuid id, unsigned version)
{
    assert_int_equal(id.bytes[6] >> 4, version);
    assert_int_equal(id.bytes[8] >> 6, 2);
}

static int64_t time_of(uuid id)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id.bytes[i];
    return ms;
}

static void version_7_only_goes_up(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(12);
    int64_t now = INT64_C(1738469901000), latest = 0;
    uuid last = uuid_v7((wall_ms){now});
    for (int round = 0; round < ROUNDS; round++) {
        if (choice_one_in(&choice, 3)) /* also back: clocks are set */
            now += (int64_t)choice_below(&choice, 1000) - 300;
        uuid id = uuid_v7((wall_ms){now});
        assert_true(uuid_compare(id, last) > 0);
        assert_is_marked(id, 7);
        latest = now > latest ? now : latest;
        assert_int_equal(time_of(id), latest);
        last = id;
    }
}

static void version_4_is_random(void **state)
{
    (void)state;
    uint8_t ones[16] = {0}, zeros[16] = {0};
    for (int round = 0; round < 1000; round++) {
        uuid id = uuid_v4();
        assert_is_marked(id, 4);
        for (size_t i = 0; i < sizeof ones; i++) {
            ones[i] |= id.bytes[i];
            zeros[i] |= (uint8_t)~id.bytes[i];
        }
    }
    for (size_t i = 0; i < sizeof ones; i++) { /* each bit that is not a mark was 1 once, and 0 once */
        assert_int_equal(ones[i], i == 6 ? 0x4F : i == 8 ? 0xBF : 0xFF);
        assert_int_equal(zeros[i], i == 6 ? 0xBF : i == 8 ? 0x7F : 0xFF);
    }
}

static void random_bytes_fill_all_there_is(void **state)
{
    (void)state;
    static uint8_t bytes[1000], seen[sizeof bytes];
    for (int round = 0; round < 20; round++) {
        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    assert_null(memchr(seen, 0, sizeof seen));
}

static void texts_are_read_back(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(13);
    for (int round = 0; round < ROUNDS / 10; round++) {
        uuid id, back;
        char text[UUID_TEXT_LEN], hex[UUID_HEX_LEN];
        for (size_t i = 0; i < sizeof id.bytes; i++)
            id.bytes[i] = (uint8_t)choice_below(&choice, 256);
        uuid_write(id, text);
        uuid_write_hex(id, hex);
        assert_int_equal(uuid_read((slice){text, sizeof text}, &back), STATUS_OK);
        assert_true(uuid_equals(id, back));
        for (size_t i = 0; i < sizeof hex; i++)
            hex[i] = choice_one_in(&choice, 2) ? (char)toupper(hex[i]) : hex[i];
        assert_int_equal(uuid_read((slice){hex, sizeof hex}, &back), STATUS_OK);
        assert_int_equal(uuid_compare(id, back), 0);
    }
}

static void the_text_has_the_usual_form(void **state)
{
    (void)state;
    uuid id;
    char text[UUID_TEXT_LEN];
    slice usual = SLICE("00112233-4455-6677-8899-aabbccddeeff");
    assert_int_equal(uuid_read(SLICE("00112233445566778899AABBCCDDEEFF"), &id), STATUS_OK);
    uuid_write(id, text);
    assert_true(slice_equals((slice){text, sizeof text}, usual));
}

static void what_is_no_uuid_is_refused(void **state)
{
    (void)state;
    static const slice bad[] = {
        SLICE(""),
        SLICE("00112233445566778899aabbccddeef"),
        SLICE("00112233445566778899aabbccddeeffa"),
        SLICE("00112233445566778899aabbccddeefg"),
        SLICE("00112233 44556677 8899aabbccddee"),
        SLICE("00112233-4455-6677-8899-aabbccddeef"),
        SLICE("0011223-34455-6677-8899-aabbccddeeff"),
        SLICE("00112233-4455-6677-8899aaabbccddeeff"),
        SLICE("00112233-4455-6677-8899-aabbccddeef-"),
        SLICE("{0112233-4455-6677-8899-aabbccddeef}"),
        SLICE("00112233-4455-6677-8899-aabbccddeeff0"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uuid id = {{9}};
        assert_int_equal(uuid_read(bad[i], &id), STATUS_MALFORMED);
        assert_int_equal(id.bytes[0], 9);
    }
}

/* Ids made from texts are stored for ever: the function may not change. */
static void a_text_has_one_id_for_ever(void **state)
{
    (void)state;
    uuid expected;
    assert_int_equal(uuid_read(SLICE("99aa06d3-0147-88d8-a001-c324468d497f"), &expected), STATUS_OK);
    assert_true(uuid_equals(uuid_of_text(SLICE("")), expected));
    assert_true(uuid_equals(uuid_of_text(SLICE("order-17")), uuid_of_text(SLICE("order-17"))));
    assert_false(uuid_equals(uuid_of_text(SLICE("order-17")), uuid_of_text(SLICE("order-18"))));
    assert_is_marked(uuid_of_text(SLICE("order-17")), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_7_only_goes_up),         cmocka_unit_test(version_4_is_random),
        cmocka_unit_test(random_bytes_fill_all_there_is), cmocka_unit_test(texts_are_read_back),
        cmocka_unit_test(the_text_has_the_usual_form),    cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(a_text_has_one_id_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
