/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/answer: every answer that the service is known to give, and what it should never give.
 */
#include "aggregator/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ADDRESS "106.51.1.1"
#define PLACE(latitude, city)                                                                                \
    "{\"ip\":\"" ADDRESS                                                                                     \
    "\",\"country_code\":\"IN\",\"country_name\":\"India\",\"region_name\":\"Karnataka\","                   \
    "\"city_name\":" city ",\"latitude\":" latitude ",\"longitude\":77.59,\"zip_code\":\"560001\","          \
    "\"time_zone\":\"+05:30\",\"asn\":\"24309\",\"as\":\"Atria\",\"is_proxy\":false}"
#define ERROR(code) "{\"error\":{\"error_code\":" code ",\"error_message\":\"whatever\"}}"

static char memory[ANSWER_MAX_BYTES];

static enum answer_kind read_of(const char *address, int status, slice body, struct place_parts *parts)
{
    struct buf scratch;
    ip_address ip;
    buf_init(&scratch, memory, sizeof memory);
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    return answer_read(status, body, ip, &scratch, parts);
}

static enum answer_kind read_text(int status, const char *body, struct place_parts *parts)
{
    return read_of(ADDRESS, status, slice_of(body), parts);
}

static void assert_text(slice text, const char *expected)
{
    if (!slice_equals(text, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(text), expected);
}

static void a_place_is_read(void **state)
{
    (void)state;
    struct place_parts parts;
    assert_int_equal(read_text(200, PLACE("12.97", "\"Bengaluru\""), &parts), ANSWER_PLACE);
    assert_text(parts.country, "IN");
    assert_text(parts.state, "Karnataka");
    assert_text(parts.city, "Bengaluru");
    assert_true(parts.has_coordinates);
    assert_true(parts.latitude > 12.96 && parts.latitude < 12.98);
    assert_true(parts.longitude > 77.58 && parts.longitude < 77.6);
}

static void odd_places_are_read_as_far_as_they_are_sound(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *city;
        bool has_coordinates;
    } cases[] = {
        {PLACE("12.97", "\"S\\u00e3o Paulo\""), "São Paulo", true},
        {PLACE("12.97", "\"東京\""), "東京", true},
        {PLACE("12.97", "\"-\""), "-", true}, /* place_compose drops both */
        {PLACE("12.97", "null"), "", true},
        {PLACE("-90", "\"a\""), "a", true},
        {PLACE("90.01", "\"a\""), "a", false},
        {PLACE("1e400", "\"a\""), "a", false},
        {PLACE("\"12.97\"", "\"a\""), "a", false},
        {PLACE("null", "\"a\""), "a", false},
        {PLACE("0.00000000000000000000000000000000000000001", "\"a\""), "a", false},
        {"{\"ip\":\"" ADDRESS "\",\"country_code\":\"IN\"}", "", false},
        {"{\"ip\":\"" ADDRESS
         "\",\"country_code\":\"IN\",\"city_name\":\"a\",\"message\":\"Limit to 1,000 queries\"}",
         "a", false},
        {"{\"ip\":\"" ADDRESS
         "\",\"country_code\":\"IN\",\"city_name\":\"a\",\"continent\":{\"name\":\"Asia\","
         "\"hemisphere\":[\"north\",\"east\"],\"translation\":{\"lang\":null}}}",
         "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place_parts parts;
        assert_int_equal(read_text(200, cases[i].body, &parts), ANSWER_PLACE);
        assert_text(parts.country, "IN");
        assert_text(parts.city, cases[i].city);
        assert_int_equal(parts.has_coordinates, cases[i].has_coordinates);
    }
}

static void every_class_of_answer_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum answer_kind kind;
    } cases[] = {
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"-\",\"city_name\":\"-\"}", ANSWER_UNKNOWN},
        {401, ERROR("10000"), ANSWER_REFUSED},
        {400, ERROR("10001"), ANSWER_BAD_ADDRESS},
        {400, ERROR("10002"), ANSWER_FAILED},
        {400, ERROR("10003"), ANSWER_MISCONFIGURED},
        {400, ERROR("10004"), ANSWER_MISCONFIGURED},
        {400, ERROR("10005"), ANSWER_FAILED},
        {200, ERROR("10000"), ANSWER_REFUSED}, /* as bulk requests have it */
        {400, ERROR("\"10000\""), ANSWER_FAILED},
        {400, ERROR("99999999999999999999"), ANSWER_FAILED},
        {401, "", ANSWER_REFUSED},
        {401, "<html>no</html>", ANSWER_REFUSED},
        {403, "{}", ANSWER_REFUSED},
        {429, "{\"error\":\"rate limited\"}", ANSWER_BUSY},
        {429, "", ANSWER_BUSY},
        {404, "{}", ANSWER_FAILED},
        {500, "<html>", ANSWER_FAILED},
        {503, "", ANSWER_FAILED},
        {302, "", ANSWER_FAILED},
        {204, "", ANSWER_FAILED},
        {500, PLACE("12.97", "\"Bengaluru\""), ANSWER_FAILED},
        {200, "", ANSWER_MALFORMED},
        {200, "{}", ANSWER_MALFORMED},
        {200, "[]", ANSWER_MALFORMED},
        {200, "<html><body>hello</body></html>", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\"", ANSWER_MALFORMED},
        {200, "\x1f\x8b\x08", ANSWER_MALFORMED},
        {200, "{\"error\":\"rate limited\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"106.51.1.2\",\"country_code\":\"IN\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"nonsense\",\"country_code\":\"IN\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":1,\"country_code\":\"IN\"}", ANSWER_MALFORMED},
        {200, "{\"country_code\":\"IN\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"in\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"IND\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":7}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"IN\",\"city_name\":{}}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"country_code\":\"IN\",\"city_name\":\"\xff\"}", ANSWER_MALFORMED},
        {200, "{\"ip\":\"" ADDRESS "\",\"ip\":\"" ADDRESS "\",\"country_code\":\"IN\"}", ANSWER_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place_parts parts;
        enum answer_kind kind = read_text(cases[i].status, cases[i].body, &parts);
        if (kind != cases[i].kind)
            fail_msg("%d %s: %s instead of %s", cases[i].status, cases[i].body, answer_kind_text(kind),
                     answer_kind_text(cases[i].kind));
    }
}

