/* SPDX-License-Identifier: Apache-2.0
 * rig: see the header. */
#include "tests/unit/aggregator/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/migrate.h"
#include "aggregator/place.h"
#include "base/log.h"

#define TOPIC    "hits"
#define TEMPLATE "aggregator_template"

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

void rig_wait(struct rig *rig, const char *query, const char *wanted)
{
    const char *got = "";
    for (int64_t end = mono_now().ms + RIG_DEADLINE_MS; mono_now().ms < end;) {
        for (int i = 0; i < 10; i++)
            uv_run(&rig->loop, UV_RUN_ONCE);
        got = postgres_ask(rig->admin, "%s", query);
        if (strcmp(got, wanted) == 0)
            return;
    }
    assert_string_equal(got, wanted);
}

int64_t rig_measure(struct rig *rig, enum metrics_id id)
{
    if (rig->aggregators[0] != NULL)
        aggregator_measure(rig->aggregators[0]);
    return rig->metrics[0].values[id];
}

void rig_wait_metric(struct rig *rig, enum metrics_id id, int64_t wanted)
{
    for (int64_t end = mono_now().ms + RIG_DEADLINE_MS;
         mono_now().ms < end && rig_measure(rig, id) != wanted;)
        uv_run(&rig->loop, UV_RUN_ONCE);
    assert_int_equal(rig_measure(rig, id), wanted);
}

const char *rig_value(int number, const char *path)
{
    static char value[400];
    char time[TIMESTAMP_TEXT_LEN];
    timestamp_write((wall_ms){wall_now().ms - 3600000 + number / 50 * 60000 + number}, time);
    snprintf(
        value, sizeof value,
        "{\"url\":\"https://a.example/%s\",\"referrer\":\"\",\"user_agent\":\"agent\",\"host\":\"a.example\","
        "\"ip\":\"198.51.100.%d\",\"headers\":\"{}\",\"event_time\":\"%.24s\"}",
        path, number % 50, time);
    return value;
}

void rig_produce(struct rig *rig, int from, int to)
{
    for (int number = from; number < to; number++)
        mock_kafka_produce(rig->kafka, number % RIG_PARTITIONS, rig_value(number, "x"));
    mock_kafka_flush(rig->kafka);
}

void rig_start(struct rig *rig, int which)
{
    struct why why;
    struct aggregator_options options = {
        .configuration = &rig->configuration,
        .settings = rig->settings,
        .group = "footfall-test",
        .places = rig->places,
        .metrics = &rig->metrics[which],
    };
    rig->aggregators[which] = aggregator_start(&rig->loop, &options, &why);
    assert_non_null(rig->aggregators[which]);
}

static void note_stopped(void *context)
{
    *(bool *)context = true;
}

void rig_stop(struct rig *rig, int which)
{
    bool is_stopped = false;
    aggregator_stop(rig->aggregators[which], note_stopped, &is_stopped);
    rig->aggregators[which] = NULL;
    for (int64_t end = mono_now().ms + RIG_DEADLINE_MS; mono_now().ms < end && !is_stopped;)
        uv_run(&rig->loop, UV_RUN_ONCE);
    assert_true(is_stopped);
}

int rig_make_template(void **state)
{
    (void)state;
    struct migrate_report report;
    struct why why;
    return migrate_run(postgres_make(TEMPLATE, NULL), &report, &why) == STATUS_OK ? 0 : -1;
}

int rig_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct why why;
    log_set_level(LOG_ERROR);
    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->step);
    uv_timer_start(&rig->step, on_step, 10, 10); /* so that each turn ends */
    rig->kafka = mock_kafka_start(TOPIC, RIG_PARTITIONS);
    rig->conninfo = strdup(postgres_make(RIG_DATABASE, TEMPLATE));
    rig->admin = postgres_connect(rig->conninfo);
    rig->settings = settings_new(configuration_rows, configuration_row_count, &rig->configuration, "rdkafka");
    rig->configuration.kafka_brokers = mock_kafka_brokers(rig->kafka);
    rig->configuration.postgres_conninfo = rig->conninfo;
    rig->places = places_open("", &why);
    *state = rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++)
        if (rig->aggregators[i] != NULL)
            rig_stop(rig, i);
    uv_close((uv_handle_t *)&rig->step, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    postgres_disconnect(rig->admin);
    postgres_drop(RIG_DATABASE);
    places_close(&rig->places);
    settings_free(&rig->settings);
    mock_kafka_stop(&rig->kafka);
    free(rig->conninfo);
    free(rig);
    return 0;
}

/* What must hold at the end, whatever came between. */
#define ROWS     "SELECT count(*) FROM processed_events"
#define DISTINCT "SELECT count(DISTINCT (kafka_partition, kafka_offset)) FROM processed_events"
#define COUNTED                                                                                              \
    "SELECT coalesce((SELECT sum(web_events) FROM session_events_aggregated_ip), 0)"                         \
    "     + coalesce((SELECT sum(events) FROM footfall.open_sessions), 0)"                                   \
    "     + coalesce((SELECT sum(events) FROM footfall.strays), 0)"

void rig_wait_stored_once(struct rig *rig, const char *count)
{
    rig_wait(rig, ROWS, count);
    rig_wait(rig, DISTINCT, count);
    rig_wait(rig, COUNTED, count);
}
