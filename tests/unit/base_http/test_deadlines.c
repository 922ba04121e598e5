/* SPDX-License-Identifier: Apache-2.0
 * What happens when time passes: each wait of a connection ends. The limits are short here; the tests wait
 * for what follows, however long it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/http/conn.h"
#include "tests/unit/base_http/bench.h"

enum { SHORT_MS = 150, NEVER_MS = 1000000 };

static void start_with(struct bench *bench, void (*shorten)(struct http_limits *limits))
{
    struct http_server_options options = bench_options();
    struct http_limits *limits = &options.limits;
    limits->head_deadline_ms = limits->request_deadline_ms = limits->answer_deadline_ms = NEVER_MS;
    limits->idle_ms = limits->stall_ms = limits->max_life_ms = NEVER_MS;
    shorten(limits);
    bench_start(bench, &options);
}

/* Reads until the end; the text starts so. */
static void expect_last(struct bench *bench, int fd, const char *start)
{
    char text[4096];
    size_t len;
    assert_true(bench_read_all(bench, fd, text, sizeof(text), &len));
    assert_true(len >= strlen(start));
    assert_memory_equal(text, start, strlen(start));
    text[len] = '\0';
    if (len > 0)
        assert_non_null(strstr(text, "Connection: close\r\n"));
    close(fd);
    bench_wait_for_open(bench, 0);
}

static void shorten_head(struct http_limits *limits)
{
    limits->head_deadline_ms = SHORT_MS;
}

static void shorten_request(struct http_limits *limits)
{
    limits->request_deadline_ms = SHORT_MS;
}

static void shorten_answer(struct http_limits *limits)
{
    limits->answer_deadline_ms = SHORT_MS;
}

static void shorten_idle(struct http_limits *limits)
{
    limits->idle_ms = SHORT_MS;
}

static void shorten_stall(struct http_limits *limits)
{
    limits->stall_ms = SHORT_MS;
}

static void shorten_life(struct http_limits *limits)
{
    limits->max_life_ms = SHORT_MS;
}

static void shorten_nothing(struct http_limits *limits)
{
    (void)limits;
}

static void half_a_head_is_waited_for_so_long(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_head);
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /ok HTTP/1.1\r\nHo"));
    expect_last(bench, fd, "HTTP/1.1 408 Request Timeout\r\n");
    assert_int_equal(http_server_counters(bench->server)->deadlines_total, 1);
    bench_end(bench);
}

/* Bytes that keep coming do not put the deadline off. */
static void a_trickle_is_cut_off(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_head);
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /ok HTTP/1.1\r\nX: "));
    while (http_server_counters(bench->server)->deadlines_total == 0) {
        bench_send(bench, fd, SLICE("x"));
        usleep(10000);
        bench_turn(bench);
    }
    expect_last(bench, fd, "HTTP/1.1 408 Request Timeout\r\n");
    bench_end(bench);
}

static void half_a_body_is_waited_for_so_long(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_request);
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1"));
    expect_last(bench, fd, "HTTP/1.1 408 Request Timeout\r\n");
    bench_end(bench);
}

/* The second request's time begins with its own first byte, wherever the first one ended. */
static void half_a_request_behind_a_whole_one_too(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_request);
    int fd = bench_connect(bench);
    bench_send(bench, fd,
               SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n"
                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1"));
    bench_expect(bench, fd, SLICE("HTTP/1.1 204 No Content\r\n\r\n"));
    expect_last(bench, fd, "HTTP/1.1 408 Request Timeout\r\n");
    bench_end(bench);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_idle);
    int silent = bench_connect(bench), kept = bench_connect(bench);
    bench_send(bench, kept, SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_expect(bench, kept, SLICE("HTTP/1.1 204 No Content\r\n\r\n"));
    bench_expect_end(bench, silent);
    bench_expect_end(bench, kept);
    assert_int_equal(http_server_counters(bench->server)->deadlines_total, 0);
    bench_end(bench);
}