static void an_address_may_be_written_in_other_ways(void **state)
{
    (void)state;
    struct place_parts parts;
    slice body = SLICE("{\"ip\":\"2405:0200:0:0::\",\"country_code\":\"IN\"}");
    assert_int_equal(read_of("2405:200::", 200, body, &parts), ANSWER_PLACE);
    assert_int_equal(read_of("2405:200::1", 200, body, &parts), ANSWER_MALFORMED);
}

static void names_and_bodies_are_bounded(void **state)
{
    (void)state;
    struct place_parts parts;
    struct buf body;
    buf_init_growing(&body, 64, 4 * ANSWER_MAX_BYTES);
    for (size_t len = 511; len < 514; len++) {
        buf_clear(&body);
        buf_add(&body, SLICE("{\"ip\":\"" ADDRESS "\",\"country_code\":\"IN\",\"city_name\":\""));
        for (size_t i = 0; i < len; i++)
            buf_add_char(&body, 'x');
        buf_add(&body, SLICE("\"}"));
        assert_int_equal(read_of(ADDRESS, 200, buf_slice(&body), &parts),
                         len <= 512 ? ANSWER_PLACE : ANSWER_MALFORMED);
    }
    buf_clear(&body);
    buf_add(&body, SLICE(PLACE("12.97", "\"Bengaluru\"")));
    while (body.len < ANSWER_MAX_BYTES)
        buf_add_char(&body, ' ');
    assert_int_equal(read_of(ADDRESS, 200, buf_slice(&body), &parts), ANSWER_PLACE);
    buf_add_char(&body, ' ');
    assert_int_equal(read_of(ADDRESS, 200, buf_slice(&body), &parts), ANSWER_MALFORMED);
    buf_fini(&body);
}

/* ---- Many ---- */

#define OTHER               "106.51.1.2"
#define THIRD               "2405:200::"
#define MEMBER(name, value) "\"" name "\":" value
#define SAYS(ip, rest)      "{\"ip\":\"" ip "\"," rest "}"

