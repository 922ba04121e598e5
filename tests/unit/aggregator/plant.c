/* SPDX-License-Identifier: Apache-2.0
 * plant: see the header. */
#include "tests/unit/aggregator/plant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/migrate.h"
#include "aggregator/places.h"
#include "base/log.h"

#define TOPIC    "hits"
#define TEMPLATE "aggregator_template"

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

void plant_wait(struct plant *plant, const char *query, const char *wanted)
{
    const char *got = "";
    for (int64_t end = mono_now().ms + PLANT_DEADLINE_MS; mono_now().ms < end;) {
        for (int i = 0; i < 10; i++)
            uv_run(&plant->loop, UV_RUN_ONCE);
        got = postgres_ask(plant->admin, "%s", query);
        if (strcmp(got, wanted) == 0)
            return;
    }
    assert_string_equal(got, wanted);
}

int64_t plant_measure(struct plant *plant, enum metrics_id id)
{
    if (plant->aggregators[0] != NULL)
        aggregator_measure(plant->aggregators[0]);
    return plant->metrics[0].values[id];
}

void plant_wait_metric(struct plant *plant, enum metrics_id id, int64_t wanted)
{
    for (int64_t end = mono_now().ms + PLANT_DEADLINE_MS;
         mono_now().ms < end && plant_measure(plant, id) != wanted;)
        uv_run(&plant->loop, UV_RUN_ONCE);
    assert_int_equal(plant_measure(plant, id), wanted);
}

const char *plant_value(int number, const char *path)
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

void plant_produce(struct plant *plant, int from, int to)
{
    for (int number = from; number < to; number++)
        mock_kafka_produce(plant->kafka, number % PLANT_PARTITIONS, plant_value(number, "x"));
    mock_kafka_flush(plant->kafka);
}

void plant_start(struct plant *plant, int which)
{
    struct why why;
    static const struct ip2location_key no_key;
    struct aggregator_options options = {
        .configuration = &plant->configuration,
        .settings = plant->settings,
        .group = "footfall-test",
        .places = plant->places,
        .metrics = &plant->metrics[which],
        .key = &no_key,
    };
    plant->aggregators[which] = aggregator_start(&plant->loop, &options, &why);
    assert_non_null(plant->aggregators[which]);
}

static void note_stopped(void *context)
{
    *(bool *)context = true;
}

void plant_stop(struct plant *plant, int which)
{
    bool is_stopped = false;
    aggregator_stop(plant->aggregators[which], note_stopped, &is_stopped);
    plant->aggregators[which] = NULL;
    for (int64_t end = mono_now().ms + PLANT_DEADLINE_MS; mono_now().ms < end && !is_stopped;)
        uv_run(&plant->loop, UV_RUN_ONCE);
    assert_true(is_stopped);
}

int plant_make_template(void **state)
{
    (void)state;
    struct migrate_report report;
    struct why why;
    return migrate_run(postgres_make(TEMPLATE, NULL), &report, &why) == STATUS_OK ? 0 : -1;
}

int plant_set_up(void **state)
{
    struct plant *plant = calloc(1, sizeof *plant);
    struct why why;
    log_set_level(LOG_ERROR);
    uv_loop_init(&plant->loop);
    uv_timer_init(&plant->loop, &plant->step);
    uv_timer_start(&plant->step, on_step, 10, 10); /* so that each turn ends */
    plant->kafka = mock_kafka_start(TOPIC, PLANT_PARTITIONS);
    plant->conninfo = strdup(postgres_make(PLANT_DATABASE, TEMPLATE));
    plant->admin = postgres_connect(plant->conninfo);
    plant->settings =
        settings_new(configuration_rows, configuration_row_count, &plant->configuration, "rdkafka");
    plant->configuration.kafka_brokers = mock_kafka_brokers(plant->kafka);
    plant->configuration.postgres_conninfo = plant->conninfo;
    plant->places = places_open("", &why);
    *state = plant;
    return 0;
}

int plant_tear_down(void **state)
{
    struct plant *plant = *state;
    for (int i = 0; i < 2; i++)
        if (plant->aggregators[i] != NULL)
            plant_stop(plant, i);
    uv_close((uv_handle_t *)&plant->step, NULL);
    uv_run(&plant->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&plant->loop), 0);
    postgres_disconnect(plant->admin);
    postgres_drop(PLANT_DATABASE);
    places_close(&plant->places);
    settings_free(&plant->settings);
    mock_kafka_stop(&plant->kafka);
    free(plant->conninfo);
    free(plant);
    return 0;
}

/* What must hold at the end, whatever came between. */
#define ROWS     "SELECT count(*) FROM processed_events"
#define DISTINCT "SELECT count(DISTINCT (kafka_partition, kafka_offset)) FROM processed_events"
#define COUNTED                                                                                              \
    "SELECT coalesce((SELECT sum(web_events) FROM session_events_aggregated_ip), 0)"                         \
    "     + coalesce((SELECT sum(events) FROM footfall.open_sessions), 0)"                                   \
    "     + coalesce((SELECT sum(events) FROM footfall.strays), 0)"

void plant_wait_stored_once(struct plant *plant, const char *count)
{
    plant_wait(plant, ROWS, count);
    plant_wait(plant, DISTINCT, count);
    plant_wait(plant, COUNTED, count);
}
