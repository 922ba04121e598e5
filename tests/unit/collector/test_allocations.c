/* SPDX-License-Identifier: Apache-2.0
 * A collector that has warmed up asks for no memory, whatever comes in.
 *
 * libuv is given functions that count; our own code is counted anyway. librdkafka copies each hit into memory
 * of its own: that is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/allocations.h"
#include "tests/unit/collector/stage.h"

#define JSON "Content-Type: application/json\r\nOrigin: https://example.com\r\nAccept-Language: de\r\n"
#define HIT  "{\"url\":\"https://example.com/\",\"title\":\"a\\u00e4\\u0001\"}"
#define SAME "{\"url\":\"https://example.com/\",\"id\":\"same\"}"

/* One of each: a hit, an array, a repeat, a pixel, refusals. */
static void send_everything(struct stage *stage, int fd)
{
    stage_post(stage, fd, JSON, HIT);
    stage_expect(stage, fd, 204);
    stage_post(stage, fd, JSON, "[" HIT "," HIT "," HIT "]");
    stage_expect(stage, fd, 204);
    stage_post(stage, fd, JSON, SAME);
    stage_expect(stage, fd, 204);
    stage_get(stage, fd, "/v1/hit.gif?url=http%3A%2F%2Fexample.com%2F%FF", "");
    stage_expect(stage, fd, 200);
    stage_post(stage, fd, JSON, "[" HIT ",7]");
    stage_expect(stage, fd, 400);
    stage_post(stage, fd, JSON, "{\"url\":\"http://stranger.com/\"}");
    stage_expect(stage, fd, 403);
}

static void a_warm_collector_asks_for_no_memory(void **state)
{
    static struct stage stage;
    (void)state;
    assert_int_equal(uv_replace_allocator(allocations_malloc, allocations_realloc, allocations_calloc, free),
                     0);
    stage_start_ready(&stage, NULL);
    int fd = bench_connect(&stage.bench);
    for (int round = 0; round < 5; round++)
        send_everything(&stage, fd);
    assert_true(allocations_count() > 0); /* the counting works */
    size_t before = allocations_count();
    for (int round = 0; round < 30; round++)
        send_everything(&stage, fd);
    assert_int_equal(allocations_count(), before);
    close(fd);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_collector_asks_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