static void a_handler_that_is_silent_is_answered_for(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_answer);
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /ok HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_last(bench, fd,
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Length: 18\r\nRetry-After: 1\r\nConnection: close\r\n\r\nno answer in time\n");
    assert_int_equal(http_server_counters(bench->server)->unanswered_total, 1);
    assert_memory_equal(bench->later[0]->path.data, "/later", 6);
    bench_answer(bench, SLICE("too late"));
    assert_int_equal(exchanges_orphan_count(bench->server->exchanges), 0);
    bench_end(bench);
}

static void who_does_not_read_is_closed(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_stall);
    int fd = bench_adopt_narrow(bench);
    bench_send(bench, fd, SLICE("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_wait_for_open(bench, 1);
    bench_wait_for_open(bench, 0);
    assert_int_equal(http_server_counters(bench->server)->stalled_total, 1);
    assert_int_equal(bench->server->pending_bytes, 0);
    close(fd);
    bench_end(bench);
}

/* The deadline passes at two moments of the test's own choice: some bytes were read before the first, none
 * before the second. */
static void who_reads_slowly_is_not_closed(void **state)
{
    struct bench *bench = *state;
    char some[64 * 1024];
    start_with(bench, shorten_nothing);
    int fd = bench_adopt_narrow(bench);
    bench_send(bench, fd, SLICE("GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_read(bench, fd, some, sizeof(some));
    usleep(2000);
    bench_turn(bench);
    mono_ms now = server_now(bench->server);
    wheel_advance(&bench->server->wheel, (mono_ms){now.ms + NEVER_MS - 1}, conn_expire);
    assert_int_equal(http_server_counters(bench->server)->stalled_total, 0);
    wheel_advance(&bench->server->wheel, (mono_ms){now.ms + 3 * NEVER_MS}, conn_expire);
    assert_int_equal(http_server_counters(bench->server)->stalled_total, 1);
    bench_wait_for_open(bench, 0);
    close(fd);
    bench_end(bench);
}

static void a_loop_that_was_held_up_does_not_blame_its_peers(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_idle);
    int fd = bench_adopt(bench);
    bench_turn(bench);
    usleep(5 * SHORT_MS * 1000);
    bench_send(bench, fd, SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n"));
    bench_expect(bench, fd, SLICE("HTTP/1.1 204 No Content\r\n\r\n"));
    bench_expect_end(bench, fd);
    bench_end(bench);
}

static void an_old_connection_is_closed_after_its_next_reply(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_life);
    int fd = bench_connect(bench);
    bench_wait_for_open(bench, 1);
    mono_ms since = mono_now();
    while (mono_now().ms - since.ms <= SHORT_MS)
        bench_turn(bench);
    bench_send(bench, fd, SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect_last(bench, fd, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    bench_end(bench);
}

/* The peer has its reply and never closes. */
static void lingering_ends(void **state)
{
    struct bench *bench = *state;
    start_with(bench, shorten_idle);
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("bad\r\n\r\n"));
    bench_wait_for_open(bench, 1);
    bench_wait_for_open(bench, 0);
    close(fd);
    bench_end(bench);
}

static int make(void **state)
{
    static struct bench bench;
    *state = &bench;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_head_is_waited_for_so_long),
        cmocka_unit_test(a_trickle_is_cut_off),
        cmocka_unit_test(half_a_body_is_waited_for_so_long),
        cmocka_unit_test(half_a_request_behind_a_whole_one_too),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_handler_that_is_silent_is_answered_for),
        cmocka_unit_test(who_does_not_read_is_closed),
        cmocka_unit_test(who_reads_slowly_is_not_closed),
        cmocka_unit_test(a_loop_that_was_held_up_does_not_blame_its_peers),
        cmocka_unit_test(an_old_connection_is_closed_after_its_next_reply),
        cmocka_unit_test(lingering_ends),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
