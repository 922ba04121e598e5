/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/settings: the defaults are good but for the sites, and what is wrong is named. */
#include "collector/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum status check(const char *assignment, struct why *why)
{
    struct collector_settings values;
    struct settings *settings =
        settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    enum status status = settings_set(settings, "sites.hosts=example.com", why);
    if (status == STATUS_OK && assignment)
        status = settings_set(settings, assignment, why);
    if (status == STATUS_OK)
        status = collector_settings_check(&values, why);
    settings_free(&settings);
    return status;
}

static void good_settings_pass(void **state)
{
    static const char *const good[] = {
        NULL,
        "http.prefix=/stats",
        "http.listen=unix:/run/footfall/public.sock",
        "mirror.listen=unix:/run/footfall/mirror.sock",
        "http.trusted_proxies=10.0.0.0/8, ::1",
        "journal.ack=memory",
        "journal.ack=kafka",
        "admin.listen=",
        "sites.hosts=a.com, *.b.org",
    };
    struct why why = {.text = ""};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (check(good[i], &why) != STATUS_OK)
            fail_msg("%s: %s", good[i], why.text);
}

static void bad_settings_are_named(void **state)
{
    static const char *const bad[] = {
        "http.prefix=stats",
        "http.prefix=/stats/",
        "http.prefix=/a?b",
        "http.listen=",
        "http.answer_deadline=5s",
        "http.max_body=65KiB",
        "mirror.listen=0.0.0.0:80",
        "http.trusted_proxies=10.0.0.1/8",
        "sites.hosts=",
        "sites.hosts=http://a.com/",
        "kafka.topic=",
        "kafka.topic=a/b",
        "kafka.brokers=",
        "kafka.partitions=0",
        "journal.ack=never",
        "journal.directory=here",
        "journal.max_bytes=1KiB",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct why why = {.text = ""};
        char name[64];
        size_t len = slice_find(slice_of(bad[i]), '=');
        memcpy(name, bad[i], len);
        name[len] = '\0';
        if (check(bad[i], &why) == STATUS_OK)
            fail_msg("%s is taken", bad[i]);
        if (!strstr(why.text, name))
            fail_msg("%s: \"%s\" does not name it", bad[i], why.text);
    }
}

static void printed_settings_load_again(void **state)
{
    struct collector_settings values;
    struct buf out;
    struct why why;
    (void)state;
    struct settings *settings =
        settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    buf_init_growing(&out, 1024, 1 << 20);
    assert_int_equal(settings_set(settings, "kafka.partitions=7", &why), STATUS_OK);
    settings_print(settings, &out);
    char path[] = "/tmp/collector-settings-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(fwrite(out.data, 1, out.len, file), out.len);
    fclose(file);
    settings_free(&settings);
    settings = settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    enum status status = settings_read_file(settings, path, &why);
    remove(path);
    if (status != STATUS_OK)
        fail_msg("%s", why.text);
    assert_int_equal(values.kafka_partitions, 7);
    assert_int_equal(values.http_limits.max_body_bytes, 16 * 1024);
    settings_free(&settings);
    buf_fini(&out);
}

static void the_limits_are_those_of_the_server(void **state)
{
    struct collector_settings values;
    struct http_limits expected = http_limits_default();
    (void)state;
    struct settings *settings =
        settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    assert_memory_equal(&values.http_limits, &expected, sizeof(expected));
    settings_free(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_settings_pass),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(printed_settings_load_again),
        cmocka_unit_test(the_limits_are_those_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
