/* SPDX-License-Identifier: Apache-2.0
 * Requests on one connection: batches of replies, answers that come later, cuts, hang-ups, slow readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

#define GET(path)   "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK(n, body) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #n "\r\n\r\n" body
#define LATER       GET("/later")

/* One message of the server, as text; each write is one. */
static const char *read_message(struct bench *bench, int fd)
{
    static char message[256 * 1024];
    ssize_t len;
    for (int turns = 0; (len = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT)) < 0; turns++) {
        assert_true(turns < 1000);
        bench_turn(bench);
    }
    message[len] = '\0';
    return message;
}

static void expect_silence(struct bench *bench, int fd)
{
    char byte;
    for (int turns = 0; turns < 5; turns++)
        bench_turn(bench);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
}

static void a_batch_is_answered_with_one_write(void **state)
{
    struct bench *bench = *state;
    char requests[4096] = "", replies[4096] = "";
    for (int i = 0; i < 16; i++) {
        strcat(requests, GET("/ok"));
        strcat(replies, OK(2, "ok"));
    }
    int fd = bench_adopt(bench);
    bench_send(bench, fd, slice_of(requests));
    assert_string_equal(read_message(bench, fd), replies);
    expect_silence(bench, fd);
    close(fd);
}

static void a_later_answer_holds_those_behind_it(void **state)
{
    struct bench *bench = *state;
    int fd = bench_adopt(bench);
    bench_send(bench, fd, SLICE(GET("/ok") GET("/ok") LATER GET("/ok") LATER GET("/who")));
    assert_string_equal(read_message(bench, fd), OK(2, "ok") OK(2, "ok"));
    expect_silence(bench, fd);
    assert_int_equal(bench->later_count, 1);
    bench_answer(bench, SLICE("first"));
    assert_string_equal(read_message(bench, fd), OK(5, "first") OK(2, "ok"));
    expect_silence(bench, fd);
    assert_int_equal(bench->later_count, 2);
    bench_answer(bench, SLICE("second"));
    assert_string_equal(read_message(bench, fd), OK(6, "second") OK(4, "unix"));
    close(fd);
}

static void a_handler_may_answer_others(void **state)
{
    struct bench *bench = *state;
    int waiting = bench_adopt(bench), other = bench_adopt(bench);
    bench_send(bench, waiting, SLICE(LATER GET("/ok")));
    bench_wait_for_later(bench, 1);
    bench_send(bench, other, SLICE(GET("/ok") GET("/release") GET("/ok")));
    assert_string_equal(read_message(bench, other), OK(2, "ok") OK(2, "ok") OK(2, "ok"));
    assert_string_equal(read_message(bench, waiting), OK(8, "released") OK(2, "ok"));
    close(waiting);
    close(other);
}

/* Every cut into two reads, of requests with and without bodies, partial ones behind whole ones. */
static void cuts_change_nothing(void **state)
{
    static const slice requests =
        SLICE("POST /dump?q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"
              "GET /dump HTTP/1.1\r\nHost: b\r\nY:  z \r\n\r\n"
              "POST /dump HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabc"
              "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    struct bench *bench = *state;
    char whole[4096], cut[4096];
    size_t whole_len, cut_len;
    int fd = bench_adopt(bench);
    bench_send(bench, fd, requests);
    assert_true(bench_read_all(bench, fd, whole, sizeof(whole), &whole_len));
    close(fd);
    assert_true(whole_len > 4 * 60);
    for (size_t at = 1; at < requests.len; at++) {
        fd = bench_adopt(bench);
        bench_send(bench, fd, slice_head(requests, at));
        bench_turn(bench);
        bench_send(bench, fd, slice_from(requests, at));
        assert_true(bench_read_all(bench, fd, cut, sizeof(cut), &cut_len));
        assert_int_equal(cut_len, whole_len);
        assert_memory_equal(cut, whole, whole_len);
        close(fd);
    }
}

static void byte_by_byte_is_the_same(void **state)
{
    static const slice request = SLICE("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    struct bench *bench = *state;
    int fd = bench_adopt(bench);
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0; at < request.len; at++) {
            expect_silence(bench, fd);
            bench_send(bench, fd, slice_head(slice_from(request, at), 1));
        }
        assert_string_equal(read_message(bench, fd), OK(5, "hello"));
    }
    close(fd);
}

