/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/control: what is written is read back, by us and by a JSON library, and every way in which a
 * header is no control record. */
#include "proto/control.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/choice.h"

#define STREAM "5e0c2b9a64f14d0f8a7b3c2d1e0f9a8b-8"

enum { ROUNDS = 20000 };

static char header_memory[2 * CONTROL_MAX_BYTES], scratch_memory[CONTROL_MAX_BYTES];

static slice encode(const struct control *control)
{
    struct buf out;
    buf_init(&out, header_memory, CONTROL_MAX_BYTES);
    control_encode(control, &out);
    assert_false(out.overflowed);
    return buf_slice(&out);
}

/* With as little room as is promised to be enough. */
static enum control_fault decode(slice header, struct control *control)
{
    struct buf scratch;
    buf_init(&scratch, scratch_memory,
             header.len < sizeof scratch_memory ? header.len : sizeof scratch_memory);
    return control_decode(header, &scratch, control);
}

static enum control_fault fault_of(const char *header)
{
    struct control control;
    return decode(slice_of(header), &control);
}

static struct hit_stream stream_of(const char *text)
{
    struct hit_stream stream;
    assert_int_equal(hit_stream_read(slice_of(text), &stream), STATUS_OK);
    return stream;
}

static bool controls_are_equal(const struct control *a, const struct control *b)
{
    return a->kind == b->kind && uuid_equals(a->stream.boot, b->stream.boot) &&
           a->stream.partition == b->stream.partition && a->from == b->from && a->last == b->last &&
           slice_equals(a->reason, b->reason);
}

/* Numbers of all sizes, the greatest and the least among them. */
static int64_t choose_number(struct choice *choice, int64_t least)
{
    int64_t number = (int64_t)(choice_below(choice, UINT64_MAX) >> (1 + choice_below(choice, 63)));
    if (number == INT64_MAX)
        number--;
    return number < least ? least : number;
}

static struct control choose(struct choice *choice, char reason[CONTROL_MAX_REASON])
{
    static const char signs[] = "abc \"\\/{}:,";
    struct control control = {.kind = choice_one_in(choice, 2) ? CONTROL_FIN : CONTROL_SKIP};
    for (size_t i = 0; i < sizeof control.stream.boot.bytes; i++)
        control.stream.boot.bytes[i] = (uint8_t)choice_below(choice, 256);
    control.stream.partition = (int)choice_below(choice, (uint64_t)INT32_MAX + 1);
    if (control.kind == CONTROL_FIN) {
        control.last = choose_number(choice, 0);
        return control;
    }
    control.from = choose_number(choice, 1);
    control.last = choose_number(choice, control.from);
    control.reason = (slice){reason, choice_below(choice, CONTROL_MAX_REASON + 1)};
    for (size_t i = 0; i < control.reason.len; i++)
        reason[i] = signs[choice_below(choice, sizeof signs - 1)];
    return control;
}

static void any_record_is_read_back(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(41);
    for (int round = 0; round < ROUNDS; round++) {
        char reason[CONTROL_MAX_REASON];
        struct control control = choose(&choice, reason), back;
        assert_int_equal(decode(encode(&control), &back), CONTROL_GOOD);
        assert_true(controls_are_equal(&control, &back));
    }
}

static json_int_t integer_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void check_by_library(slice header, const struct control *control)
{
    char stream[HIT_STREAM_TEXT_MAX + 1] = {0};
    hit_stream_write(&control->stream, stream);
    json_t *whole = json_loadb(header.data, header.len, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(whole), 1);
    const json_t *said = json_object_get(whole, control->kind == CONTROL_FIN ? "fin" : "skip");
    assert_string_equal(json_string_value(json_object_get(said, "stream")), stream);
    if (control->kind == CONTROL_FIN) {
        assert_int_equal(integer_of(said, "last"), control->last);
    } else {
        const json_t *reason = json_object_get(said, "reason");
        assert_int_equal(integer_of(said, "from"), control->from);
        assert_int_equal(integer_of(said, "to"), control->last);
        assert_true(
            slice_equals((slice){json_string_value(reason), json_string_length(reason)}, control->reason));
    }
    json_decref(whole);
}

static void a_json_library_reads_the_same(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(42);
    for (int round = 0; round < ROUNDS; round++) {
        char reason[CONTROL_MAX_REASON];
        struct control control = choose(&choice, reason);
        check_by_library(encode(&control), &control);
    }
}

/* As README.md shows them. */
static void records_look_like_this(void **state)
{
    (void)state;
    struct control fin = {.kind = CONTROL_FIN, .stream = stream_of(STREAM), .last = 117};
    struct control skip = {.kind = CONTROL_SKIP,
                           .stream = stream_of(STREAM),
                           .from = 5,
                           .last = 7,
                           .reason = SLICE("Kafka refused it")};
    assert_true(slice_equals(encode(&fin), SLICE("{\"fin\":{\"stream\":\"" STREAM "\",\"last\":117}}")));
    assert_true(slice_equals(
        encode(&skip),
        SLICE("{\"skip\":{\"stream\":\"" STREAM "\",\"from\":5,\"to\":7,\"reason\":\"Kafka refused it\"}}")));
}