/* What is said of ADDRESS, OTHER and THIRD. */
static void read_three(int status, slice body, enum answer_kind kinds[3], struct place_parts parts[3])
{
    static struct answer_many many;
    static char memories[3][ANSWER_MAX_BYTES];
    const slice texts[] = {SLICE(ADDRESS), SLICE(OTHER), SLICE(THIRD)};
    ip_address asked[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ip_read(texts[i], &asked[i]), STATUS_OK);
    answer_read_many(status, body, asked, 3, &many);
    for (size_t i = 0; i < 3; i++) {
        struct buf scratch;
        buf_init(&scratch, memories[i], sizeof memories[i]);
        kinds[i] = answer_of(&many, i, asked[i], &scratch, &parts[i]);
    }
}

static void each_of_many_has_its_own_answer(void **state)
{
    (void)state;
    struct place_parts parts[3];
    enum answer_kind kinds[3];
    read_three(
        200,
        SLICE("{" MEMBER("2405:0200:0:0::", SAYS(THIRD, "\"country_code\":\"-\"")) "," MEMBER(
            OTHER,
            SAYS(OTHER,
                 "\"country_code\":\"BR\",\"city_name\":\"S\\u00e3o\"")) "," MEMBER(ADDRESS,
                                                                                    PLACE("12.97",
                                                                                          "\"Bengal\\u00fbru"
                                                                                          "\"")) "}"),
        kinds, parts);
    assert_int_equal(kinds[0], ANSWER_PLACE);
    assert_text(parts[0].country, "IN");
    assert_text(parts[0].city, "Bengalûru");
    assert_true(parts[0].has_coordinates);
    assert_int_equal(kinds[1], ANSWER_PLACE);
    assert_text(parts[1].country, "BR");
    assert_text(parts[1].city, "São");
    assert_false(parts[1].has_coordinates);
    assert_int_equal(kinds[2], ANSWER_UNKNOWN);
}

