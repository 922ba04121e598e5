/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/metric; what it writes is read by promtool, Prometheus' own checker. */
#include "base/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>

static const struct metric_row rows[] = {
    {"footfall_hits_total", "source=\"beacon\"", METRIC_COUNTER, METRIC_PLAIN, "Hits taken, by source."},
    {"footfall_hits_total", "source=\"pixel\"", METRIC_COUNTER, METRIC_PLAIN, "Hits taken, by source."},
    {"footfall_connections", NULL, METRIC_GAUGE, METRIC_PLAIN, "Open connections."},
    {"footfall_lag_seconds", NULL, METRIC_GAUGE, METRIC_MS_AS_SECONDS, "Age of the oldest hit not written."},
    {"footfall_offset_seconds", NULL, METRIC_GAUGE, METRIC_MS_AS_SECONDS, "Difference of the clocks."},
    {"footfall_wait_seconds_total", NULL, METRIC_COUNTER, METRIC_MS_AS_SECONDS, "Time spent waiting."},
};
static const int64_t values[] = {9223372036854775807, 0, -3, 1050, -20, INT64_MIN};
enum { COUNT = sizeof(rows) / sizeof(rows[0]) };

static const char expected[] = "# HELP footfall_hits_total Hits taken, by source.\n"
                               "# TYPE footfall_hits_total counter\n"
                               "footfall_hits_total{source=\"beacon\"} 9223372036854775807\n"
                               "footfall_hits_total{source=\"pixel\"} 0\n"
                               "# HELP footfall_connections Open connections.\n"
                               "# TYPE footfall_connections gauge\n"
                               "footfall_connections -3\n"
                               "# HELP footfall_lag_seconds Age of the oldest hit not written.\n"
                               "# TYPE footfall_lag_seconds gauge\n"
                               "footfall_lag_seconds 1.050\n"
                               "# HELP footfall_offset_seconds Difference of the clocks.\n"
                               "# TYPE footfall_offset_seconds gauge\n"
                               "footfall_offset_seconds -0.020\n"
                               "# HELP footfall_wait_seconds_total Time spent waiting.\n"
                               "# TYPE footfall_wait_seconds_total counter\n"
                               "footfall_wait_seconds_total -9223372036854775.808\n";

static void help_and_type_stand_once(void **state)
{
    (void)state;
    char memory[4096];
    struct buf out;
    buf_init(&out, memory, sizeof(memory));
    metric_write(&out, rows, values, COUNT);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    buf_clear(&out);
    metric_write(&out, rows, values, 0);
    assert_int_equal(out.len, 0);
}

static int ask_promtool(slice text)
{
    FILE *promtool = popen("promtool check metrics >/dev/null 2>&1", "w");
    assert_non_null(promtool);
    assert_int_equal(fwrite(text.data, 1, text.len, promtool), text.len);
    int status = pclose(promtool);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void promtool_agrees(void **state)
{
    (void)state;
    char memory[4096];
    struct buf out;
    buf_init(&out, memory, sizeof(memory));
    metric_write(&out, rows, values, COUNT);
    assert_int_equal(ask_promtool(buf_slice(&out)), 0);
    assert_int_not_equal(ask_promtool(SLICE("footfall_hits{ 1\n")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_type_stand_once),
        cmocka_unit_test(promtool_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
