/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/mmdb on the files of tests/data/mmdb and on what chance makes of them. */
#include "aggregator/mmdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/choice.h"
#include "tests/lib/mmdb_files.h"

#define DATA FOOTFALL_SOURCE_DIR "/tests/data/mmdb/"

static struct mmdb *open_sound(const char *path)
{
    struct why why;
    struct mmdb *mmdb = mmdb_open(path, &why);
    if (mmdb == NULL)
        fail_msg("%s", why.text);
    return mmdb;
}

static enum status find(const struct mmdb *mmdb, const char *address, uint32_t *offset)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    return mmdb_find(mmdb, ip, offset);
}

static struct place_parts read_one(const struct mmdb *mmdb, const char *address)
{
    uint32_t offset;
    struct place_parts record;
    assert_int_equal(find(mmdb, address, &offset), STATUS_OK);
    mmdb_read(mmdb, offset, &record);
    return record;
}

static void assert_text(slice text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void assert_near(double value, double expected)
{
    assert_true(value > expected - 0.0001 && value < expected + 0.0001);
}

static void assert_is_bengaluru(const struct mmdb *mmdb, const char *address)
{
    struct place_parts record = read_one(mmdb, address);
    assert_text(record.country, "IN");
    assert_text(record.state, "Karnataka");
    assert_text(record.city, "Bengaluru");
    assert_true(record.has_coordinates);
    assert_near(record.latitude, 12.9719);
    assert_near(record.longitude, 77.5937);
}

static void assert_is_empty(const struct place_parts *record)
{
    assert_int_equal(record->country.len + record->state.len + record->city.len, 0);
    assert_false(record->has_coordinates);
}

static void nested_records_are_read(void **state)
{
    (void)state;
    struct mmdb *mmdb = open_sound(DATA "world.mmdb");
    assert_string_equal(mmdb_type(mmdb), "GeoLite2-City");
    assert_int_equal(mmdb_built_at(mmdb).ms, INT64_C(1735689600000));
    assert_is_bengaluru(mmdb, "106.51.1.1");
    assert_is_bengaluru(mmdb, "::ffff:106.51.1.1");
    assert_is_bengaluru(mmdb, "2405:200::1");
    struct place_parts japan = read_one(mmdb, "240b:10::1");
    assert_text(japan.state, "東京都");
    assert_text(japan.city, "千代田区");
    struct place_parts china = read_one(mmdb, "36.1.2.3");
    assert_text(china.country, "CN");
    assert_int_equal(china.state.len + china.city.len, 0);
    assert_true(china.has_coordinates);
    mmdb_close(&mmdb);
    assert_null(mmdb);
}

static void flat_records_are_read(void **state)
{
    (void)state;
    struct mmdb *v4 = open_sound(DATA "flat_v4.mmdb"), *v6 = open_sound(DATA "flat_v6.mmdb");
    assert_string_equal(mmdb_type(v4), "city ipv4");
    assert_is_bengaluru(v4, "106.51.1.1");
    assert_is_bengaluru(v4, "::ffff:106.51.1.1");
    assert_is_bengaluru(v6, "2405:200::1");
    assert_int_equal(read_one(v4, "36.1.2.3").city.len, 0);
    mmdb_close(&v4);
    mmdb_close(&v6);
}

static void the_other_family_is_not_found(void **state)
{
    (void)state;
    uint32_t offset = 7;
    struct mmdb *v4 = open_sound(DATA "flat_v4.mmdb"), *v6 = open_sound(DATA "flat_v6.mmdb");
    assert_int_equal(find(v4, "2405:200::1", &offset), STATUS_NOT_FOUND);
    assert_int_equal(find(v6, "106.51.1.1", &offset), STATUS_NOT_FOUND);
    assert_int_equal(find(v4, "9.9.9.9", &offset), STATUS_NOT_FOUND);
    assert_int_equal(offset, 7);
    mmdb_close(&v4);
    mmdb_close(&v6);
}

static void equal_records_have_equal_offsets(void **state)
{
    (void)state;
    uint32_t one, other;
    struct mmdb *mmdb = open_sound(DATA "world.mmdb");
    assert_int_equal(find(mmdb, "106.51.1.1", &one), STATUS_OK);
    assert_int_equal(find(mmdb, "2405:200::1", &other), STATUS_OK);
    assert_int_equal(one, other);
    assert_int_equal(find(mmdb, "8.8.8.8", &other), STATUS_OK);
    assert_int_not_equal(one, other);
    mmdb_close(&mmdb);
}

static void half_filled_records_are_read(void **state)
{
    (void)state;
    struct mmdb *mmdb = open_sound(DATA "odd_nested.mmdb");
    struct place_parts record = read_one(mmdb, "20.0.0.1"); /* a city without names, no subdivision */
    assert_text(record.country, "US");
    assert_int_equal(record.state.len + record.city.len, 0);
    record = read_one(mmdb, "21.0.0.1"); /* a name in German only, a latitude alone */
    assert_text(record.country, "AT");
    assert_int_equal(record.city.len, 0);
    assert_false(record.has_coordinates);
    assert_text(read_one(mmdb, "2001:db8::1").city, "Brest");
    mmdb_close(&mmdb);
}

static void coordinates_out_of_range_are_none(void **state)
{
    (void)state;
    struct mmdb *mmdb = open_sound(DATA "odd_flat.mmdb");
    struct place_parts record = read_one(mmdb, "25.0.0.1");
    assert_text(record.city, "Brest");
    assert_false(record.has_coordinates);
    mmdb_close(&mmdb);
}

static void a_wrong_type_met_later_reads_as_nothing(void **state)
{
    (void)state;
    struct mmdb *mmdb = open_sound(DATA "wrong_city.mmdb");
    struct place_parts record = read_one(mmdb, "20.0.0.1");
    assert_is_empty(&record);
    mmdb_close(&mmdb);
}

static void unusable_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *path, *words;
    } cases[] = {
        {DATA "missing.mmdb", "cannot be opened"},
        {DATA, "no regular file"},
        {DATA "empty.mmdb", "no MaxMind database"},
        {DATA "truncated.mmdb", "no MaxMind database"},
        {DATA "make.pl", "no MaxMind database"},
        {DATA "wrong_country.mmdb", "fields have other types"},
        {DATA "asn.mmdb", "no database of places: it is a GeoLite2-ASN"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct why why;
        assert_null(mmdb_open(cases[i].path, &why));
        if (strncmp(why.text, "geo.databases: ", 15) != 0 || strstr(why.text, cases[i].path) == NULL ||
            strstr(why.text, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].path, why.text);
    }
}