static void reasons_are_cleaned_and_cut(void **state)
{
    (void)state;
    char quotes[2 * CONTROL_MAX_REASON];
    memset(quotes, '"', sizeof quotes);
    struct control skip = {.kind = CONTROL_SKIP,
                           .from = 1,
                           .last = 1,
                           .reason = SLICE("a\xff\n\x7f"
                                           "b")};
    struct control back;
    assert_int_equal(decode(encode(&skip), &back), CONTROL_GOOD);
    assert_true(slice_equals(back.reason, SLICE("a\xEF\xBF\xBD"
                                                "b")));
    skip.reason = (slice){quotes, sizeof quotes};
    skip.from = skip.last = INT64_MAX - 1;
    skip.stream.partition = INT32_MAX;
    assert_int_equal(decode(encode(&skip), &back), CONTROL_GOOD); /* the longest */
    assert_true(slice_equals(back.reason, (slice){quotes, CONTROL_MAX_REASON}));
}

static void unknown_names_are_passed_over(void **state)
{
    (void)state;
    struct control control;
    assert_int_equal(
        decode(SLICE(" {\"v\":2,\"fin\":null,\"more\":{\"fin\":1},\n\"skip\":{\"reason\":\"\\u0041\\u0000"
                     "\\u00e9\",\"to\":9,\"other\":[1,{}],\"from\":9,\"stream\":\"" STREAM "\"}} "),
               &control),
        CONTROL_GOOD);
    assert_int_equal(control.kind, CONTROL_SKIP);
    assert_int_equal(control.from, 9);
    assert_int_equal(control.last, 9);
    assert_true(slice_equals(control.reason, SLICE("A\xC3\xA9")));
    assert_int_equal(
        decode(SLICE("{\"fin\":{\"from\":\"\",\"last\":0,\"stream\":\"" STREAM "\"}}"), &control),
        CONTROL_GOOD);
    assert_int_equal(control.last, 0);
    assert_int_equal(control.from, 0);
    assert_int_equal(fault_of("{\"skip\":{\"stream\":\"" STREAM "\",\"from\":1,\"to\":1,\"reason\":null}}"),
                     CONTROL_GOOD);
}

static void what_is_no_record_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum control_fault fault;
    } cases[] = {
        {"", CONTROL_NOT_JSON},
        {"[]", CONTROL_NOT_JSON},
        {"{\"fin\":{}", CONTROL_NOT_JSON},
        {"{\"fin\":{\"a\":1,\"a\":1}}", CONTROL_NOT_JSON},
        {"{}", CONTROL_NO_KIND},
        {"{\"end\":{}}", CONTROL_NO_KIND},
        {"{\"fin\":1}", CONTROL_NO_KIND},
        {"{\"fin\":null,\"skip\":null}", CONTROL_NO_KIND},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":1},\"skip\":{}}", CONTROL_NO_KIND},
        {"{\"fin\":{\"last\":1}}", CONTROL_BAD_STREAM},
        {"{\"fin\":{\"stream\":1,\"last\":1}}", CONTROL_BAD_STREAM},
        {"{\"fin\":{\"stream\":\"5e0c\",\"last\":1}}", CONTROL_BAD_STREAM},
        {"{\"fin\":{\"stream\":\"" STREAM "\"}}", CONTROL_BAD_NUMBER},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":\"1\"}}", CONTROL_BAD_NUMBER},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":1.0}}", CONTROL_BAD_NUMBER},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":-1}}", CONTROL_BAD_NUMBER},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":9223372036854775807}}", CONTROL_BAD_NUMBER},
        {"{\"fin\":{\"stream\":\"" STREAM "\",\"last\":9223372036854775808}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"to\":1}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"from\":1}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"from\":0,\"to\":1}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"from\":2,\"to\":1}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"from\":1,\"to\":9223372036854775807}}", CONTROL_BAD_NUMBER},
        {"{\"skip\":{\"stream\":\"" STREAM "\",\"from\":1,\"to\":1,\"reason\":5}}", CONTROL_BAD_REASON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fault_of(cases[i].header), cases[i].fault);
        assert_true(control_fault_text(cases[i].fault).len > 0);
    }
}

static void a_record_has_a_greatest_length(void **state)
{
    (void)state;
    static const char record[] = "{\"fin\":{\"stream\":\"" STREAM "\",\"last\":1}}";
    struct control control;
    memset(header_memory, ' ', sizeof header_memory);
    memcpy(header_memory, record, sizeof record - 1);
    assert_int_equal(decode((slice){header_memory, CONTROL_MAX_BYTES}, &control), CONTROL_GOOD);
    assert_int_equal(decode((slice){header_memory, CONTROL_MAX_BYTES + 1}, &control), CONTROL_TOO_BIG);
}

static void a_full_buf_is_marked(void **state)
{
    (void)state;
    struct control fin = {.kind = CONTROL_FIN, .last = 117};
    struct buf out;
    buf_init(&out, header_memory, encode(&fin).len - 1);
    control_encode(&fin, &out);
    assert_true(out.overflowed);
}

static void encode_backwards(void *unused)
{
    (void)unused;
    struct control skip = {.kind = CONTROL_SKIP, .from = 2, .last = 1};
    encode(&skip);
}

static void encode_from_nothing(void *unused)
{
    (void)unused;
    struct control skip = {.kind = CONTROL_SKIP, .last = 1};
    encode(&skip);
}

static void impossible_numbers_stop(void **state)
{
    (void)state;
    assert_int_equal(child_signal(encode_backwards, NULL), SIGABRT);
    assert_int_equal(child_signal(encode_from_nothing, NULL), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_record_is_read_back),        cmocka_unit_test(a_json_library_reads_the_same),
        cmocka_unit_test(records_look_like_this),         cmocka_unit_test(reasons_are_cleaned_and_cut),
        cmocka_unit_test(unknown_names_are_passed_over),  cmocka_unit_test(what_is_no_record_says_why),
        cmocka_unit_test(a_record_has_a_greatest_length), cmocka_unit_test(a_full_buf_is_marked),
        cmocka_unit_test(impossible_numbers_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
