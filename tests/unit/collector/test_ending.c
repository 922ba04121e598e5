/* SPDX-License-Identifier: Apache-2.0
 * The end of a collector: who waits is answered, what was taken is sent or kept, half a start is undone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/collector/stage.h"

#define JSON "Content-Type: application/json\r\n"

enum { MAX_HITS = 20 };

static struct stage stage;
static struct stage_hit hits[MAX_HITS];

static void note_stopped(void *context)
{
    bool *is_stopped = context;
    *is_stopped = true;
}

static void set(struct settings *settings, const char *assignment)
{
    struct why why;
    assert_int_equal(settings_set(settings, assignment, &why), STATUS_OK);
}

/* Another collector beside that of the stage, with this in its way. */
static void expect_no_start(const char *assignment, struct why *why)
{
    char directory[64];
    struct collector_settings values;
    bool is_stopped = false;
    uv_loop_t loop;
    struct settings *settings =
        settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    snprintf(directory, sizeof(directory), "journal.directory=%s/another", stage.folder);
    set(settings, directory);
    set(settings, "sites.hosts=example.com");
    set(settings, "kafka.brokers=127.0.0.1:1");
    set(settings, "http.listen=127.0.0.1:0");
    set(settings, assignment);
    assert_int_equal(uv_loop_init(&loop), 0);
    struct collector *collector = collector_new(&loop, &values, settings);
    assert_int_not_equal(collector_start(collector, why), STATUS_OK);
    collector_stop(collector, note_stopped, &is_stopped);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_true(is_stopped);
    collector_free(&collector);
    assert_int_equal(uv_loop_close(&loop), 0);
    settings_free(&settings);
}

static void what_is_in_flight_is_answered(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_kafka);
    int fd = stage_post_held(&stage);
    stage_begin_stop(&stage);
    assert_int_equal(stage_ready_status(&stage), 503);
    stage_release(&stage);
    stage_expect(&stage, fd, 204);
    bench_expect_end(&stage.bench, fd);
    stage_finish_stop(&stage);
    assert_int_equal(stage_read_hits(&stage, hits, MAX_HITS), 1);
    assert_int_equal(stage_stored_count(&stage), 2); /* and the end of its stream */
    stage_end(&stage);
}

static void what_was_taken_is_sent(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_memory);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_begin_stop(&stage);
    stage_release(&stage);
    stage_finish_stop(&stage);
    assert_int_equal(stage_read_hits(&stage, hits, MAX_HITS), 10);
    stage_end(&stage);
}

static void what_cannot_be_sent_stays_for_the_next_start(void **state)
{
    (void)state;
    stage_start_held(&stage, NULL);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_begin_stop(&stage);
    stage_make_fatal(&stage); /* which does not hold up the end */
    stage_finish_stop(&stage);
    stage_release(&stage);
    assert_int_equal(stage_stored_count(&stage), 0);
    stage_start_again(&stage, NULL);
    stage_wait_metric(&stage, "footfall_collector_journal_pending", 0);
    assert_int_equal(stage_read_hits(&stage, hits, MAX_HITS), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(hits[i].hit.seq, i + 1);
    stage_end(&stage);
}

static void two_collectors_do_not_share_a_folder(void **state)
{
    struct why why = {.text = ""};
    char assignment[64];
    (void)state;
    stage_start(&stage, NULL);
    snprintf(assignment, sizeof(assignment), "journal.directory=%s/journal", stage.folder);
    expect_no_start(assignment, &why);
    assert_non_null(strstr(why.text, "/journal: another collector uses this folder"));
    stage_end(&stage);
}

static void a_visitor_who_hangs_up_harms_nobody(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_kafka);
    int fd = stage_post_held(&stage);
    close(fd);
    stage_release(&stage);
    stage_wait_metric(&stage, "footfall_collector_hits_delivered_total", 1);
    stage_end(&stage);
}

static void a_taken_port_is_named_and_undone(void **state)
{
    struct why why = {.text = ""};
    char assignment[64];
    (void)state;
    stage_start(&stage, NULL);
    snprintf(assignment, sizeof(assignment), "http.listen=127.0.0.1:%d", stage.bench.port);
    expect_no_start(assignment, &why);
    assert_non_null(strstr(why.text, "http.listen"));
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_flight_is_answered),
        cmocka_unit_test(what_was_taken_is_sent),
        cmocka_unit_test(what_cannot_be_sent_stays_for_the_next_start),
        cmocka_unit_test(two_collectors_do_not_share_a_folder),
        cmocka_unit_test(a_visitor_who_hangs_up_harms_nobody),
        cmocka_unit_test(a_taken_port_is_named_and_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
