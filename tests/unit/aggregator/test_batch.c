/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/batch. */
#include "aggregator/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/row.h"
#include "proto/partition.h"

enum { PARTITIONS = 12, DAY_MS = 24 * 60 * 60 * 1000, REJECTS_MAX_EXPECTED = 400 };

static const struct place nowhere = {.source = GEO_NONE, .geodata = {"{}", 2}};

static int set_up(void **state)
{
    *state = batch_new("hits", PARTITIONS);
    return 0;
}

static int tear_down(void **state)
{
    struct batch *batch = *state;
    batch_free(&batch);
    assert_null(batch);
    batch_free(&batch);
    return 0;
}

static struct hit plain_hit(void)
{
    struct hit hit = {.url = SLICE("https://example.com/"),
                      .referrer = SLICE("https://search.example/"),
                      .user_agent = SLICE("a browser"),
                      .host = SLICE("example.com"),
                      .event_time = {1738470000000}, /* 2025-02-02 */
                      .source = HIT_BEACON};
    assert_int_equal(ip_read(SLICE("203.0.113.7"), &hit.ip), STATUS_OK);
    return hit;
}

static void add(struct batch *batch, int64_t offset, const struct hit *hit)
{
    struct batch_position at = {3, offset, {1738470000500}};
    batch_add_hit(batch, &at, hit, &nowhere);
}

static void a_new_batch_is_empty(void **state)
{
    struct batch *batch = *state;
    assert_true(batch_is_empty(batch));
    assert_true(batch_has_room(batch, 1));
    assert_false(batch_has_room(batch, 0));
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(batch->next_offsets[i], -1);
}

static void a_hit_is_kept_without_its_message(void **state)
{
    struct batch *batch = *state;
    char texts[] = "https://example.com/\0example.com\0https://search.example/\0IN\0Karnataka\0Bengaluru";
    struct hit hit = plain_hit();
    hit.url = slice_of(texts);
    hit.host = slice_of(texts + 21);
    hit.referrer = slice_of(texts + 33);
    hit.has_stream = true;
    hit.stream = (struct hit_stream){.boot = {{7}}, .partition = 3};
    hit.seq = 42;
    hit.flags = HIT_FLAG_PREFETCH;
    struct place place = {.country = slice_of(texts + 57),
                          .state = slice_of(texts + 60),
                          .city = slice_of(texts + 70),
                          .source = GEO_MMDB,
                          .geodata = SLICE("{}")};
    struct batch_position at = {3, 100, {1738470000500}};
    batch_add_hit(batch, &at, &hit, &place);
    memset(texts, 'x', sizeof texts);

    const struct batch_hit *kept = &batch->hits[0];
    assert_int_equal(batch->hit_count, 1);
    assert_true(slice_equals(kept->url, SLICE("https://example.com/")));
    assert_true(slice_equals(kept->host, SLICE("example.com")));
    assert_true(slice_equals(kept->referrer, SLICE("https://search.example/")));
    assert_true(slice_equals(kept->country, SLICE("IN")));
    assert_true(slice_equals(kept->state, SLICE("Karnataka")));
    assert_true(slice_equals(kept->city, SLICE("Bengaluru")));
    assert_true(kept->has_stream && kept->is_bot && !kept->is_duplicate);
    assert_int_equal(kept->seq, 42);
    assert_int_equal(kept->stream.boot.bytes[0], 7);
    assert_int_equal(kept->at.offset, 100);
    assert_int_equal(kept->event_time.ms, 1738470000000);
    assert_int_equal(kept->home, partition_of_key(SLICE("example.com|203.0.113.7"), PARTITIONS));
    assert_int_equal(batch->next_offsets[3], 101);
}

static void only_flags_of_bots_make_a_bot(void **state)
{
    struct batch *batch = *state;
    struct hit hit = plain_hit();
    hit.flags = HIT_FLAG_CLEANED | HIT_FLAG_PRIVACY;
    add(batch, 0, &hit);
    hit.flags |= HIT_FLAG_NO_AGENT;
    add(batch, 1, &hit);
    assert_false(batch->hits[0].is_bot);
    assert_true(batch->hits[1].is_bot);
}

