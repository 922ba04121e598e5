/* SPDX-License-Identifier: Apache-2.0
 * How many get in: all together, from one address, and when descriptors run out. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

static const slice hit = SLICE("POST /hit HTTP/1.1\r\nHost: a\r\n\r\n");
static const slice hit_reply = SLICE("HTTP/1.1 204 No Content\r\n\r\n");

static int connect_from(struct bench *bench, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(bench->server))};
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void expect_in(struct bench *bench, int fd)
{
    bench_send(bench, fd, hit);
    bench_expect(bench, fd, hit_reply);
}

static void all_together(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    options.limits.max_connections = 3;
    bench_start(bench, &options);
    int in[3];
    for (int i = 0; i < 3; i++)
        expect_in(bench, in[i] = bench_connect(bench));
    bench_expect_end(bench, bench_connect(bench));
    bench_expect_end(bench, bench_connect(bench));
    assert_int_equal(http_server_counters(bench->server)->connections_refused_total, 2);
    expect_in(bench, in[0]);
    close(in[0]);
    bench_wait_for_open(bench, 2);
    expect_in(bench, in[0] = bench_connect(bench));
    for (int i = 0; i < 3; i++)
        close(in[i]);
    bench_end(bench);
}

static void from_one_address(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    ip_range exempt;
    assert_int_equal(ip_range_read(SLICE("127.0.0.3/32"), &exempt), STATUS_OK);
    options.exempt = &exempt;
    options.exempt_count = 1;
    options.limits.max_connections_per_address = 2;
    bench_start(bench, &options);
    int in[7], count = 0;
    expect_in(bench, in[count++] = connect_from(bench, "127.0.0.1"));
    expect_in(bench, in[count++] = connect_from(bench, "127.0.0.1"));
    bench_expect_end(bench, connect_from(bench, "127.0.0.1"));
    expect_in(bench, in[count++] = connect_from(bench, "127.0.0.2"));
    for (int i = 0; i < 4; i++)
        expect_in(bench, in[count++] = connect_from(bench, "127.0.0.3"));
    assert_int_equal(http_server_counters(bench->server)->connections_refused_total, 1);
    close(in[0]);
    bench_wait_for_open(bench, 6);
    expect_in(bench, in[0] = connect_from(bench, "127.0.0.1"));
    for (int i = 0; i < count; i++)
        close(in[i]);
    bench_end(bench);
}

/* Whoever asks, hangs up and comes again holds a place for each question that is still open. */
static void hanging_up_frees_no_place(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    options.limits.max_connections_per_address = 2;
    bench_start(bench, &options);
    for (size_t i = 0; i < 2; i++) {
        int fd = bench_connect(bench);
        bench_send(bench, fd, SLICE("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
        bench_wait_for_later(bench, i + 1);
        struct linger reset = {.l_onoff = 1};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
        bench_wait_for_open(bench, 0);
    }
    bench_expect_end(bench, bench_connect(bench));
    bench_answer(bench, SLICE("gone"));
    int fd = bench_connect(bench);
    expect_in(bench, fd);
    bench_expect_end(bench, bench_connect(bench));
    close(fd);
    bench_answer(bench, SLICE("gone"));
    bench_wait_for_open(bench, 0);
    bench_end(bench);
}

static bool would_wake(struct bench *bench)
{
    struct pollfd loop = {.fd = uv_backend_fd(&bench->loop), .events = POLLIN};
    return poll(&loop, 1, 0) > 0;
}

static void use_up_descriptors(struct rlimit *before)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_true(next >= 0);
    close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void without_descriptors_the_loop_sleeps_and_tries_again(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    struct rlimit before;
    bench_start(bench, &options);
    int fd = bench_connect(bench);
    use_up_descriptors(&before);
    while (http_server_counters(bench->server)->connections_refused_total == 0)
        bench_turn(bench);
    bench_turn(bench); /* the loop forgets the descriptor in its next turn */
    assert_false(would_wake(bench));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_in(bench, fd);
    close(fd);
    bench_end(bench);
}

static void the_sum_of_memory_is_limited(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    struct why why = {.text = ""};
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    options.limits.max_connections = 1000000;
    assert_null(http_server_start(&bench->loop, &options, "http.listen", &why));
    assert_non_null(strstr(why.text, "1000000 connections may take"));
    assert_int_equal(uv_loop_close(&bench->loop), 0);
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
        cmocka_unit_test(all_together),
        cmocka_unit_test(from_one_address),
        cmocka_unit_test(hanging_up_frees_no_place),
        cmocka_unit_test(without_descriptors_the_loop_sleeps_and_tries_again),
        cmocka_unit_test(the_sum_of_memory_is_limited),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
