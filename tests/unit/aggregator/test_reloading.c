/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/reloading: files replaced, damaged and mended beside a loop that goes on looking places up. */
#include "aggregator/reloading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

#include "base/log.h"
#include "tests/lib/mmdb_files.h"

enum { WAIT_MS = 60000 };

struct bench {
    uv_loop_t loop;
    uv_timer_t step; /* so that each turn ends */
    char folder[32];
    char path[64];
    char fresh[64];
    struct places *places;
    struct metrics metrics;
    struct reloading *reloading;
};

static void ignore_line(slice line)
{
    (void)line;
}

static void write_file(const char *path, const char *name)
{
    unsigned char bytes[MMDB_FILES_MAX_BYTES];
    mmdb_files_write(path, bytes, mmdb_files_read(name, bytes));
}

static void replace(struct bench *bench, const char *name)
{
    write_file(bench->fresh, name);
    assert_int_equal(rename(bench->fresh, bench->path), 0);
}

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

static int set_up(void **state)
{
    struct bench *bench = *state = calloc(1, sizeof *bench);
    struct why why;
    log_set_sink(ignore_line);
    strcpy(bench->folder, "/tmp/footfall-reload.XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/places.mmdb", bench->folder);
    snprintf(bench->fresh, sizeof bench->fresh, "%s/places.new", bench->folder);
    write_file(bench->path, "world.mmdb");
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    assert_int_equal(uv_timer_init(&bench->loop, &bench->step), 0);
    uv_timer_start(&bench->step, on_step, 1, 1);
    bench->places = places_open(bench->path, &why);
    assert_non_null(bench->places);
    bench->reloading = reloading_start(&bench->loop, bench->path, bench->places, &bench->metrics);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    reloading_stop(&bench->reloading);
    assert_null(bench->reloading);
    uv_close((uv_handle_t *)&bench->step, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    places_close(&bench->places);
    unlink(bench->path);
    unlink(bench->fresh);
    assert_int_equal(rmdir(bench->folder), 0);
    log_set_sink(NULL);
    free(bench);
    return 0;
}

static bool country_is(struct bench *bench, const char *address, const char *country)
{
    ip_address ip;
    assert_int_equal(ip_read(slice_of(address), &ip), STATUS_OK);
    return slice_equals(places_find(bench->places, ip)->country, slice_of(country));
}

/* Looking up all the while. */
static void wait_for(struct bench *bench, enum metrics_id id, int64_t count)
{
    for (mono_ms end = {mono_now().ms + WAIT_MS};
         bench->metrics.values[id] < count && mono_now().ms < end.ms;) {
        assert_true(country_is(bench, "1.1.1.1", "AU") || country_is(bench, "1.1.1.1", "NZ"));
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    assert_int_equal(bench->metrics.values[id], count);
}

static void a_file_renamed_over_it_is_read(void **state)
{
    struct bench *bench = *state;
    assert_true(country_is(bench, "1.1.1.1", "AU"));
    assert_int_equal(bench->metrics.values[METRICS_DATABASES_BUILT], INT64_C(1735689600000));
    replace(bench, "country.mmdb");
    wait_for(bench, METRICS_RELOADS, 1);
    assert_true(country_is(bench, "1.1.1.1", "NZ"));
    replace(bench, "world.mmdb");
    wait_for(bench, METRICS_RELOADS, 2);
    assert_true(country_is(bench, "1.1.1.1", "AU"));
}

static void what_cannot_be_used_is_not(void **state)
{
    struct bench *bench = *state;
    static const char *const bad[] = {"truncated.mmdb", "empty.mmdb", "asn.mmdb", "wrong_country.mmdb"};
    for (int i = 0; i < 4; i++) {
        replace(bench, bad[i]);
        wait_for(bench, METRICS_RELOADS_FAILED, i + 1);
        assert_true(country_is(bench, "1.1.1.1", "AU"));
    }
    replace(bench, "country.mmdb");
    wait_for(bench, METRICS_RELOADS, 1);
    assert_true(country_is(bench, "1.1.1.1", "NZ"));
}

static void a_file_truncated_in_place_hurts_nobody(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(truncate(bench->path, 100), 0);
    wait_for(bench, METRICS_RELOADS_FAILED, 1);
    assert_true(country_is(bench, "36.1.1.1", "CN")); /* not in the cache: from the copy */
    unlink(bench->path);
    wait_for(bench, METRICS_RELOADS_FAILED, 2);
    assert_true(country_is(bench, "81.2.69.142", "GB"));
    write_file(bench->path, "country.mmdb");
    wait_for(bench, METRICS_RELOADS, 1);
}

/* Permission is mended without a write; here it makes no difference to what is in the file. */
static void a_file_whose_permissions_changed_is_tried_again(void **state)
{
    struct bench *bench = *state;
    replace(bench, "truncated.mmdb");
    wait_for(bench, METRICS_RELOADS_FAILED, 1);
    assert_int_equal(chmod(bench->path, 0600), 0);
    wait_for(bench, METRICS_RELOADS_FAILED, 2);
}

static void it_reads_when_it_is_told_to(void **state)
{
    struct bench *bench = *state;
    reloading_now(bench->reloading);
    reloading_now(bench->reloading); /* while it reads: once more */
    reloading_now(bench->reloading);
    wait_for(bench, METRICS_RELOADS, 2);
    assert_true(country_is(bench, "1.1.1.1", "AU"));
}

static void other_files_of_the_folder_are_no_reason(void **state)
{
    struct bench *bench = *state;
    write_file(bench->fresh, "country.mmdb");
    for (mono_ms end = {mono_now().ms + 1500}; mono_now().ms < end.ms;)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->metrics.values[METRICS_RELOADS], 0);
}

static void it_can_end_while_it_reads(void **state)
{
    struct bench *bench = *state;
    reloading_now(bench->reloading);
    /* tear_down stops it */
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_file_renamed_over_it_is_read),
        BENCH_TEST(what_cannot_be_used_is_not),
        BENCH_TEST(a_file_truncated_in_place_hurts_nobody),
        BENCH_TEST(it_reads_when_it_is_told_to),
        BENCH_TEST(other_files_of_the_folder_are_no_reason),
        BENCH_TEST(it_can_end_while_it_reads),
        BENCH_TEST(a_file_whose_permissions_changed_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
