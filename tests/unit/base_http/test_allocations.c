/* SPDX-License-Identifier: Apache-2.0
 * A server that has warmed up asks for no memory, whatever it answers; and an idle connection holds little.
 *
 * libuv is given functions that count; our own code is counted anyway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/allocations.h"
#include "tests/unit/base_http/bench.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
static const slice ok = SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
static const slice no_content = SLICE("HTTP/1.1 204 No Content\r\n\r\n");

/* One of each: kept, in two pieces, pipelined, answered later, refused, on a connection of its own. */
static void ask_everything(struct bench *bench, int kept)
{
    bench_send(bench, kept, SLICE(GET("/ok")));
    bench_expect(bench, kept, ok);
    bench_send(bench, kept, SLICE("POST /hit HTTP/1.1\r\nHost: a\r\nContent-"));
    bench_turn(bench);
    bench_send(bench, kept, SLICE("Length: 3\r\n\r\nabc" GET("/ok") GET("/ok")));
    bench_expect(bench, kept, no_content);
    bench_expect(bench, kept, ok);
    bench_expect(bench, kept, ok);
    bench->later_count = bench->answered_count = 0;
    bench_send(bench, kept, SLICE(GET("/later")));
    bench_wait_for_later(bench, 1);
    bench_answer(bench, SLICE("ok"));
    bench_expect(bench, kept, ok);
    bench_talk(bench, SLICE("GET /ok HTTP/1.1\r\n\r\n"));
    bench_wait_for_open(bench, 1);
}

static void a_warm_server_asks_for_no_memory(void **state)
{
    static struct bench bench;
    struct http_server_options options = bench_options();
    (void)state;
    options.limits.max_requests = 1000000;
    assert_int_equal(uv_replace_allocator(allocations_malloc, allocations_realloc, allocations_calloc, free),
                     0);
    bench_start(&bench, &options);
    int kept = bench_connect(&bench);
    for (int round = 0; round < 10; round++)
        ask_everything(&bench, kept);
    assert_true(allocations_count() > 0); /* the counting works */
    size_t before = allocations_count();
    for (int round = 0; round < 100; round++)
        ask_everything(&bench, kept);
    assert_int_equal(allocations_count(), before);
    close(kept);
    bench_end(&bench);
}

static void an_idle_connection_holds_no_exchange(void **state)
{
    enum { COUNT = 200 };
    static struct bench bench;
    struct http_server_options options = bench_options();
    (void)state;
    bench_start(&bench, &options);
    int fds[COUNT];
    size_t before = 0;
    for (int i = 0; i < COUNT; i++) { /* one after the other, so that all use the same exchange */
        fds[i] = bench_connect(&bench);
        bench_send(&bench, fds[i], SLICE(GET("/ok")));
        bench_expect(&bench, fds[i], ok);
        if (i == COUNT / 2)
            before = allocations_count();
    }
    /* A struct for each, and libuv's table of descriptors. */
    assert_true(allocations_count() - before <= COUNT / 2 + 4);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    bench_wait_for_open(&bench, 0);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_server_asks_for_no_memory),
        cmocka_unit_test(an_idle_connection_holds_no_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
