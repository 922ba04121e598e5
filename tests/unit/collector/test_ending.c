/* SPDX-License-Identifier: Apache-2.0
 * The end of a collector: what is in flight is answered, what was queued is flushed, half a start is undone.
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

static struct stage stage;

static void what_is_in_flight_is_answered(void **state)
{
    (void)state;
    stage_start_held(&stage, NULL);
    int fd = stage_post_held(&stage);
    stage_begin_stop(&stage);
    assert_int_equal(stage_ready_status(&stage), 503);
    stage_release(&stage);
    stage_expect(&stage, fd, 204);
    bench_expect_end(&stage.bench, fd);
    stage_finish_stop(&stage);
    assert_int_equal(stage_stored_count(&stage), 1);
    stage_end(&stage);
}

static void what_was_queued_is_flushed(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_memory);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_begin_stop(&stage);
    stage_release(&stage);
    stage_finish_stop(&stage);
    assert_int_equal(stage_stored_count(&stage), 10);
    stage_end(&stage);
}

static void a_fatal_producer_does_not_hold_up_the_end(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_memory);
    assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_begin_stop(&stage);
    stage_make_fatal(&stage);
    stage_finish_stop(&stage);
    stage_end(&stage);
}

static void a_visitor_who_hangs_up_harms_nobody(void **state)
{
    (void)state;
    stage_start_held(&stage, NULL);
    int fd = stage_post_held(&stage);
    close(fd);
    stage_release(&stage);
    stage_wait_metric(&stage, "footfall_collector_hits_delivered_total", 1);
    stage_end(&stage);
}

static void note_stopped(void *context)
{
    bool *is_stopped = context;
    *is_stopped = true;
}

static void a_taken_port_is_named_and_undone(void **state)
{
    struct why why = {""};
    char assignment[64];
    struct collector_settings values;
    bool is_stopped = false;
    uv_loop_t loop;
    (void)state;
    stage_start(&stage, NULL);
    struct settings *settings =
        settings_new(collector_setting_rows, collector_setting_count, &values, "rdkafka");
    snprintf(assignment, sizeof(assignment), "http.listen=127.0.0.1:%d", stage.bench.port);
    assert_int_equal(settings_set(settings, assignment, &why), STATUS_OK);
    assert_int_equal(settings_set(settings, "sites.hosts=example.com", &why), STATUS_OK);
    assert_int_equal(settings_set(settings, "kafka.brokers=127.0.0.1:1", &why), STATUS_OK);
    assert_int_equal(uv_loop_init(&loop), 0);
    struct collector *collector = collector_new(&loop, &values, settings);
    assert_int_not_equal(collector_start(collector, &why), STATUS_OK);
    assert_non_null(strstr(why.text, "http.listen"));
    collector_stop(collector, note_stopped, &is_stopped);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_true(is_stopped);
    collector_free(&collector);
    assert_int_equal(uv_loop_close(&loop), 0);
    settings_free(&settings);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_flight_is_answered),
        cmocka_unit_test(what_was_queued_is_flushed),
        cmocka_unit_test(a_fatal_producer_does_not_hold_up_the_end),
        cmocka_unit_test(a_visitor_who_hangs_up_harms_nobody),
        cmocka_unit_test(a_taken_port_is_named_and_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
