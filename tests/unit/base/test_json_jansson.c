/* SPDX-License-Identifier: Apache-2.0
 * base/json beside jansson on mutated texts: what ours takes jansson takes too, with the same values; what
 * only jansson takes is beyond a limit that json.h states. Also: what is written is read back. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/base/json_oracle.h"

enum { ROUNDS = 200000, MAX_TEXT_BYTES = 4096, MAX_MUTATIONS = 4 };

static const char *const seeds[] = {
    "{\"url\":\"https://www.example.com/a?b=c\",\"referrer\":\"\",\"title\":\"Caf\\u00e9 "
    "\xe2\x82\xac\",\"age\":12}",
    "[{\"a\":1,\"b\":[true,false,null]},{\"a\":-0.5e+10,\"c\":{\"d\":{}}}]",
    "{\"headers\":\"{\\\"accept\\\":\\\"*/*\\\"}\",\"seq\":9223372036854775807,\"x\":1e3}",
    "[[[[[[[[]]]]]]]]",
    "\"\\ud83d\\ude00\\n\\t\\\\\\/ \xf0\x9f\x98\x80\"",
    "  [ 1 , 2.5 , -3E-2, \"\" , { } ]  ",
    "{\"aaaaaaaabbbbbbbb\":1,\"aaaaaaaacbbbbbbbb\":2,\"a\":3,\"b\":4,\"c\":5,\"d\":6,\"e\":7}",
    "-123",
    "null",
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static size_t pick(size_t count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % count);
}

static const char alphabet[] =
    "{}[]\",:\\/ \n\t0123456789eE+-.untrfals\"\"\\uabc\x01\x7f\x80\xbf\xc3\xe2\xed\xf0";

static size_t insert(char *text, size_t len, size_t at, const char *bytes, size_t count)
{
    if (len + count > MAX_TEXT_BYTES)
        return len;
    memmove(text + at + count, text + at, len - at);
    memcpy(text + at, bytes, count);
    return len + count;
}

/* Changes a byte, takes some away, doubles a piece, or puts one in. */
static size_t mutate(char *text, size_t len)
{
    char piece[64];
    size_t at = pick(len + 1);
    size_t count = 1 + pick(len - at + 1 < sizeof(piece) ? len - at + 1 : sizeof(piece) - 1);
    switch (pick(4)) {
    case 0:
        if (at < len)
            text[at] = alphabet[pick(sizeof(alphabet) - 1)];
        return len;
    case 1:
        if (at + count > len)
            return len;
        memmove(text + at, text + at + count, len - at - count);
        return len - count;
    case 2:
        if (at + count > len)
            return len;
        memcpy(piece, text + at, count);
        return insert(text, len, pick(len + 1), piece, count);
    default:
        return insert(text, len, at, &alphabet[pick(sizeof(alphabet) - 1)], 1);
    }
}

/* ---- our side of the form that json_oracle.h describes ---- */

static void write_value(const struct json_value *value, struct buf *form);

static void write_text(const struct json_value *value, struct buf *form)
{
    char memory[MAX_TEXT_BYTES];
    struct buf scratch;
    slice text;
    buf_init(&scratch, memory, sizeof(memory));
    assert_int_equal(json_text(value, &scratch, &text), STATUS_OK);
    buf_add_format(form, "s%zu:", text.len);
    buf_add(form, text);
}

static void write_number(const struct json_value *value, struct buf *form)
{
    int64_t number;
    char text[MAX_TEXT_BYTES + 1];
    enum status status = json_int64(value, &number);
    if (status == STATUS_OK) {
        buf_add_format(form, "i%lld", (long long)number);
        return;
    }
    memcpy(text, value->raw.data, value->raw.len);
    text[value->raw.len] = '\0';
    buf_add_format(form, "r%a", strtod(text, NULL));
}

static void write_object(const struct json_value *value, struct buf *form)
{
    struct json_object object;
    json_members(value, &object);
    buf_add_char(form, '{');
    for (size_t i = 0; i < object.count; i++) {
        const struct json_member *member = &object.members[i];
        assert_ptr_equal(json_find(&object, member->name), &member->value);
        buf_add_format(form, "s%zu:", member->name.len);
        buf_add(form, member->name);
        write_value(&member->value, form);
    }
    buf_add_char(form, '}');
}

static void write_array(const struct json_value *value, struct buf *form)
{
    slice rest = value->raw;
    struct json_value item;
    buf_add_char(form, '[');
    while (json_next(&rest, &item))
        write_value(&item, form);
    buf_add_char(form, ']');
}

static void write_value(const struct json_value *value, struct buf *form)
{
    switch (value->kind) {
    case JSON_OBJECT:
        write_object(value, form);
        return;
    case JSON_ARRAY:
        write_array(value, form);
        return;
    case JSON_TEXT:
        write_text(value, form);
        return;
    case JSON_NUMBER:
        write_number(value, form);
        return;
    case JSON_NULL:
        buf_add_char(form, 'n');
        return;
    case JSON_TRUE:
        buf_add_char(form, 't');
        return;
    case JSON_FALSE:
        buf_add_char(form, 'f');
        return;
    }
}

/* ---- the comparison ---- */