/* Rows stand one after the other, each as row_add_hit writes it. */
static void each_hit_knows_the_span_of_its_row(void **state)
{
    struct batch *batch = *state;
    char memory[4096];
    struct buf row;
    uint32_t end = 0;
    for (int64_t i = 0; i < 1000; i++) {
        char url[64];
        snprintf(url, sizeof url, "https://example.com/%0*d", (int)i % 30 + 1, (int)i);
        struct hit hit = plain_hit();
        hit.url = slice_of(url);
        hit.user_agent = SLICE("");
        add(batch, i, &hit);
        const struct batch_hit *kept = &batch->hits[i];
        buf_init(&row, memory, sizeof memory);
        row_add_hit(&row, &kept->at, &hit, &nowhere, 0);
        assert_int_equal(kept->row_start, end);
        assert_int_equal(kept->row_len, row.len);
        assert_memory_equal(batch->rows.data + kept->row_start, row.data, row.len);
        end += kept->row_len;
    }
    assert_int_equal(batch->rows.len, end);
}

static void agents_are_listed_once(void **state)
{
    struct batch *batch = *state;
    struct hit hit = plain_hit();
    for (int i = 0; i < 3000; i++) {
        char agent[32];
        snprintf(agent, sizeof agent, "agent %d", i % 1000);
        hit.user_agent = slice_of(agent);
        add(batch, i, &hit);
    }
    hit.user_agent = SLICE("");
    add(batch, 3000, &hit);
    assert_int_equal(batch->agent_count, 1000);
    assert_true(slice_equals(batch->agents[17].text, SLICE("agent 17")));
    for (size_t i = 1; i < batch->agent_count; i++)
        assert_true(batch->agents[i].id != batch->agents[i - 1].id);
    /* The same text has the same id in every batch. */
    int64_t id = batch->agents[17].id;
    batch_clear(batch);
    hit.user_agent = SLICE("agent 17");
    add(batch, 0, &hit);
    assert_int_equal(batch->agent_count, 1);
    assert_true(batch->agents[0].id == id);
}

static void days_are_listed_once(void **state)
{
    struct batch *batch = *state;
    static const struct {
        int64_t time;
        int32_t day;
    } cases[] = {{0, 0},        {DAY_MS - 1, 0},   {DAY_MS, 1},           {-1, -1},
                 {-DAY_MS, -1}, {-DAY_MS - 1, -2}, {1738470000000, 20121}};
    static const int32_t wanted[] = {0, 1, -1, -2, 20121};
    for (int64_t round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct hit hit = plain_hit();
            hit.event_time.ms = cases[i].time;
            add(batch, round * 100 + (int64_t)i, &hit);
        }
    assert_int_equal(batch->day_count, sizeof wanted / sizeof wanted[0]);
    assert_memory_equal(batch->days, wanted, sizeof wanted);
}

static void as_many_days_and_agents_as_hits_fit(void **state)
{
    struct batch *batch = *state;
    for (int64_t i = 0; i < BATCH_MAX_HITS; i++) {
        assert_true(batch_has_room(batch, SIZE_MAX));
        char agent[32];
        snprintf(agent, sizeof agent, "agent %d", (int)i);
        struct hit hit = plain_hit();
        hit.user_agent = slice_of(agent);
        hit.event_time.ms = i * 16384 * DAY_MS / 100; /* hashes that may meet */
        add(batch, i, &hit);
    }
    assert_false(batch_has_room(batch, SIZE_MAX));
    assert_int_equal(batch->agent_count, BATCH_MAX_HITS);
    assert_int_equal(batch->day_count, BATCH_MAX_HITS);
}

static void every_message_moves_its_offset(void **state)
{
    struct batch *batch = *state;
    struct batch_position at = {5, 7, {0}};
    batch_pass(batch, &at);
    assert_false(batch_is_empty(batch));
    assert_int_equal(batch->next_offsets[5], 8);
    at.offset = 20; /* gaps are legal */
    batch_add_reject(batch, &at, SLICE("not json"), SLICE("{"));
    assert_int_equal(batch->next_offsets[5], 21);
    assert_int_equal(batch->next_offsets[3], -1);
    assert_int_equal(batch->message_count, 2);
    assert_int_equal(batch->reject_count, 1);
    assert_int_equal(batch->hit_count, 0);
    assert_true(batch_has_room(batch, 3));
    assert_false(batch_has_room(batch, 2));
}