/* More than an exchange holds arrives while the first request waits: reading pauses and goes on. */
static void much_may_wait_behind_a_later_answer(void **state)
{
    enum { BEHIND = 8000 };
    struct bench *bench = *state;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE(LATER));
    bench_wait_for_later(bench, 1);
    static char requests[BEHIND * 40];
    size_t len = 0;
    for (int i = 0; i < BEHIND; i++)
        len += (size_t)sprintf(requests + len, GET("/ok"));
    int size = 1 << 20;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    ssize_t sent = send(fd, requests, len, MSG_DONTWAIT);
    assert_true(sent > 100 * 1024); /* more than the server can have taken */
    for (int turns = 0; turns < 100; turns++)
        bench_turn(bench);
    assert_int_equal(http_server_counters(bench->server)->requests_total, 1);
    bench_answer(bench, SLICE("first"));
    bench_expect(bench, fd, SLICE(OK(5, "first")));
    bench_send(bench, fd, (slice){requests + sent, len - (size_t)sent});
    /* max_requests of the first connection's life is raised by start() */
    for (int i = 0; i < BEHIND; i++)
        bench_expect(bench, fd, SLICE(OK(2, "ok")));
    close(fd);
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
    struct bench *bench = *state;
    static char big[BENCH_BIG_BYTES];
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE(GET("/big") GET("/ok") GET("/big") LATER));
    for (int turns = 0; turns < 100; turns++)
        bench_turn(bench);
    assert_true(bench->server->pending_bytes > 0);
    assert_int_equal(http_server_counters(bench->server)->requests_total,
                     1); /* no more work for it meanwhile */
    for (int round = 0; round < 2; round++) {
        bench_expect(bench, fd,
                     SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3145728\r\n\r\n"));
        bench_read(bench, fd, big, sizeof(big));
        assert_int_equal(big[0], 'x');
        assert_memory_equal(big, big + 1, sizeof(big) - 1);
        if (round == 0)
            bench_expect(bench, fd, SLICE(OK(2, "ok")));
    }
    bench_wait_for_later(bench, 1);
    assert_int_equal(bench->server->pending_bytes, 0);
    bench_answer(bench, SLICE("done"));
    bench_expect(bench, fd, SLICE(OK(4, "done")));
    close(fd);
}

/* The answer comes while earlier replies are still on their way. */
static void a_later_answer_waits_for_a_slow_reader(void **state)
{
    enum { BEFORE = 200 };
    struct bench *bench = *state;
    char requests[16 * 1024] = "";
    for (int i = 0; i < BEFORE; i++)
        strcat(requests, GET("/ok"));
    strcat(requests, LATER GET("/who"));
    int fd = bench_adopt_narrow(bench);
    bench_send(bench, fd, slice_of(requests));
    bench_wait_for_later(bench, 1);
    assert_true(bench->server->pending_bytes > 0);
    bench_answer(bench, SLICE("done"));
    for (int i = 0; i < BEFORE; i++)
        bench_expect(bench, fd, SLICE(OK(2, "ok")));
    bench_expect(bench, fd, SLICE(OK(4, "done") OK(4, "unix")));
    assert_int_equal(bench->server->pending_bytes, 0);
    close(fd);
}

static void who_leaves_replies_unread_is_forgotten(void **state)
{
    struct bench *bench = *state;
    int fd = bench_adopt_narrow(bench);
    bench_send(bench, fd, SLICE(GET("/big") LATER));
    bench_turn(bench);
    assert_true(bench->server->pending_bytes > 0);
    close(fd);
    bench_wait_for_open(bench, 0);
    assert_int_equal(bench->server->pending_bytes, 0);
}

