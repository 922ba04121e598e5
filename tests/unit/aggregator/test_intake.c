/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/intake: which message becomes a hit, a reject with which reason, or nothing. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/intake.h"
#include "aggregator/row.h"

enum { PARTITIONS = 12 };
#define DAY_MS INT64_C(86400000)

struct bench {
    struct places *places;
    struct intake intake;
    struct batch *batch;
    struct metrics counts;
    int64_t offset;
};

/* When the records were written to Kafka: 2025-02-02T04:18:21Z. */
static const wall_ms written = {1738469901000};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct why why;
    bench->places = places_open("", &why);
    assert_non_null(bench->places);
    intake_init(&bench->intake, bench->places, 730 * DAY_MS);
    bench->batch = batch_new("hits", PARTITIONS);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    batch_free(&bench->batch);
    intake_fini(&bench->intake);
    places_close(&bench->places);
    free(bench);
    return 0;
}

static enum intake_outcome take(struct bench *bench, const char *value, const char *refusal)
{
    struct feed_message message = {
        .partition = 3,
        .offset = bench->offset++,
        .written = written,
        .has_value = value != NULL,
        .value = slice_of(value),
    };
    return intake_take(&bench->intake, &message, slice_of(refusal), bench->batch, &bench->counts);
}

static const char *value_at(int64_t event_time_ms)
{
    static char value[300];
    char time[TIMESTAMP_TEXT_LEN];
    timestamp_write((wall_ms){event_time_ms}, time);
    snprintf(
        value, sizeof value,
        "{\"url\":\"https://a.example/x\",\"referrer\":\"\",\"user_agent\":\"\",\"host\":\"A.example:443\","
        "\"ip\":\"198.51.100.7\",\"headers\":\"{}\",\"event_time\":\"%.24s\"}",
        time);
    return value;
}

static void assert_counts(const struct bench *bench, size_t hits, size_t rejects, enum metrics_id reason)
{
    assert_int_equal(bench->batch->hit_count, hits);
    assert_int_equal(bench->batch->reject_count, rejects);
    if (rejects > 0)
        assert_int_equal(bench->counts.values[reason], rejects);
    assert_int_equal(bench->counts.values[METRICS_MESSAGES], bench->offset);
    assert_int_equal(bench->batch->next_offsets[3], bench->offset);
}

static void a_hit_of_another_producer_is_taken(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(take(bench, value_at(written.ms), ""), INTAKE_TAKEN);
    assert_counts(bench, 1, 0, METRICS_MESSAGES);
    assert_true(slice_equals(bench->batch->hits[0].host, SLICE("a.example")));
    assert_false(bench->batch->hits[0].has_stream);
    assert_int_equal(bench->batch->hits[0].at.offset, 0);
}

/* The fourth field of the only reject, after topic, partition and offset. */
static int64_t written_at(const struct bench *bench)
{
    enum { AT = 2 + (4 + 4) + (4 + 4) + (4 + 8) + 4 };
    uint64_t value;
    memcpy(&value, bench->batch->rejects.data + AT, sizeof value);
    return (int64_t)be64toh(value);
}

/* A producer that takes nanoseconds for milliseconds: Postgres would refuse the reject as well, and halt. */
static void a_kafka_timestamp_that_is_nonsense_is_brought_into_range(void **state)
{
    struct bench *bench = *state;
    static const int64_t times[][2] = {
        {INT64_MAX, INTAKE_MAX_WRITTEN_MS},
        {1738469901000000000, INTAKE_MAX_WRITTEN_MS},
        {INTAKE_MAX_WRITTEN_MS, INTAKE_MAX_WRITTEN_MS},
        {INT64_MIN, INTAKE_MIN_WRITTEN_MS},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct feed_message message = {.offset = 1, .written = {times[i][0]}};
        batch_clear(bench->batch);
        intake_take(&bench->intake, &message, SLICE(""), bench->batch, &bench->counts);
        assert_int_equal(bench->batch->reject_count, 1);
        assert_int_equal(written_at(bench), row_timestamp((wall_ms){times[i][1]}));
    }
}

/* Exactly at the limits is in, one millisecond beyond is out. */
static void event_times_are_judged_by_when_kafka_got_them(void **state)
{
    struct bench *bench = *state;
    take(bench, value_at(written.ms - 730 * DAY_MS), "");
    take(bench, value_at(written.ms + DAY_MS), "");
    assert_counts(bench, 2, 0, METRICS_MESSAGES);
    take(bench, value_at(written.ms - 730 * DAY_MS - 1), "");
    assert_counts(bench, 2, 1, METRICS_REJECTS_TOO_OLD);
    take(bench, value_at(written.ms + DAY_MS + 1), "");
    assert_int_equal(bench->counts.values[METRICS_REJECTS_AHEAD], 1);
    assert_int_equal(bench->batch->reject_count, 2);
}