static void what_is_said_of_streams_is_kept(void **state)
{
    struct batch *batch = *state;
    char reason[2 * CONTROL_MAX_REASON];
    memset(reason, 'x', sizeof reason);
    struct batch_position at = {5, 20, {1738470000123}};
    struct control said = {
        .kind = CONTROL_SKIP, .stream = {.partition = 5}, .from = 2, .last = 3, .reason = {reason, 4}};
    batch_pass(batch, &at);
    batch_note_control(batch, &at, &said);
    at = (struct batch_position){5, 21, {1738470000456}};
    said.reason.len = sizeof reason;
    batch_add_reject(batch, &at, SLICE("not json"), SLICE("{"));
    batch_note_control(batch, &at, &said);
    memset(reason, 'y', sizeof reason); /* copied */
    assert_int_equal(batch->control_count, 2);
    assert_true(slice_equals(batch->controls[0].control.reason, SLICE("xxxx")));
    assert_int_equal(batch->controls[1].control.reason.len, CONTROL_MAX_REASON);
    assert_int_equal(batch->controls[1].at.offset, 21);
    assert_int_equal(batch->last_written[5].ms, 1738470000456);
    assert_int_equal(batch->message_count, 2);
    batch_clear(batch);
    assert_int_equal(batch->control_count, 0);
}

static void a_reject_is_a_row_of_its_bytes(void **state)
{
    struct batch *batch = *state;
    struct batch_position at = {5, 20, {1738470000123}};
    batch_add_reject(batch, &at, SLICE("not json"), (slice){"\0\xff{", 3});
    char memory[256];
    struct buf row;
    buf_init(&row, memory, sizeof memory);
    row_begin(&row, 6);
    row_add_text(&row, SLICE("hits"));
    row_add_int32(&row, 5);
    row_add_int64(&row, 20);
    row_add_timestamp(&row, at.written);
    row_add_text(&row, SLICE("not json"));
    row_add_bytes(&row, (slice){"\0\xff{", 3});
    assert_int_equal(batch->rejects.len, row.len);
    assert_memory_equal(batch->rejects.data, row.data, row.len);
}

/* A message of another program may be larger than any hit: it is cut, and the batch ends before its bound. */
static void large_rejects_fill_a_batch(void **state)
{
    struct batch *batch = *state;
    static char raw[HIT_MAX_BYTES + 1000];
    struct batch_position at = {5, 0, {0}};
    for (; batch_has_room(batch, SIZE_MAX); at.offset++)
        batch_add_reject(batch, &at, SLICE("too big"), (slice){raw, sizeof raw});
    assert_in_range(batch->rejects.len, BATCH_MAX_BYTES - 2 * HIT_MAX_BYTES, BATCH_MAX_BYTES);
    assert_true(batch->reject_count < REJECTS_MAX_EXPECTED);
    assert_true(batch->rejects.len < batch->reject_count * (HIT_MAX_BYTES + 100));
}

/* The longest hit that the decoder lets through fits, as often as there is room. */
static void long_hits_fill_a_batch(void **state)
{
    struct batch *batch = *state;
    static char text[HIT_MAX_URL];
    memset(text, 'x', sizeof text);
    struct hit hit = plain_hit();
    hit.url = (slice){text, HIT_MAX_URL};
    hit.referrer = (slice){text, HIT_MAX_REFERRER};
    hit.host = (slice){text, HIT_MAX_HOST};
    for (int64_t i = 0; batch_has_room(batch, SIZE_MAX); i++) {
        char agent[HIT_MAX_USER_AGENT];
        memset(agent, 'x', sizeof agent);
        snprintf(agent, sizeof agent, "%lld", (long long)i);
        hit.user_agent = (slice){agent, sizeof agent};
        add(batch, i, &hit);
    }
    assert_in_range(batch->rows.len, BATCH_MAX_BYTES - 64 * 1024, BATCH_MAX_BYTES);
    assert_true(batch->hit_count < BATCH_MAX_HITS);
}

static void a_cleared_batch_is_as_new(void **state)
{
    struct batch *batch = *state;
    struct hit hit = plain_hit();
    for (int64_t round = 0; round < 3; round++) {
        add(batch, round, &hit);
        struct batch_position at = {5, round, {0}};
        batch_add_reject(batch, &at, SLICE("not json"), SLICE("{"));
        assert_int_equal(batch->hits[0].row_start, 0);
        assert_int_equal(batch->agent_count, 1);
        assert_int_equal(batch->day_count, 1);
        batch_clear(batch);
        a_new_batch_is_empty(state);
        assert_int_equal(batch->rows.len + batch->rejects.len, 0);
        assert_int_equal(batch->hit_count + batch->reject_count + batch->agent_count + batch->day_count, 0);
    }
}

/* ---- Places that come later ---- */

