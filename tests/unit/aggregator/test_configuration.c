/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/configuration: what no setting can say alone. */
#include "aggregator/configuration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static enum status check(const char *first, const char *second, struct why *why)
{
    struct configuration configuration;
    struct settings *settings =
        settings_new(configuration_rows, configuration_row_count, &configuration, "rdkafka");
    assert_int_equal(settings_set(settings, first, why), STATUS_OK);
    assert_int_equal(settings_set(settings, second, why), STATUS_OK);
    enum status status = configuration_check(&configuration, why);
    settings_free(&settings);
    return status;
}

static void days_are_kept_for_as_long_as_sessions_grow(void **state)
{
    (void)state;
    static const struct {
        const char *gap, *days, *least; /* NULL: it is good */
    } table[] = {
        {"sessions.gap=5min", "retention.days=0", NULL},
        {"sessions.gap=5min", "retention.days=1", "2 or more"},
        {"sessions.gap=5min", "retention.days=2", NULL},
        {"sessions.gap=24h", "retention.days=2", "3 or more"},
        {"sessions.gap=24h", "retention.days=3", NULL},
        {"sessions.gap=5min", "retention.days=36500", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct why why = {.text = ""};
        enum status status = check(table[i].gap, table[i].days, &why);
        assert_int_equal(status, table[i].least == NULL ? STATUS_OK : STATUS_RANGE);
        if (table[i].least != NULL) {
            assert_non_null(strstr(why.text, "retention.days"));
            assert_non_null(strstr(why.text, table[i].least));
        }
    }
}

static void what_is_published_is_not_read_again(void **state)
{
    (void)state;
    struct why why = {.text = ""};
    assert_int_equal(check("kafka.topic=hits", "enriched.topic=", &why), STATUS_OK);
    assert_int_equal(check("kafka.topic=hits", "enriched.topic=processed_events", &why), STATUS_OK);
    assert_int_equal(check("kafka.topic=hits", "enriched.topic=hits", &why), STATUS_CONFLICT);
    assert_non_null(strstr(why.text, "enriched.topic = hits"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_are_kept_for_as_long_as_sessions_grow),
        cmocka_unit_test(what_is_published_is_not_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
