/* SPDX-License-Identifier: Apache-2.0
 * Tests of proto/hit: stream texts, hosts, and that the schema names the same fields as the code. */
#include "proto/hit.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { ROUNDS = 100000 };

static void streams_are_read_back(void **state)
{
    (void)state;
    static const int partitions[] = {0, 7, 4095, INT32_MAX};
    for (size_t i = 0; i < sizeof partitions / sizeof partitions[0]; i++) {
        struct hit_stream stream = {uuid_v4(), partitions[i]}, back;
        char text[HIT_STREAM_TEXT_MAX];
        size_t len = hit_stream_write(&stream, text);
        assert_int_equal(hit_stream_read((slice){text, len}, &back), STATUS_OK);
        assert_true(uuid_equals(stream.boot, back.boot));
        assert_int_equal(stream.partition, back.partition);
    }
}

static void what_is_no_stream_is_refused(void **state)
{
    (void)state;
    static const slice bad[] = {
        SLICE(""),
        SLICE("00112233445566778899aabbccddeeff"),
        SLICE("00112233445566778899aabbccddeeff-"),
        SLICE("00112233445566778899aabbccddeeff--1"),
        SLICE("00112233445566778899aabbccddeeff-07"),
        SLICE("00112233445566778899aabbccddeeff-1x"),
        SLICE("00112233445566778899aabbccddeeff-2147483648"),
        SLICE("00112233445566778899aabbccddeeff-21474836470"),
        SLICE("00112233445566778899aabbccddeefg-7"),
        SLICE("00112233-4455-6677-8899-aabbccddeeff-7"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hit_stream stream = {.partition = 9};
        assert_int_equal(hit_stream_read(bad[i], &stream), STATUS_MALFORMED);
        assert_int_equal(stream.partition, 9);
    }
}

static enum status canonical(slice host, char *memory, size_t size, slice *out)
{
    struct buf buf;
    buf_init(&buf, memory, size);
    return hit_host_canonical(host, &buf, out);
}

static void one_host_has_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *host, *canonical; /* NULL: refused */
    } cases[] = {
        {"example.com", "example.com"},
        {"Shop.EXAMPLE.com", "shop.example.com"},
        {"example.com:443", "example.com"},
        {"example.com.", "example.com"},
        {"example.com.:8080", "example.com"},
        {"localhost", "localhost"},
        {"a_b.example", "a_b.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"192.0.2.1:80", "192.0.2.1"},
        {"[2001:DB8::0:1]", "[2001:db8::1]"},
        {"[2001:db8::1]:443", "[2001:db8::1]"},
        {"[::ffff:192.0.2.1]", "192.0.2.1"},
        {"", NULL},
        {".", NULL},
        {"example..com", NULL},
        {".example.com", NULL},
        {"example.com..", NULL},
        {"-a.example", NULL},
        {"a-.example", NULL},
        {"ex ample.com", NULL},
        {"example.com/", NULL},
        {"user@example.com", NULL},
        {"b\xC3\xBC"
         "cher.example",
         NULL},
        {"example.com:", NULL},
        {"example.com:x", NULL},
        {"example.com:-1", NULL},
        {"example.com:65536", NULL},
        {"example.com:000080", NULL},
        {"example.com:80:80", NULL},
        {"2001:db8::1", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]x", NULL},
        {"[2001:db8::1]:", NULL},
        {"[fe80::1%eth0]", NULL},
        {"[]", NULL},
        {"example.com\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[HIT_MAX_HOST];
        slice out = SLICE("untouched");
        enum status status = canonical(slice_of(cases[i].host), memory, sizeof memory, &out);
        assert_int_equal(status, cases[i].canonical != NULL ? STATUS_OK : STATUS_MALFORMED);
        slice expected = cases[i].canonical != NULL ? slice_of(cases[i].canonical) : SLICE("untouched");
        assert_true(slice_equals(out, expected));
    }
}

static void names_have_their_greatest_lengths(void **state)
{
    (void)state;
    char host[300], memory[300];
    slice out;
    memset(host, 'a', sizeof host);
    assert_int_equal(canonical((slice){host, 63}, memory, sizeof memory, &out), STATUS_OK);
    assert_int_equal(canonical((slice){host, 64}, memory, sizeof memory, &out), STATUS_MALFORMED);
    for (size_t at = 50; at < sizeof host; at += 50)
        host[at] = '.';
    assert_int_equal(canonical((slice){host, 253}, memory, sizeof memory, &out), STATUS_OK);
    assert_int_equal(canonical((slice){host, 254}, memory, sizeof memory, &out), STATUS_MALFORMED);
    assert_int_equal(canonical((slice){host, 253}, memory, 252, &out), STATUS_MALFORMED); /* no room */
}

static bool is_plain_host(slice host)
{
    for (size_t i = 0; i < host.len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.:[]", host.data[i]) == NULL)
            return false;
    return host.len > 0 && host.data[host.len - 1] != '.' && slice_find(host, ':') >= slice_find(host, '[');
}

/* What was canonical stays as it is, holds only host characters and no port; upper case makes no other host.
 */
static void canonical_hosts_stay(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(21);
    int good_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        static const char alphabet[] = "abZ09-_...:: []18";
        char host[16], upper[16], memory[64], memory_2[64];
        slice given = {host, choice_below(&choice, sizeof host)}, out, out_2;
        for (size_t i = 0; i < given.len; i++) {
            host[i] = alphabet[choice_below(&choice, sizeof alphabet - 1)];
            upper[i] = (char)(host[i] >= 'a' && host[i] <= 'z' ? host[i] - 0x20 : host[i]);
        }
        if (canonical(given, memory, sizeof memory, &out) != STATUS_OK)
            continue;
        good_count++;
        assert_true(is_plain_host(out));
        assert_int_equal(canonical(out, memory_2, sizeof memory_2, &out_2), STATUS_OK);
        assert_true(slice_equals(out, out_2));
        assert_int_equal(canonical((slice){upper, given.len}, memory_2, sizeof memory_2, &out_2), STATUS_OK);
        assert_true(slice_equals(out, out_2));
    }
    assert_true(good_count > ROUNDS / 100);
}

static void texts_of_faults_and_sources_differ(void **state)
{
    (void)state;
    for (int i = HIT_GOOD; i <= HIT_NEWER_VERSION; i++)
        for (int j = HIT_GOOD; j < i; j++)
            assert_false(slice_equals(hit_fault_text((enum hit_fault)i), hit_fault_text((enum hit_fault)j)));
    for (int i = HIT_BEACON; i <= HIT_OTHER; i++)
        for (int j = HIT_BEACON; j < i; j++)
            assert_false(
                slice_equals(hit_source_text((enum hit_source)i), hit_source_text((enum hit_source)j)));
}

static void check_schema_field(const json_t *properties, enum hit_field field)
{
    char name[64] = {0};
    memcpy(name, hit_field_name(field).data, hit_field_name(field).len);
    const json_t *property = json_object_get(properties, name);
    assert_non_null(property);
    const json_t *max_len = json_object_get(property, "maxLength");
    if (max_len != NULL && hit_field_max_len(field) > 0)
        assert_int_equal(json_integer_value(max_len), hit_field_max_len(field));
    else
        assert_int_equal(hit_field_max_len(field), 0);
}

static void check_schema_sources(const json_t *properties)
{
    const json_t *sources = json_object_get(json_object_get(properties, "source"), "enum");
    assert_int_equal(json_array_size(sources), HIT_OTHER);
    for (int source = HIT_BEACON; source < HIT_OTHER; source++) {
        const char *text = json_string_value(json_array_get(sources, (size_t)source));
        assert_true(slice_equals(slice_of(text), hit_source_text((enum hit_source)source)));
    }
}

static void the_schema_names_the_same_fields(void **state)
{
    (void)state;
    json_t *schema =
        json_load_file(FOOTFALL_SOURCE_DIR "/proto/hit.schema.json", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schema);
    const json_t *properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), HIT_FIELD_COUNT);
    for (int field = 0; field < HIT_FIELD_COUNT; field++)
        check_schema_field(properties, (enum hit_field)field);
    check_schema_sources(properties);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_back),
        cmocka_unit_test(what_is_no_stream_is_refused),
        cmocka_unit_test(one_host_has_one_text),
        cmocka_unit_test(names_have_their_greatest_lengths),
        cmocka_unit_test(canonical_hosts_stay),
        cmocka_unit_test(texts_of_faults_and_sources_differ),
        cmocka_unit_test(the_schema_names_the_same_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