static void who_hangs_up_is_not_missed(void **state)
{
    struct bench *bench = *state;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE(LATER));
    bench_wait_for_later(bench, 1);
    struct linger reset = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    bench_wait_for_open(bench, 0);
    assert_int_equal(exchanges_orphan_count(bench->server->exchanges), 1);
    assert_memory_equal(bench->later[0]->path.data, "/later", 6); /* still the handler's to read */
    bench_answer(bench, SLICE("nobody listens"));
    assert_int_equal(exchanges_orphan_count(bench->server->exchanges), 0);
}

static void who_only_stops_sending_is_answered(void **state)
{
    struct bench *bench = *state;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE(LATER GET("/ok") "GET /half"));
    shutdown(fd, SHUT_WR);
    bench_wait_for_later(bench, 1);
    for (int turns = 0; turns < 5; turns++)
        bench_turn(bench);
    bench_answer(bench, SLICE("first"));
    bench_expect(bench, fd, SLICE(OK(5, "first") OK(2, "ok")));
    bench_expect_end(bench, fd);
    bench_wait_for_open(bench, 0);
}

static void half_a_request_and_the_end_is_just_closed(void **state)
{
    struct bench *bench = *state;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /ok HTT"));
    bench_wait_for_open(bench, 1);
    shutdown(fd, SHUT_WR);
    bench_expect_end(bench, fd);
    bench_wait_for_open(bench, 0);
}

/* After its end the server throws away a bounded amount, so that the reply arrives. */
static void who_talks_on_after_the_end_still_reads_the_reply(void **state)
{
    struct bench *bench = *state;
    static char noise[100 * 1024];
    memset(noise, 'n', sizeof(noise));
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n"));
    bench_send(bench, fd, (slice){noise, sizeof(noise)});
    char reply[1024];
    size_t len;
    assert_true(bench_read_all(bench, fd, reply, sizeof(reply), &len));
    assert_memory_equal(reply, "HTTP/1.1 405", 12);
    close(fd);
    bench_wait_for_open(bench, 0);
}

static void who_never_stops_talking_is_cut_off(void **state)
{
    struct bench *bench = *state;
    static char noise[64 * 1024];
    memset(noise, 'n', sizeof(noise));
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("PUT / HTTP/1.1\r\n\r\n"));
    while (http_server_counters(bench->server)->connections_total == 0 ||
           http_server_counters(bench->server)->connections_open > 0)
        bench_send(bench, fd, (slice){noise, 1024}), bench_turn(bench);
    close(fd);
}

static void the_last_request_of_a_connection_is_announced(void **state)
{
    struct bench *bench = *state;
    bench->server->limits.max_requests = 2;
    const char *replies = bench_talk(bench, SLICE(GET("/ok") GET("/ok") GET("/ok")));
    assert_string_equal(replies,
                        OK(2, "ok") "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                                    "Connection: close\r\n\r\nok");
}

static int start(void **state)
{
    struct http_server_options options = bench_options();
    options.limits.max_requests = 100000;
    return bench_set_up_with(state, &options);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_answered_with_one_write),
        TEST(a_later_answer_holds_those_behind_it),
        TEST(a_handler_may_answer_others),
        TEST(cuts_change_nothing),
        TEST(byte_by_byte_is_the_same),
        TEST(much_may_wait_behind_a_later_answer),
        TEST(a_slow_reader_gets_everything_in_order),
        TEST(a_later_answer_waits_for_a_slow_reader),
        TEST(who_leaves_replies_unread_is_forgotten),
        TEST(who_hangs_up_is_not_missed),
        TEST(who_only_stops_sending_is_answered),
        TEST(half_a_request_and_the_end_is_just_closed),
        TEST(who_talks_on_after_the_end_still_reads_the_reply),
        TEST(who_never_stops_talking_is_cut_off),
        TEST(the_last_request_of_a_connection_is_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
