/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/log; the clocks are ours (the linker wraps them). */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static mono_ms now;
static char lines[65536];
static size_t lines_len;

mono_ms __wrap_mono_now(void);
wall_ms __wrap_wall_now(void);

mono_ms __wrap_mono_now(void)
{
    return now;
}

wall_ms __wrap_wall_now(void)
{
    return (wall_ms){1738469901123};
}

static void keep(slice line)
{
    assert_true(lines_len + line.len < sizeof(lines));
    memcpy(lines + lines_len, line.data, line.len);
    lines_len += line.len;
    lines[lines_len] = '\0';
}

static const char *take_lines(void)
{
    lines_len = 0;
    return lines;
}

static int start(void **state)
{
    (void)state;
    now.ms = 1000000;
    lines[0] = '\0';
    lines_len = 0;
    log_set_sink(keep);
    log_set_level(LOG_INFO);
    return 0;
}

#define HEAD "time=2025-02-02T04:18:21.123Z level="

static void a_line_says_when_where_and_what(void **state)
{
    (void)state;
    struct log log = log_new("publisher");
    log_error(&log, "broker_down", "no broker answers at %s", "127.0.0.1:9092");
    assert_string_equal(
        take_lines(),
        HEAD "error part=publisher event=broker_down text=\"no broker answers at 127.0.0.1:9092\"\n");
    struct log topic = log_with(&log, "topic=%s", "hits");
    struct log partition = log_with(&topic, "partition=%d", 3);
    log_info(&partition, "claimed", "from offset %d", 7);
    assert_string_equal(take_lines(), HEAD "info part=publisher topic=hits partition=3 event=claimed "
                                           "text=\"from offset 7\"\n");
}

static void debug_is_off_until_wanted(void **state)
{
    (void)state;
    struct log log = log_new("store");
    log_debug(&log, "step", "begin");
    assert_string_equal(take_lines(), "");
    log_set_level(LOG_DEBUG);
    log_debug(&log, "step", "begin");
    assert_string_equal(take_lines(), HEAD "debug part=store event=step text=\"begin\"\n");
}

static void repeats_are_summed(void **state)
{
    (void)state;
    struct log log = log_new("store");
    struct log other = log_with(&log, "partition=1");
    for (int i = 0; i < 1000; i++)
        log_warning(&log, "slow", "took %d ms", i);
    log_warning(&other, "slow", "took 5 ms");
    log_warning(&log, "refused", "no");
    log_error(&log, "slow", "took very long");
    assert_string_equal(take_lines(),
                        HEAD "warning part=store event=slow text=\"took 0 ms\"\n" HEAD
                             "warning part=store partition=1 event=slow text=\"took 5 ms\"\n" HEAD
                             "warning part=store event=refused text=\"no\"\n" HEAD
                             "error part=store event=slow text=\"took very long\"\n");
    now.ms += 9999;
    log_warning(&log, "slow", "took 1000 ms");
    assert_int_equal(lines_len, 0);
    now.ms += 1;
    log_warning(&log, "slow", "took 1001 ms");
    assert_string_equal(take_lines(),
                        HEAD "warning part=store event=slow repeated=1000 text=\"took 1001 ms\"\n");
    now.ms += 10000;
    log_warning(&log, "slow", "took 1002 ms");
    assert_string_equal(take_lines(), HEAD "warning part=store event=slow text=\"took 1002 ms\"\n");
}

/* More kinds than the log can hold at a time: none is lost, and what the first one held back is said. */
static void nothing_is_lost_when_there_are_many_kinds(void **state)
{
    (void)state;
    struct log log = log_new("peer");
    struct log first = log_with(&log, "n=first");
    log_info(&first, "seen", "a");
    log_info(&first, "seen", "b");
    for (int i = 0; i < 200; i++) {
        struct log each = log_with(&log, "n=%d", i);
        now.ms++;
        log_info(&each, "seen", "%d", i);
    }
    assert_non_null(strstr(lines, HEAD "info part=peer n=first event=seen repeated=1\n"));
    assert_non_null(strstr(lines, HEAD "info part=peer n=199 event=seen text=\"199\"\n"));
}

static void a_text_cannot_forge(void **state)
{
    (void)state;
    struct log log = log_new("http");
    log_info(&log, "a", "%s", "x\"\nlevel=error \\\r\x1b[31m\x7f\t");
    assert_string_equal(
        take_lines(),
        HEAD "info part=http event=a text=\"x\\\"\\x0alevel=error \\\\\\x0d\\x1b[31m\\x7f\\x09\"\n");
    log_info(&log, "b", "%s", "\xe2\x80\xae \xe2\x81\xa6 \xd8\x9c \xc2\x9b \xe2\x80\xa8 \xff \xe2\x82");
    assert_string_equal(
        take_lines(),
        HEAD "info part=http event=b text=\"\\u202e \\u2066 \\u061c \\u009b \\u2028 \\xff \\xe2\\x82\"\n");
    log_info(&log, "c", "%s", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_string_equal(take_lines(),
                        HEAD "info part=http event=c text=\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"\n");
}

/* Whatever bytes come in, one line goes out, with one text, of printable characters. */
static void any_bytes_give_one_line(void **state)
{
    (void)state;
    struct log log = log_new("http");
    srand(7);
    for (int round = 0; round < 5000; round++) {
        char bytes[40];
        for (size_t i = 0; i + 1 < sizeof(bytes); i++)
            bytes[i] = (char)(1 + rand() % 255);
        bytes[sizeof(bytes) - 1] = '\0';
        struct log labelled = log_with(&log, "peer=%s", bytes);
        now.ms += 10000;
        log_info(&labelled, "a", "%s", bytes);
        take_lines();
        size_t len = strlen(lines);
        assert_ptr_equal(strchr(lines, '\n'), lines + len - 1);
        assert_ptr_equal(strchr(lines, '"'), strstr(lines, "text=\"") + 5);
        for (size_t i = 0; i + 1 < len; i++)
            assert_true((unsigned char)lines[i] >= ' ' && lines[i] != 0x7f);
    }
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 1, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct log log = log_new("http");
    log_info(&log, "a", "%s", text);
    size_t len = strlen(take_lines());
    assert_true(len > 4000 && len < 4 * 1024 + 200);
    assert_string_equal(lines + len - 6, "\\x01\"\n");
}

static void labels_are_cut(void **state)
{
    (void)state;
    struct log log = log_new("http");
    for (int i = 0; i < 100; i++)
        log = log_with(&log, "label%d=%d", i, i);
    log_info(&log, "a", "b");
    assert_non_null(strstr(take_lines(), " event=a text=\"b\"\n"));
}

static void without_a_sink_it_goes_to_stderr(void **state)
{
    (void)state;
    int ends[2], kept = dup(STDERR_FILENO);
    char text[256] = "";
    struct log log = log_new("http");
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_set_sink(NULL);
    log_info(&log, "a", "b");
    dup2(kept, STDERR_FILENO);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, HEAD "info part=http event=a text=\"b\"\n");
    close(kept);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_says_when_where_and_what),
        TEST(debug_is_off_until_wanted),
        TEST(repeats_are_summed),
        TEST(nothing_is_lost_when_there_are_many_kinds),
        TEST(a_text_cannot_forge),
        TEST(any_bytes_give_one_line),
        TEST(a_long_text_is_cut),
        TEST(labels_are_cut),
        TEST(without_a_sink_it_goes_to_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
