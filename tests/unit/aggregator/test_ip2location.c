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
    assert_int_equal(ip2location_read_key("", "/no/such/file", &key, &why), STATUS_UNAVAILABLE);
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

static void assert_request(struct ip2location_form form, const char *key_text, const char *address,
                           const struct ip2location_request *expected)
{
    struct ip2location_request request;
    struct ip2location_key key;
    ip_address ip;
    snprintf(key.text, sizeof key.text, "%s", key_text);
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    ip2location_write(&form, &key, &ip, 1, &request);
    assert_string_equal(request.url, expected->url);
    assert_string_equal(request.header, expected->header);
    assert_string_equal(request.body, expected->body);
}

static void a_request_has_the_address_and_the_key(void **state)
{
    (void)state;
    struct ip2location_form form = {.base = "https://api.ip2location.io/"};
    assert_request(
        form, KEY, "8.8.8.8",
        &(struct ip2location_request){"https://api.ip2location.io/?format=json&ip=8.8.8.8&key=" KEY, "", ""});
    assert_request(
        form, "", "2405:200::",
        &(struct ip2location_request){"https://api.ip2location.io/?format=json&ip=2405:200::", "", ""});
    form.key_in_header = true;
    assert_request(form, KEY, "8.8.8.8",
                   &(struct ip2location_request){"https://api.ip2location.io/?format=json&ip=8.8.8.8",
                                                 "Authorization: Bearer " KEY, ""});
    assert_request(
        form, "", "8.8.8.8",
        &(struct ip2location_request){"https://api.ip2location.io/?format=json&ip=8.8.8.8", "", ""});
    form.is_bulk = true;
    assert_request(form, KEY, "8.8.8.8",
                   &(struct ip2location_request){"https://api.ip2location.io/?format=json",
                                                 "Authorization: Bearer " KEY, "[\"8.8.8.8\"]"});
}

static void the_longest_request_for_many_fits(void **state)
{
    (void)state;
    char base[1001];
    struct ip2location_request request;
    struct ip2location_key key;
    ip_address ips[IP2LOCATION_MAX_AT_ONCE];
    const size_t address_len = sizeof "2405:2000:2000:2000:2000:2000:2000:2000" - 1;
    memset(base, 'b', 1000);
    base[1000] = '\0';
    memset(key.text, 'K', IP2LOCATION_MAX_KEY);
    key.text[IP2LOCATION_MAX_KEY] = '\0';
    for (size_t i = 0; i < IP2LOCATION_MAX_AT_ONCE; i++)
        assert_int_equal(ip_read(SLICE("2405:2000:2000:2000:2000:2000:2000:2000"), &ips[i]), STATUS_OK);
    struct ip2location_form form = {.base = base, .is_bulk = true};
    ip2location_write(&form, &key, ips, IP2LOCATION_MAX_AT_ONCE, &request);
    assert_int_equal(strlen(request.body), IP2LOCATION_MAX_AT_ONCE * (address_len + 3) + 1);
    assert_int_equal(strncmp(request.body, "[\"2405:2000:2000:2000:2000:2000:2000:2000\",\"2405:", 49), 0);
    assert_string_equal(request.url + strlen(request.url) - IP2LOCATION_MAX_KEY, key.text);
    form.key_in_header = true;
    ip2location_write(&form, &key, ips, 1, &request);
    assert_string_equal(request.header + strlen(request.header) - IP2LOCATION_MAX_KEY, key.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_comes_from_the_setting_or_from_nowhere),
        cmocka_unit_test(keys_that_need_escaping_are_refused_and_not_shown),
        cmocka_unit_test(a_file_holds_the_key_in_its_first_line),
        cmocka_unit_test(a_request_has_the_address_and_the_key),
        cmocka_unit_test(the_longest_request_for_many_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