static const struct place pune = {
    .country = {"IN", 2},
    .state = {"Maharashtra", 11},
    .city = {"Pune", 4},
    .latitude = 18.5F,
    .longitude = 73.75F,
    .has_coordinates = true,
    .source = GEO_API,
    .geodata = {"{\"country\": \"IN\", \"state\": \"Maharashtra\", \"city\": \"Pune\"}", 58}};

static struct hit full_hit(int number)
{
    struct hit hit = plain_hit();
    hit.has_id = number % 2 == 0;
    hit.has_received_time = number % 3 == 0;
    hit.flags = (uint32_t)number;
    if (number % 5 == 0)
        hit.referrer = (slice){NULL, 0};
    hit.ip.bytes[12] = 8; /* no private address */
    hit.ip.bytes[15] = (uint8_t)number;
    return hit;
}

static void add_at(struct batch *batch, int number, const struct place *place)
{
    struct hit hit = full_hit(number);
    struct batch_position at = {3, number, {1738470000500}};
    batch_add_hit(batch, &at, &hit, place);
}

static slice row_of(const struct batch *batch, size_t i)
{
    return (slice){batch->rows.data + batch->hits[i].row_start, batch->hits[i].row_len};
}

/* Every second address is answered: its rows are those that it would have had at once. */
static void a_provisional_place_is_replaced(void **state)
{
    struct batch *batch = *state, *expected = batch_new("hits", PARTITIONS);
    struct place_cache *cache = place_cache_new(1000);
    struct why why;
    struct places *places = places_open("", &why);
    enum { HITS = 200 };
    places_ask_service(places, cache, 64);
    for (int i = 0; i < HITS; i++)
        add_at(batch, i, places_find(places, full_hit(i).ip));
    assert_int_equal(batch->provisional_count, HITS);
    for (int i = 0; i < HITS; i++) {
        assert_true(batch_awaits_places(batch, places));
        place_cache_put(cache, full_hit(i).ip, i % 2 == 0 ? &pune : NULL, (wall_ms){1});
    }
    assert_false(batch_awaits_places(batch, places));
    batch_settle_places(batch, places);
    assert_int_equal(batch->provisional_count, 0);
    for (int i = 0; i < HITS; i++) {
        add_at(expected, i, i % 2 == 0 ? &pune : &nowhere);
        assert_true(slice_equals(row_of(batch, (size_t)i), row_of(expected, (size_t)i)));
        assert_true(slice_equals(batch->hits[i].country, expected->hits[i].country));
        assert_true(slice_equals(batch->hits[i].state, expected->hits[i].state));
        assert_true(slice_equals(batch->hits[i].city, expected->hits[i].city));
    }
    places_close(&places);
    place_cache_free(&cache);
    batch_free(&expected);
}

static void a_full_batch_keeps_its_places(void **state)
{
    struct batch *batch = *state;
    struct place_cache *cache = place_cache_new(1000);
    struct why why;
    struct places *places = places_open("", &why);
    static char url[HIT_MAX_URL];
    memset(url, 'u', sizeof url);
    places_ask_service(places, cache, 64);
    int count = 0;
    while (batch_has_room(batch, SIZE_MAX)) {
        struct hit hit = full_hit(count++ % 200);
        struct batch_position at = {3, count, {1738470000500}};
        hit.url = hit.referrer = (slice){url, sizeof url};
        batch_add_hit(batch, &at, &hit, places_find(places, hit.ip));
    }
    size_t len = batch->rows.len;
    for (int i = 0; i < 200; i++)
        place_cache_put(cache, full_hit(i).ip, &pune, (wall_ms){1});
    batch_settle_places(batch, places);
    assert_in_range(batch->rows.len, len, BATCH_MAX_BYTES);
    assert_int_equal(batch->hits[count - 1].country.len, 0); /* no room: as the files had it */
    places_close(&places);
    place_cache_free(&cache);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_batch_is_empty),
        TEST(a_hit_is_kept_without_its_message),
        TEST(only_flags_of_bots_make_a_bot),
        TEST(each_hit_knows_the_span_of_its_row),
        TEST(agents_are_listed_once),
        TEST(days_are_listed_once),
        TEST(as_many_days_and_agents_as_hits_fit),
        TEST(every_message_moves_its_offset),
        TEST(what_is_said_of_streams_is_kept),
        TEST(a_reject_is_a_row_of_its_bytes),
        TEST(large_rejects_fill_a_batch),
        TEST(long_hits_fill_a_batch),
        TEST(a_cleared_batch_is_as_new),
        TEST(a_provisional_place_is_replaced),
        TEST(a_full_batch_keeps_its_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
