/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/claim. */
#include "aggregator/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { GAP_MS = 300000, LATENESS_MS = 15000 };

static struct hit_stream stream_of(uint32_t number)
{
    struct hit_stream stream = {.partition = (int)(number % 12)};
    for (size_t i = 0; i < 4; i++)
        stream.boot.bytes[12 + i] = (uint8_t)(number / 12 >> 8 * i);
    return stream;
}

/* A set that tells its stream's number. */
static struct received set_of(uint32_t number)
{
    struct received set = {.count = 0};
    assert_int_equal(received_add(&set, number + 1), STATUS_OK);
    return set;
}

static void a_new_claim_knows_nothing(void **state)
{
    (void)state;
    struct claim *claim = claim_new(7, GAP_MS, 100);
    size_t cursor = 0;
    assert_int_equal(claim->partition, 7);
    assert_true(claim->stored_until.ms == INT64_MIN);
    assert_true(claim->greatest_event.ms == INT64_MIN);
    assert_int_equal(sessions_count(claim->sessions), 0);
    assert_null(claim_stream_next(claim, &cursor));
    claim_free(&claim);
    assert_null(claim);
    claim_free(&claim);
}

static void each_stream_has_its_set(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct claim *claim = claim_new(0, GAP_MS, 100);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct hit_stream stream = stream_of(i);
        assert_null(claim_stream_find(claim, &stream));
        struct claim_stream *added = claim_stream_add(claim, &stream, set_of(i));
        assert_false(added->changed);
        assert_ptr_equal(claim_stream_find(claim, &stream), added);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct hit_stream stream = stream_of(i);
        assert_true(received_has(&claim_stream_find(claim, &stream)->set, i + 1));
    }
    size_t cursor = 0, count = 0;
    for (struct claim_stream *one; (one = claim_stream_next(claim, &cursor)) != NULL; count++)
        assert_ptr_equal(claim_stream_find(claim, &one->stream), one);
    assert_int_equal(count, COUNT);
    claim_free(&claim);
}

static void too_many_streams_are_forgotten(void **state)
{
    (void)state;
    struct claim *claim = claim_new(0, GAP_MS, 100);
    for (uint32_t i = 0; i < CLAIM_MAX_STREAMS; i++) {
        struct hit_stream stream = stream_of(i);
        claim_stream_add(claim, &stream, set_of(i));
    }
    struct hit_stream first = stream_of(0), last = stream_of(CLAIM_MAX_STREAMS);
    claim_streams_trim(claim); /* as many as there may be: nothing happens */
    assert_non_null(claim_stream_find(claim, &first));
    claim_stream_add(claim, &last, set_of(CLAIM_MAX_STREAMS));
    claim_streams_trim(claim);
    size_t cursor = 0;
    assert_null(claim_stream_next(claim, &cursor));
    assert_null(claim_stream_find(claim, &last));
    claim_stream_add(claim, &first, set_of(0)); /* loaded again */
    assert_true(received_has(&claim_stream_find(claim, &first)->set, 1));
    claim_free(&claim);
}

static int64_t watermark(int64_t greatest_ms, int64_t now_ms, int64_t quiet_ms)
{
    struct claim claim = {.greatest_event = {greatest_ms}};
    return claim_watermark(&claim, (wall_ms){now_ms}, quiet_ms, LATENESS_MS).ms;
}

static void the_watermark_follows_events_and_when_quiet_the_clock(void **state)
{
    (void)state;
    assert_int_equal(watermark(500000, 600000, -1), 500000);
    assert_int_equal(watermark(700000, 600000, -1), 600000); /* a hit of the future does not close others */
    assert_int_equal(watermark(500000, 600000, LATENESS_MS - 1), 500000);
    assert_int_equal(watermark(500000, 600000, LATENESS_MS), 600000 - LATENESS_MS);
    assert_int_equal(watermark(590000, 600000, 60000), 590000); /* never back */
    assert_int_equal(watermark(700000, 600000, 60000), 600000);
    assert_true(watermark(INT64_MIN, 600000, -1) == INT64_MIN);
    assert_int_equal(watermark(INT64_MIN, 600000, 60000), 600000 - LATENESS_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_claim_knows_nothing),
        cmocka_unit_test(each_stream_has_its_set),
        cmocka_unit_test(too_many_streams_are_forgotten),
        cmocka_unit_test(the_watermark_follows_events_and_when_quiet_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
