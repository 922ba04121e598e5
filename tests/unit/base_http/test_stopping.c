/* SPDX-License-Identifier: Apache-2.0
 * How a server ends: what is under way is answered, what comes new is not, and nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

enum { NEVER_MS = 1000000 };

#define CLOSED_OK(body)                                                                                      \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n" body

static void note_stopped(void *context)
{
    bool *is_stopped = context;
    *is_stopped = true;
}

static void an_empty_server_stops_at_once(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped);
    assert_false(is_stopped); /* never before the call returns */
    bench_wait(bench, &is_stopped);
    assert_int_equal(uv_run(&bench->loop, UV_RUN_NOWAIT), 0);
}

static void idle_connections_are_closed(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int silent = bench_connect(bench), kept = bench_connect(bench);
    bench_wait_for_open(bench, 2);
    bench_send(bench, kept, SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_expect(bench, kept, SLICE("HTTP/1.1 204 No Content\r\n\r\n"));
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped);
    bench_wait(bench, &is_stopped);
    bench_expect_end(bench, silent);
    bench_expect_end(bench, kept);
}

static void what_is_under_way_is_answered_and_what_is_behind_it_is_not(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /ok HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_wait_for_later(bench, 1);
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped);
    for (int turns = 0; turns < 5; turns++)
        bench_turn(bench);
    assert_false(is_stopped);
    bench_answer(bench, SLICE("ok"));
    bench_expect(bench, fd, SLICE(CLOSED_OK("ok")));
    bench_expect_end(bench, fd);
    bench_wait(bench, &is_stopped);
    assert_int_equal(http_server_counters(bench->server)->requests_total, 1);
}

static void a_request_that_is_half_here_is_finished(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int fd = bench_adopt(bench);
    bench_send(bench, fd, SLICE("GET /ok HTTP/1.1\r\nHo"));
    bench_turn(bench);
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped);
    bench_send(bench, fd, SLICE("st: a\r\n\r\nGET /ok HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_expect(bench, fd, SLICE(CLOSED_OK("ok")));
    bench_expect_end(bench, fd);
    bench_wait(bench, &is_stopped);
}

static void a_request_that_comes_with_the_stop_gets_503(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int fd = bench_adopt(bench);
    bench_send(bench, fd, SLICE("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"));
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped); /* the loop has not seen it yet */
    bench_expect(bench, fd,
                 SLICE("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
                       "Content-Length: 9\r\nRetry-After: 1\r\nConnection: close\r\n\r\nstopping\n"));
    bench_expect_end(bench, fd);
    bench_wait(bench, &is_stopped);
}

static void after_the_deadline_the_rest_is_closed(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int waiting = bench_connect(bench), half = bench_connect(bench);
    bench_send(bench, waiting, SLICE("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_send(bench, half, SLICE("GET /ok HTT"));
    bench_wait_for_later(bench, 1);
    http_server_stop(bench->server, 150, note_stopped, &is_stopped);
    bench_wait(bench, &is_stopped);
    close(waiting);
    close(half);
    http_server_free(&bench->server);
    assert_memory_equal(bench->later[0]->path.data, "/later", 6); /* the handler's until it answers */
    bench_answer(bench, SLICE("nobody is there"));
    struct http_server_options options = bench_options();
    bench->server = http_server_start(&bench->loop, &options, "test.listen", &(struct why){.text = ""});
    assert_non_null(bench->server);
}

static void nobody_gets_in_any_more(void **state)
{
    struct bench *bench = *state;
    bool is_stopped = false;
    int port = http_server_port(bench->server);
    assert_true(port > 0);
    int waiting = bench_connect(bench), fd = -1;
    bench_send(bench, waiting, SLICE("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_wait_for_later(bench, 1);
    fd = bench_connect(bench); /* in the backlog: reset by the stop */
    http_server_stop(bench->server, NEVER_MS, note_stopped, &is_stopped);
    char byte;
    size_t len;
    assert_false(bench_read_all(bench, fd, &byte, 1, &len));
    close(fd);
    bench_answer(bench, SLICE("ok"));
    bench_expect(bench, waiting, SLICE(CLOSED_OK("ok")));
    bench_expect_end(bench, waiting);
    bench_wait(bench, &is_stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(an_empty_server_stops_at_once),
        BENCH_TEST(idle_connections_are_closed),
        BENCH_TEST(what_is_under_way_is_answered_and_what_is_behind_it_is_not),
        BENCH_TEST(a_request_that_is_half_here_is_finished),
        BENCH_TEST(a_request_that_comes_with_the_stop_gets_503),
        BENCH_TEST(after_the_deadline_the_rest_is_closed),
        BENCH_TEST(nobody_gets_in_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
