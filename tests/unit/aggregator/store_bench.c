/* SPDX-License-Identifier: Apache-2.0
 * store_bench: see the header. */
#include "tests/unit/aggregator/store_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/migrate.h"

#define TEMPLATE "store_template"

int store_bench_make_template(void **state)
{
    (void)state;
    struct migrate_report report;
    struct why why;
    return migrate_run(postgres_make(TEMPLATE, NULL), &report, &why) == STATUS_OK ? 0 : -1;
}

static void start_store(struct store_bench *bench, struct store_options options)
{
    options.conninfo = bench->conninfo;
    options.topic = BENCH_TOPIC;
    options.gap_ms = BENCH_GAP_MS;
    options.max_open_sessions = 100000;
    bench->store = store_new(&bench->loop, &options);
    store_set_cluster(bench->store, BENCH_CLUSTER, BENCH_PARTITIONS);
}

void store_bench_replace_store(struct store_bench *bench, struct store_options options)
{
    store_close(&bench->store, NULL, NULL);
    start_store(bench, options);
}

void store_bench_start(struct store_bench *bench, const char *conninfo)
{
    memset(bench, 0, sizeof *bench);
    bench->conninfo = strdup(conninfo);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    start_store(bench, (struct store_options){0});
    struct merge_rules rules = {
        .topic = BENCH_TOPIC, .gap_ms = BENCH_GAP_MS, .lateness_ms = 15000, .max_closed = 5000};
    bench->merge = merge_new(&rules);
    bench->batch = batch_new(BENCH_TOPIC, BENCH_PARTITIONS);
    for (int i = 0; i < BENCH_PARTITIONS; i++)
        bench->quiet_ms[i] = -1;
}

static void note_closed(void *context)
{
    *(bool *)context = true;
}

void store_bench_stop(struct store_bench *bench)
{
    bool is_closed = false;
    store_close(&bench->store, note_closed, &is_closed);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    merge_free(&bench->merge);
    batch_free(&bench->batch);
    free(bench->conninfo);
}

int store_bench_set_up(void **state)
{
    struct store_bench *bench = must_malloc(sizeof *bench);
    store_bench_start(bench, postgres_make("store_test", TEMPLATE));
    bench->admin = postgres_connect(bench->conninfo);
    *state = bench;
    return 0;
}

int store_bench_tear_down(void **state)
{
    struct store_bench *bench = *state;
    postgres_disconnect(bench->admin);
    store_bench_stop(bench);
    postgres_drop("store_test");
    free(bench);
    return 0;
}

static void wait_for_answer(struct store_bench *bench)
{
    assert_true(store_is_busy(bench->store));
    while (!bench->is_answered)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_false(store_is_busy(bench->store));
}

static void on_claimed(void *context, const struct store_result *result, struct claim *claim)
{
    struct store_bench *bench = context;
    bench->is_answered = true;
    bench->result = *result;
    bench->claim = claim;
    assert_int_equal(claim != NULL, result->outcome == STORE_DONE);
}

struct claim *store_bench_claim(struct store_bench *bench, int partition)
{
    bench->is_answered = false;
    store_claim(bench->store, partition, on_claimed, bench);
    wait_for_answer(bench);
    return bench->claim;
}

static void on_written(void *context, const struct store_result *result)
{
    struct store_bench *bench = context;
    bench->is_answered = true;
    bench->result = *result;
}

enum store_outcome store_bench_write(struct store_bench *bench, struct claim **claims, size_t claim_count)
{
    bench->is_answered = false;
    struct store_batch batch = {.batch = bench->batch,
                                .merge = bench->merge,
                                .claims = claims,
                                .claim_count = claim_count,
                                .quiet_ms = bench->quiet_ms};
    store_write(bench->store, &batch, on_written, bench);
    wait_for_answer(bench);
    return bench->result.outcome;
}

enum store_outcome store_bench_keep_halt(struct store_bench *bench, const struct claim *claim,
                                         const char *reason)
{
    bench->is_answered = false;
    struct store_halt halt = {claim->partition, claim->owner, reason};
    store_keep_halt(bench->store, &halt, on_written, bench);
    wait_for_answer(bench);
    return bench->result.outcome;
}

void store_bench_add_hit(struct store_bench *bench, int partition, int64_t number)
{
    struct place place;
    memset(&place, 0, sizeof place);
    wall_ms time = {1738470000000 + number}; /* 2025-02-02T04:20:00Z */
    struct batch_position at = {partition, 100 + number, time};
    struct hit hit = {.url = SLICE("https://example.com/page"),
                      .host = SLICE("example.com"),
                      .user_agent = SLICE("Mozilla/5.0 (a test)"),
                      .event_time = time,
                      .source = HIT_BEACON,
                      .has_stream = true,
                      .stream = {.boot = {{7}}, .partition = partition},
                      .seq = number + 1};
    assert_int_equal(ip_read(SLICE("203.0.113.7"), &hit.ip), STATUS_OK);
    batch_add_hit(bench->batch, &at, &hit, &place);
    bench->batch->hits[bench->batch->hit_count - 1].home = partition;
}

void store_bench_ask(struct store_bench *bench, const char *sql, const char *wanted)
{
    assert_string_equal(postgres_ask(bench->admin, "%s", sql), wanted);
}

void store_bench_end_backends(struct store_bench *bench)
{
    postgres_do(bench->admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                              " WHERE application_name = 'footfall-aggregator'");
}