static void failures_and_gaps_among_many_are_told_apart(void **state)
{
    (void)state;
#define GOOD MEMBER(ADDRESS, SAYS(ADDRESS, "\"country_code\":\"IN\""))
    static const struct {
        int status;
        const char *body;
        enum answer_kind kinds[3];
    } cases[] = {
        {200, "{" GOOD "}", {ANSWER_PLACE, ANSWER_FAILED, ANSWER_FAILED}},
        {200, "{}", {ANSWER_FAILED, ANSWER_FAILED, ANSWER_FAILED}},
        {200,
         "{" GOOD "," MEMBER(OTHER, ERROR("10000")) "," MEMBER(THIRD, ERROR("10001")) "}",
         {ANSWER_PLACE, ANSWER_REFUSED, ANSWER_BAD_ADDRESS}},
        {200,
         "{" MEMBER(OTHER, ERROR("10002")) "," MEMBER(THIRD, ERROR("10004")) "}",
         {ANSWER_FAILED, ANSWER_FAILED, ANSWER_MISCONFIGURED}},
        {200,
         "{" GOOD "," MEMBER(OTHER, "\"no\"") "," MEMBER(THIRD, "[]") "}",
         {ANSWER_PLACE, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        /* One that speaks of another than its name says. */
        {200,
         "{" GOOD "," MEMBER(OTHER, SAYS(ADDRESS, "\"country_code\":\"IN\"")) "}",
         {ANSWER_PLACE, ANSWER_MALFORMED, ANSWER_FAILED}},
        /* Not asked; twice; no address. */
        {200,
         "{" GOOD "," MEMBER("106.51.1.3", SAYS("106.51.1.3", "\"country_code\":\"IN\"")) "}",
         {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        {200,
         "{" GOOD "," MEMBER("::ffff:" ADDRESS, SAYS(ADDRESS, "\"country_code\":\"IN\"")) "}",
         {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        {200, "{" GOOD ",\"message\":\"x\"}", {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        {200, "[" PLACE("1", "\"a\"") "]", {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        {200, "{" GOOD, {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        {200, "", {ANSWER_MALFORMED, ANSWER_MALFORMED, ANSWER_MALFORMED}},
        /* All of it. */
        {200, ERROR("10000"), {ANSWER_REFUSED, ANSWER_REFUSED, ANSWER_REFUSED}},
        {400, ERROR("10004"), {ANSWER_MISCONFIGURED, ANSWER_MISCONFIGURED, ANSWER_MISCONFIGURED}},
        {401, "", {ANSWER_REFUSED, ANSWER_REFUSED, ANSWER_REFUSED}},
        {429, "{\"error\":\"rate limited\"}", {ANSWER_BUSY, ANSWER_BUSY, ANSWER_BUSY}},
        {500, "{" GOOD "}", {ANSWER_FAILED, ANSWER_FAILED, ANSWER_FAILED}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place_parts parts[3];
        enum answer_kind kinds[3];
        read_three(cases[i].status, slice_of(cases[i].body), kinds, parts);
        for (size_t j = 0; j < 3; j++)
            if (kinds[j] != cases[i].kinds[j])
                fail_msg("%d %s: number %zu is %s instead of %s", cases[i].status, cases[i].body, j,
                         answer_kind_text(kinds[j]), answer_kind_text(cases[i].kinds[j]));
    }
}

static void the_largest_answer_about_many_is_taken(void **state)
{
    (void)state;
    static ip_address asked[ANSWER_MAX_MANY];
    static struct answer_many many;
    struct place_parts parts;
    struct buf body, scratch;
    buf_init_growing(&body, 1024, 2 * ANSWER_MAX_MANY_BYTES);
    buf_init(&scratch, memory, sizeof memory);
    for (size_t i = 0; i < ANSWER_MAX_MANY; i++) {
        char text[128];
        snprintf(text, sizeof text, "%c\"8.8.8.%zu\":{\"ip\":\"8.8.8.%zu\",\"country_code\":\"US\"}",
                 i == 0 ? '{' : ',', i, i);
        buf_add(&body, slice_of(text));
        snprintf(text, sizeof text, "8.8.8.%zu", i);
        assert_int_equal(ip_read(slice_of(text), &asked[i]), STATUS_OK);
    }
    buf_add_char(&body, '}');
    while (body.len < ANSWER_MAX_MANY_BYTES)
        buf_add_char(&body, ' ');
    answer_read_many(200, buf_slice(&body), asked, ANSWER_MAX_MANY, &many);
    for (size_t i = 0; i < ANSWER_MAX_MANY; i++)
        assert_int_equal(answer_of(&many, i, asked[i], &scratch, &parts), ANSWER_PLACE);
    buf_add_char(&body, ' ');
    answer_read_many(200, buf_slice(&body), asked, ANSWER_MAX_MANY, &many);
    assert_int_equal(answer_of(&many, 0, asked[0], &scratch, &parts), ANSWER_MALFORMED);
    buf_fini(&body);
}

static void of_two_answers_a_refusal_weighs_most(void **state)
{
    (void)state;
    assert_int_equal(answer_weightier(ANSWER_PLACE, ANSWER_REFUSED), ANSWER_REFUSED);
    assert_int_equal(answer_weightier(ANSWER_REFUSED, ANSWER_PLACE), ANSWER_REFUSED);
    assert_int_equal(answer_weightier(ANSWER_FAILED, ANSWER_UNKNOWN), ANSWER_UNKNOWN);
    assert_int_equal(answer_weightier(ANSWER_PLACE, ANSWER_FAILED), ANSWER_PLACE);
    assert_int_equal(answer_weightier(ANSWER_FAILED, ANSWER_MALFORMED), ANSWER_FAILED);
    assert_int_equal(answer_weightier(ANSWER_MALFORMED, ANSWER_BUSY), ANSWER_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_read),
        cmocka_unit_test(odd_places_are_read_as_far_as_they_are_sound),
        cmocka_unit_test(every_class_of_answer_is_told_apart),
        cmocka_unit_test(an_address_may_be_written_in_other_ways),
        cmocka_unit_test(names_and_bodies_are_bounded),
        cmocka_unit_test(each_of_many_has_its_own_answer),
        cmocka_unit_test(failures_and_gaps_among_many_are_told_apart),
        cmocka_unit_test(the_largest_answer_about_many_is_taken),
        cmocka_unit_test(of_two_answers_a_refusal_weighs_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
