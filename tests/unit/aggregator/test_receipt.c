/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/receipt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/receipt.h"

static const struct receipt_topic topics[] = {
    {"hits", true, 604800000}, {"hits-of-old", true, -1}, {"elsewhere", false, 0}};

static char *print(const struct erase_report *report)
{
    struct receipt receipt = {.report = report, .brokers = "kafka:9092", .topics = topics, .topic_count = 3};
    assert_int_equal(ip_read(SLICE("2001:DB8::7"), &receipt.ip), STATUS_OK);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    receipt_print(out, &receipt);
    fclose(out);
    return text;
}

static void assert_says(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, wanted);
}

static void it_says_what_is_gone_and_what_stays(void **state)
{
    (void)state;
    const struct erase_report report = {.moment = "2025-02-02T04:18:21.123Z",
                                        .total = 12,
                                        .removed = {[ERASE_HITS] = 7, [ERASE_REJECTS] = 5}};
    char *text = print(&report);
    assert_says(text, "2001:db8::7 was erased from Postgres, as it stood there at 2025-02-02T04:18:21.123Z");
    assert_says(text, "\n  processed_events               7\n");
    assert_says(text, "\n  rejected_hits                  5\n");
    assert_says(text, "\n  footfall.strays                0\n");
    assert_says(
        text, "topic hits on kafka:9092: until its retention.ms of 604800000 deletes the records (7.0 days)");
    assert_says(text, "topic hits-of-old on kafka:9092: for ever, its retention.ms is -1");
    assert_says(text, "kafka-configs.sh --bootstrap-server kafka:9092 --describe --all --topic elsewhere");
    assert_says(text, "backups");
    free(text);
}

static void it_says_that_nothing_was_found(void **state)
{
    (void)state;
    const struct erase_report report = {.moment = "2025-02-02T04:18:21.123Z", .total = 0};
    char *text = print(&report);
    assert_says(
        text,
        "nothing of 2001:db8::7 was found in Postgres at 2025-02-02T04:18:21.123Z; nothing was changed");
    assert_null(strstr(text, "rows removed"));
    assert_says(text, "topic hits on kafka:9092");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_is_gone_and_what_stays),
        cmocka_unit_test(it_says_that_nothing_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