/* Truncating a mapped file kills its reader; ours reads a sealed copy. */
static void nothing_done_to_the_path_hurts(void **state)
{
    (void)state;
    static unsigned char bytes[MMDB_FILES_MAX_BYTES], zeros[MMDB_FILES_MAX_BYTES];
    char path[] = "/tmp/footfall-mmdb.XXXXXX";
    size_t len = mmdb_files_read("world.mmdb", bytes);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    mmdb_files_write(path, bytes, len);
    struct mmdb *mmdb = open_sound(path);
    mmdb_files_write(path, zeros, sizeof zeros);
    assert_is_bengaluru(mmdb, "106.51.1.1");
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_is_bengaluru(mmdb, "2405:200::1");
    assert_int_equal(unlink(path), 0);
    assert_is_bengaluru(mmdb, "106.51.1.1");
    mmdb_close(&mmdb);
    close(fd);
}

static size_t damage(struct choice *choice, unsigned char *bytes, size_t len)
{
    for (uint64_t times = 1 + choice_below(choice, 8); times > 0; times--)
        bytes[choice_below(choice, len)] = (unsigned char)choice_below(choice, 256);
    return choice_one_in(choice, 10) ? choice_below(choice, len) : len;
}

static void damaged_files_are_harmless(void **state)
{
    (void)state;
    static const char *const names[] = {"world.mmdb", "flat_v4.mmdb", "odd_flat.mmdb", "odd_nested.mmdb"};
    enum { TRIALS = 2000 };
    int opened = 0;
    for (uint64_t seed = 0; seed < TRIALS; seed++) {
        static unsigned char bytes[MMDB_FILES_MAX_BYTES];
        struct choice choice = choice_seeded(seed);
        size_t len = mmdb_files_read(names[seed % 4], bytes);
        len = damage(&choice, bytes, len);
        opened += mmdb_files_use(bytes, len);
    }
    assert_in_range(opened, TRIALS / 4, TRIALS - TRIALS / 20); /* both ways are taken often */
}

static void many_records_are_told_apart(void **state)
{
    (void)state;
    char path[] = "/tmp/footfall-mmdb.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    mmdb_files_make_full(path, 8);
    struct mmdb *mmdb = open_sound(path);
    unlink(path);
    for (unsigned i = 0; i < 256; i++) {
        char address[16], city[16];
        snprintf(address, sizeof address, "%u.1.2.3", i);
        snprintf(city, sizeof city, "%u", i);
        assert_text(read_one(mmdb, address).city, city);
    }
    mmdb_close(&mmdb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_records_are_read),
        cmocka_unit_test(flat_records_are_read),
        cmocka_unit_test(the_other_family_is_not_found),
        cmocka_unit_test(equal_records_have_equal_offsets),
        cmocka_unit_test(half_filled_records_are_read),
        cmocka_unit_test(coordinates_out_of_range_are_none),
        cmocka_unit_test(a_wrong_type_met_later_reads_as_nothing),
        cmocka_unit_test(unusable_files_are_refused_with_a_sentence),
        cmocka_unit_test(nothing_done_to_the_path_hurts),
        cmocka_unit_test(damaged_files_are_harmless),
        cmocka_unit_test(many_records_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