static void what_is_no_hit_is_rejected_and_its_neighbours_are_kept(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *value;
        enum metrics_id reason;
    } rows[] = {
        {"", METRICS_REJECTS_NOT_JSON},
        {"not json", METRICS_REJECTS_NOT_JSON},
        {"{\"url\":\"https://a.example/\",\"host\":\"a.example\",\"event_time\":\"2025-02-02T04:18:21Z\"}",
         METRICS_REJECTS_NO_IP},
        {"{\"url\":\"https://a.example/\",\"ip\":\"198.51.100.7\",\"event_time\":\"2025-02-02T04:18:21Z\"}",
         METRICS_REJECTS_NO_HOST},
        {"{\"host\":\"a.example\",\"ip\":\"198.51.100.7\",\"event_time\":\"2025-02-02T04:18:21Z\"}",
         METRICS_REJECTS_NO_URL},
        {"{\"url\":\"https://a.example/\",\"host\":\"a.example\",\"ip\":\"198.51.100.7\"}",
         METRICS_REJECTS_NO_TIME},
        {NULL, METRICS_REJECTS_NO_VALUE},
    };
    enum { COUNT = sizeof rows / sizeof rows[0] };
    for (size_t i = 0; i < COUNT; i++) {
        int64_t before = bench->counts.values[rows[i].reason];
        assert_int_equal(take(bench, rows[i].value, ""), INTAKE_TAKEN);
        assert_int_equal(bench->counts.values[rows[i].reason], before + 1);
        take(bench, value_at(written.ms), "");
    }
    assert_int_equal(bench->batch->reject_count, COUNT);
    assert_int_equal(bench->batch->hit_count, COUNT);
    assert_int_equal(bench->batch->message_count, 2 * COUNT);
}

static void a_value_that_is_too_big_is_kept_in_part(void **state)
{
    struct bench *bench = *state;
    char *value = malloc(HIT_MAX_BYTES + 101);
    memset(value, 'x', HIT_MAX_BYTES + 100);
    value[HIT_MAX_BYTES + 100] = '\0';
    take(bench, value, "");
    free(value);
    assert_counts(bench, 0, 1, METRICS_REJECTS_TOO_BIG);
    assert_in_range(bench->batch->rejects.len, HIT_MAX_BYTES, HIT_MAX_BYTES + 99);
}

static void a_condemned_message_is_a_reject_whatever_it_holds(void **state)
{
    struct bench *bench = *state;
    take(bench, value_at(written.ms), "Postgres refuses it (SQLSTATE 22021)");
    assert_counts(bench, 0, 1, METRICS_REJECTS_REFUSED);
}

/* ---- Control records ---- */

static void take_control(struct bench *bench, const char *header, const char *refusal)
{
    struct feed_message message = {.partition = 3,
                                   .offset = bench->offset++,
                                   .written = written,
                                   .is_control = true,
                                   .control = slice_of(header)};
    assert_int_equal(intake_take(&bench->intake, &message, slice_of(refusal), bench->batch, &bench->counts),
                     INTAKE_TAKEN);
}

/* The last thing noted of a stream. */
static void assert_noted(const struct bench *bench, enum control_kind kind, int64_t from, int64_t last)
{
    const struct batch_control *noted = &bench->batch->controls[bench->batch->control_count - 1];
    assert_int_equal(noted->control.kind, kind);
    assert_int_equal(noted->control.from, from);
    assert_int_equal(noted->control.last, last);
    assert_int_equal(noted->control.stream.boot.bytes[0], 0xab);
    assert_int_equal(noted->at.offset, bench->offset - 1);
    assert_int_equal(noted->at.written.ms, written.ms);
}

#define BOOT "ab000000000000000000000000000000"

static void control_records_are_noted(void **state)
{
    struct bench *bench = *state;
    bench->offset = 41;
    take_control(bench, "{\"fin\":{\"stream\":\"" BOOT "-3\",\"last\":9}}", "");
    assert_noted(bench, CONTROL_FIN, 0, 9);
    take_control(bench, "{\"skip\":{\"stream\":\"" BOOT "-3\",\"from\":2,\"to\":4,\"reason\":\"lost\"}}", "");
    assert_noted(bench, CONTROL_SKIP, 2, 4);
    assert_true(slice_equals(bench->batch->controls[1].control.reason, SLICE("lost")));
    take_control(bench, "{\"fin\":{\"stream\":\"" BOOT "-27\",\"last\":1}}", ""); /* 27 = 2 * 12 + 3 */
    assert_noted(bench, CONTROL_FIN, 0, 1);
    assert_int_equal(bench->batch->control_count, 3);
    assert_int_equal(bench->batch->next_offsets[3], 44);
    assert_int_equal(bench->batch->last_written[3].ms, written.ms);
    assert_int_equal(bench->batch->hit_count + bench->batch->reject_count, 0);
    assert_int_equal(bench->batch->message_count, 3);
}

