/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/ip2location. */
#include "aggregator/ip2location.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define KEY "0123456789ABCDEF0123456789ABCDEF"

static void a_key_comes_from_the_setting_or_from_nowhere(void **state)
{
    (void)state;
    struct ip2location_key key;
    struct why why;
    assert_int_equal(ip2location_read_key("", "", &key, &why), STATUS_OK);
    assert_string_equal(key.text, "");
    assert_int_equal(ip2location_read_key(KEY, "", &key, &why), STATUS_OK);
    assert_string_equal(key.text, KEY);
    assert_int_equal(ip2location_read_key(KEY, "/some/file", &key, &why), STATUS_CONFLICT);
    assert_int_equal(ip2location_read_key("", "/no/such/file", &key, &why), STATUS_NOT_FOUND);
    assert_non_null(strstr(why.text, "/no/such/file"));
}

static void keys_that_need_escaping_are_refused_and_not_shown(void **state)
{
    (void)state;
    static const char *const keys[] = {"SECRET&format=xml", "SECRET KEY", "SECRET\r\nX: y",
                                       "SECRET%41",         "SÉCRET",     "SECRET#"};
    struct ip2location_key key;
    struct why why;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(ip2location_read_key(keys[i], "", &key, &why), STATUS_MALFORMED);
        assert_null(strstr(why.text, "CRET"));
    }
    char longest[IP2LOCATION_MAX_KEY + 2];
    memset(longest, 'K', sizeof longest);
    longest[IP2LOCATION_MAX_KEY + 1] = '\0';
    assert_int_equal(ip2location_read_key(longest, "", &key, &why), STATUS_TOO_BIG);
    assert_int_equal(ip2location_read_key(longest + 1, "", &key, &why), STATUS_OK);
    assert_string_equal(key.text, longest + 1);
}

static void a_file_holds_the_key_in_its_first_line(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        enum status status;
    } cases[] = {
        {KEY, STATUS_OK},
        {KEY "\n", STATUS_OK},
        {" " KEY "\t\r\n", STATUS_OK},
        {KEY "\nmore & more", STATUS_OK},
        {"", STATUS_MISSING},
        {"\n" KEY, STATUS_MISSING},
        {"# a key\n" KEY, STATUS_MALFORMED},
    };
    char path[] = "/tmp/footfall-key.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip2location_key key;
        struct why why;
        FILE *file = fopen(path, "w");
        fputs(cases[i].content, file);
        fclose(file);
        assert_int_equal(ip2location_read_key("", path, &key, &why), cases[i].status);
        if (cases[i].status == STATUS_OK)
            assert_string_equal(key.text, KEY);
    }
    unlink(path);
}

static void assert_url(const char *base, const struct ip2location_key *key, const char *address,
                       const char *expected)
{
    char memory[256];
    struct buf url;
    ip_address ip;
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    buf_init(&url, memory, sizeof memory);
    ip2location_add_url(&url, base, key, ip);
    assert_true(slice_equals(buf_slice(&url), slice_of(expected)));
}

static void a_request_has_the_address_and_the_key(void **state)
{
    (void)state;
    const struct ip2location_key key = {KEY}, none = {""};
    assert_url("https://api.ip2location.io/", &key, "8.8.8.8",
               "https://api.ip2location.io/?format=json&ip=8.8.8.8&key=" KEY);
    assert_url("https://api.ip2location.io/", &none,
               "2405:200::", "https://api.ip2location.io/?format=json&ip=2405:200::");
    assert_url("http://127.0.0.1:1/x", NULL, "8.8.8.8", "http://127.0.0.1:1/x?format=json&ip=8.8.8.8");
    char memory[256];
    struct buf header;
    buf_init(&header, memory, sizeof memory);
    ip2location_add_header(&header, &key);
    assert_true(slice_equals(buf_slice(&header), SLICE("Authorization: Bearer " KEY)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_from_the_setting_or_from_nowhere),
        cmocka_unit_test(keys_that_need_escaping_are_refused_and_not_shown),
        cmocka_unit_test(a_file_holds_the_key_in_its_first_line),
        cmocka_unit_test(a_request_has_the_address_and_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