enum { MAX_FORM_BYTES = 16 * MAX_TEXT_BYTES };

struct tally {
    size_t both, neither, only_theirs;
};

/* The one pass against the two. */
static void compare_passes(slice text)
{
    static struct json_object one, two;
    struct json_value value;
    enum status status = json_read(text, &value, NULL);
    enum status of_one = json_read_object(text, &one, NULL);
    if (status != STATUS_OK || value.kind != JSON_OBJECT) {
        assert_int_equal(of_one, status != STATUS_OK ? status : STATUS_MALFORMED);
        return;
    }
    assert_int_equal(of_one, STATUS_OK);
    json_members(&value, &two);
    assert_int_equal(one.count, two.count);
    for (size_t i = 0; i < one.count; i++) {
        const struct json_value *a = &one.members[i].value, *b = &two.members[i].value;
        assert_true(slice_equals(one.members[i].name, two.members[i].name));
        assert_true(a->kind == b->kind && a->has_escapes == b->has_escapes);
        assert_true(a->raw.data == b->raw.data && a->raw.len == b->raw.len);
    }
}

static void compare(slice text, struct tally *tally)
{
    static char our_memory[MAX_FORM_BYTES], their_memory[MAX_FORM_BYTES];
    struct buf our_form, their_form;
    struct json_value value;
    buf_init(&our_form, our_memory, sizeof(our_memory));
    buf_init(&their_form, their_memory, sizeof(their_memory));
    compare_passes(text);
    enum status status = json_read(text, &value, NULL);
    struct oracle oracle = oracle_read(text, &their_form);
    if (status == STATUS_OK && oracle.takes) {
        write_value(&value, &our_form);
        assert_false(our_form.overflowed || their_form.overflowed);
        assert_int_equal(our_form.len, their_form.len);
        assert_memory_equal(our_form.data, their_form.data, our_form.len);
        tally->both++;
    } else if (status == STATUS_OK && !oracle.is_overflow) {
        fail_msg("only ours takes: %.*s", SLICE_ARGS(text));
    } else if (oracle.takes) {
        bool is_beyond_a_limit = oracle.depth > JSON_MAX_DEPTH || oracle.most_members > JSON_MAX_MEMBERS ||
                                 memchr(text.data, '\\', text.len); /* perhaps in a name */
        if (!is_beyond_a_limit)
            fail_msg("only jansson takes: %.*s", SLICE_ARGS(text));
        tally->only_theirs++;
    } else {
        tally->neither++;
    }
}

static void mutated_texts_read_alike(void **state)
{
    (void)state;
    struct tally tally = {0, 0, 0};
    for (size_t round = 0; round < ROUNDS; round++) {
        char text[MAX_TEXT_BYTES];
        const char *seed = seeds[pick(sizeof(seeds) / sizeof(seeds[0]))];
        size_t len = strlen(seed);
        memcpy(text, seed, len);
        for (size_t i = pick(MAX_MUTATIONS + 1); i > 0; i--)
            len = mutate(text, len);
        char *exact = malloc(len + 1); /* its own allocation, so that a read past the end is seen */
        assert_non_null(exact);
        memcpy(exact, text, len);
        compare((slice){exact, len}, &tally);
        free(exact);
    }
    print_message("%zu taken by both, %zu by neither, %zu by jansson alone\n", tally.both, tally.neither,
                  tally.only_theirs);
    assert_true(tally.both > ROUNDS / 10 && tally.neither > ROUNDS / 10); /* else it compares nothing */
}

static void objects_up_to_the_limit_read_alike(void **state)
{
    (void)state;
    struct tally tally = {0, 0, 0};
    for (size_t count = 0; count <= JSON_MAX_MEMBERS + 1; count++) {
        char text[MAX_TEXT_BYTES] = "{";
        for (size_t i = 0; i < count; i++)
            sprintf(text + strlen(text), "%s\"member-%zu\":%zu", i ? "," : "", pick(4096), i);
        strcat(text, "}");
        compare(slice_of(text), &tally);
    }
    assert_true(tally.both > 0);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS / 10; round++) {
        char bytes[64], memory[6 * sizeof(bytes) + 2], scratch_memory[sizeof(memory)];
        struct buf out, scratch, form;
        struct json_value value;
        slice text;
        size_t len = pick(sizeof(bytes));
        for (size_t i = 0; i < len; i++)
            bytes[i] = pick(3) ? alphabet[pick(sizeof(alphabet) - 1)] : (char)pick(256);
        buf_init(&out, memory, sizeof(memory));
        buf_init(&scratch, scratch_memory, sizeof(scratch_memory));
        json_add_text(&out, (slice){bytes, len});
        assert_false(out.overflowed);
        assert_int_equal(json_read(buf_slice(&out), &value, NULL), STATUS_OK);
        assert_int_equal(json_text(&value, &scratch, &text), STATUS_OK);
        char form_memory[sizeof(memory)];
        buf_init(&form, form_memory, sizeof(form_memory));
        assert_true(oracle_read(buf_slice(&out), &form).takes);
        assert_true(slice_ends_with(buf_slice(&form), text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_texts_read_alike),
        cmocka_unit_test(objects_up_to_the_limit_read_alike),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