static bool ends_with(const struct buf *buf, const char *text)
{
    return slice_ends_with(buf_slice(buf), slice_of(text));
}

static void bad_control_records_are_rejected_with_their_header(void **state)
{
    struct bench *bench = *state;
    static const char *const headers[] = {
        "",
        "{\"fin\":{}}",
        "{\"fin\":{\"stream\":\"" BOOT "-4\",\"last\":9}}", /* stands in partition 3 */
        "{\"skip\":{\"stream\":\"" BOOT "-3\",\"from\":0,\"to\":4}}",
    };
    enum { COUNT = sizeof headers / sizeof headers[0] };
    for (size_t i = 0; i < COUNT; i++) {
        take_control(bench, headers[i], "");
        assert_true(ends_with(&bench->batch->rejects, headers[i]));
    }
    assert_counts(bench, 0, COUNT, METRICS_REJECTS_BAD_CONTROL);
    take_control(bench, "{\"fin\":{\"stream\":\"" BOOT "-3\",\"last\":9}}", "Postgres refuses it");
    assert_int_equal(bench->counts.values[METRICS_REJECTS_REFUSED], 1);
    assert_true(ends_with(&bench->batch->rejects, "\"last\":9}}"));
    assert_int_equal(bench->batch->control_count, 0);
}

static const char *numbered(const char *stream, int64_t event_time_ms)
{
    static char value[400];
    const char *plain = value_at(event_time_ms);
    snprintf(value, sizeof value, "{\"stream\":\"%s\",\"seq\":17,%s", stream, plain + 1);
    return value;
}

/* It is kept aside and will never be received: that is no hole. */
static void a_rejected_hit_counts_as_skipped(void **state)
{
    struct bench *bench = *state;
    take(bench, numbered(BOOT "-3", written.ms), "");
    assert_int_equal(bench->batch->control_count, 0);
    take(bench, numbered(BOOT "-3", written.ms + 2 * DAY_MS), "");
    assert_noted(bench, CONTROL_SKIP, 17, 17);
    take(bench, "{\"stream\":\"" BOOT "-3\",\"seq\":18}", ""); /* nothing else is good */
    assert_noted(bench, CONTROL_SKIP, 18, 18);
    take(bench, numbered(BOOT "-3", written.ms), "Postgres refuses it");
    assert_noted(bench, CONTROL_SKIP, 17, 17);
    assert_int_equal(bench->batch->control_count, 3);
    take(bench, "{\"stream\":\"" BOOT "-4\",\"seq\":18}", ""); /* in the wrong partition */
    take(bench, "{\"stream\":\"" BOOT "-3\",\"seq\":0}", "");
    take(bench, "{\"stream\":\"" BOOT "-3\",\"seq\":18", "");
    take(bench, value_at(written.ms), "Postgres refuses it");
    assert_int_equal(bench->batch->control_count, 3);
    assert_int_equal(bench->batch->reject_count, 7);
    assert_int_equal(bench->batch->message_count, 8);
}

static void a_newer_version_is_left_where_it_is(void **state)
{
    struct bench *bench = *state;
    take(bench, value_at(written.ms), "");
    assert_int_equal(
        take(bench,
             "{\"v\":2,\"url\":\"https://a.example/\",\"host\":\"a.example\",\"ip\":\"198.51.100.7\","
             "\"event_time\":\"2025-02-02T04:18:21Z\"}",
             ""),
        INTAKE_TOO_NEW);
    assert_int_equal(bench->batch->next_offsets[3], 1);
    assert_int_equal(bench->batch->message_count, 1);
    assert_int_equal(bench->counts.values[METRICS_MESSAGES], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hit_of_another_producer_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_times_are_judged_by_when_kafka_got_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kafka_timestamp_that_is_nonsense_is_brought_into_range, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_hit_is_rejected_and_its_neighbours_are_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_value_that_is_too_big_is_kept_in_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_condemned_message_is_a_reject_whatever_it_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_records_are_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_control_records_are_rejected_with_their_header, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_rejected_hit_counts_as_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_version_is_left_where_it_is, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
