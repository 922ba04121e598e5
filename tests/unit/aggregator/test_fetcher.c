/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/fetcher against a server on the same loop that behaves as badly as it is told. TLS is
 * tested with the whole program (tests/flow). */
#include "aggregator/fetcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <cmocka.h>

enum { MAX_CONNECTIONS = 64, MAX_BYTES = 4096, TOTAL_MS = 500, WAIT_MS = 30000 };

struct bench;

struct connection {
    uv_tcp_t tcp;
    struct bench *bench;
    char request[4096];
    size_t len;
};

struct bench {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t deadline;
    bool is_late;
    struct connection *connections[MAX_CONNECTIONS];
    size_t connection_count;
    /* What the server does with a request. */
    slice answer;
    bool closes;
    bool hangs;
    size_t sent_at_once; /* of the answer; the rest never comes */
    int request_count;
    int waiting_count; /* requests that hang */
    char last_request[4096];

    char base[64];
    struct fetcher *fetcher;
    /* What came. */
    int reply_count;
    struct fetch_reply reply;
    char body[MAX_BYTES + 1];
};

/* ---- The server ---- */

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void on_connection_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_connection(struct connection *connection)
{
    struct bench *bench = connection->bench;
    for (size_t i = 0; i < bench->connection_count; i++)
        if (bench->connections[i] == connection)
            bench->connections[i] = bench->connections[--bench->connection_count];
    uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
}

static void answer(struct connection *connection)
{
    struct bench *bench = connection->bench;
    snprintf(bench->last_request, sizeof bench->last_request, "%s", connection->request);
    connection->len = 0;
    bench->request_count++;
    if (bench->hangs) {
        bench->waiting_count++;
        return;
    }
    size_t len = bench->sent_at_once > 0 ? bench->sent_at_once : bench->answer.len;
    uv_buf_t bytes = uv_buf_init((char *)bench->answer.data, (unsigned)len);
    uv_write_t *write = malloc(sizeof *write);
    assert_int_equal(uv_write(write, (uv_stream_t *)&connection->tcp, &bytes, 1, on_written), 0);
    if (bench->closes)
        close_connection(connection);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room)
{
    struct connection *connection = (struct connection *)handle;
    (void)wanted;
    *room = uv_buf_init(connection->request + connection->len,
                        (unsigned)(sizeof connection->request - 1 - connection->len));
}

static bool is_whole(const char *request)
{
    const char *head_end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
    size_t body_len = length != NULL ? (size_t)atol(length + sizeof "Content-Length: " - 1) : 0;
    return head_end != NULL && strlen(head_end + 4) >= body_len;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct connection *connection = (struct connection *)stream;
    (void)room;
    if (got < 0) {
        close_connection(connection);
        return;
    }
    connection->len += (size_t)got;
    connection->request[connection->len] = '\0';
    if (is_whole(connection->request))
        answer(connection);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct bench *bench = listener->data;
    assert_int_equal(status, 0);
    assert_true(bench->connection_count < MAX_CONNECTIONS);
    struct connection *connection = calloc(1, sizeof *connection);
    connection->bench = bench;
    assert_int_equal(uv_tcp_init(&bench->loop, &connection->tcp), 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&connection->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read), 0);
    bench->connections[bench->connection_count++] = connection;
}

/* ---- The bench ---- */

static void start_fetcher(struct bench *bench, const char *base)
{
    bench->fetcher = fetcher_new(&bench->loop, &(struct fetcher_options){.base = base,
                                                                         .ca_file = "",
                                                                         .max_in_flight = 4,
                                                                         .max_bytes = MAX_BYTES,
                                                                         .connect_ms = TOTAL_MS,
                                                                         .total_ms = TOTAL_MS});
}

static int set_up(void **state)
{
    struct bench *bench = *state = calloc(1, sizeof *bench);
    struct sockaddr_in address;
    int len = sizeof address;
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    assert_int_equal(uv_tcp_init(&bench->loop, &bench->listener), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&bench->listener, (struct sockaddr *)&address, 0), 0);
    bench->listener.data = bench;
    assert_int_equal(uv_listen((uv_stream_t *)&bench->listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&bench->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(bench->base, sizeof bench->base, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(uv_timer_init(&bench->loop, &bench->deadline), 0);
    bench->deadline.data = bench;
    start_fetcher(bench, bench->base);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    if (bench->fetcher != NULL)
        fetcher_close(&bench->fetcher, NULL, NULL);
    while (bench->connection_count > 0)
        close_connection(bench->connections[0]);
    uv_close((uv_handle_t *)&bench->listener, NULL);
    uv_close((uv_handle_t *)&bench->deadline, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    free(bench);
    return 0;
}

static void on_deadline(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    bench->is_late = true;
}

static void wait_for(struct bench *bench, const int *counter, int wanted)
{
    bench->is_late = false;
    uv_timer_start(&bench->deadline, on_deadline, WAIT_MS, 0);
    while (*counter < wanted && !bench->is_late)
        uv_run(&bench->loop, UV_RUN_ONCE);
    uv_timer_stop(&bench->deadline);
    assert_int_equal(*counter, wanted);
}

static void on_reply(void *context, const struct fetch_reply *reply)
{
    struct bench *bench = context;
    bench->reply_count++;
    bench->reply = *reply;
    assert_true(reply->body.len <= MAX_BYTES);
    if (reply->body.len > 0)
        memcpy(bench->body, reply->body.data, reply->body.len);
    bench->body[reply->body.len] = '\0';
}

static void ask(struct bench *bench, const char *url, const char *header, const char *body)
{
    const struct fetch_request request = {.url = url, .header = header, .body = body};
    fetcher_ask(bench->fetcher, &request, on_reply, bench);
}

static void get(struct bench *bench, const char *path, const char *header)
{
    char url[256];
    snprintf(url, sizeof url, "%s%s", bench->base, path);
    ask(bench, url, header, "");
}

static enum fetch_outcome get_answered_by(struct bench *bench, slice answer)
{
    int before = bench->reply_count;
    bench->answer = answer;
    get(bench, "?ip=106.51.1.1", "");
    assert_int_equal(bench->reply_count, before); /* never before the call returns */
    wait_for(bench, &bench->reply_count, before + 1);
    return bench->reply.outcome;
}

#define OK_REPLY(body, len) "HTTP/1.1 200 OK\r\nContent-Length: " len "\r\n\r\n" body

/* ---- Tests ---- */

static void an_answer_comes_with_its_status(void **state)
{
    struct bench *bench = *state;
    bench->answer = SLICE(OK_REPLY("hello", "5"));
    get(bench, "?ip=106.51.1.1&key=k", "Authorization: Bearer k");
    wait_for(bench, &bench->reply_count, 1);
    assert_int_equal(bench->reply.outcome, FETCH_ANSWERED);
    assert_int_equal(bench->reply.http_status, 200);
    assert_string_equal(bench->body, "hello");
    assert_int_equal(bench->reply.retry_after_ms, 0);
    assert_non_null(strstr(bench->last_request, "GET /?ip=106.51.1.1&key=k HTTP/1.1\r\n"));
    assert_non_null(strstr(bench->last_request, "\r\nAuthorization: Bearer k\r\n"));
    assert_null(strstr(bench->last_request, "Accept-Encoding")); /* nothing to unpack, no bomb */
    assert_int_equal(
        get_answered_by(bench, SLICE("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")),
        FETCH_ANSWERED);
    assert_int_equal(bench->reply.http_status, 429);
    assert_int_equal(bench->reply.retry_after_ms, 7000);
    assert_null(strstr(bench->last_request, "Authorization")); /* of the request before */
}

static void connections_are_kept(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(get_answered_by(bench, SLICE(OK_REPLY("hello", "5"))), FETCH_ANSWERED);
    assert_int_equal(bench->request_count, 10);
    assert_int_equal(bench->connection_count, 1);
}

/* Not even when a kept connection ends without an answer, where HTTP allows it. */
static void a_body_is_posted_as_json(void **state)
{
    struct bench *bench = *state;
    bench->answer = SLICE(OK_REPLY("{}", "2"));
    ask(bench, bench->base, "Authorization: Bearer k", "[\"106.51.1.1\"]");
    wait_for(bench, &bench->reply_count, 1);
    assert_int_equal(bench->reply.outcome, FETCH_ANSWERED);
    assert_int_equal(strncmp(bench->last_request, "POST / HTTP/1.1\r\n", 17), 0);
    assert_non_null(strstr(bench->last_request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(bench->last_request, "\r\nAuthorization: Bearer k\r\n"));
    assert_non_null(strstr(bench->last_request, "\r\n\r\n[\"106.51.1.1\"]"));
    for (int i = 0; i < 5; i++) /* a transfer that has posted gets again */
        get_answered_by(bench, bench->answer);
    assert_int_equal(strncmp(bench->last_request, "GET /", 5), 0);
    assert_null(strstr(bench->last_request, "Content-"));
    assert_null(strstr(bench->last_request, "106.51.1.1\"]"));
}

static void a_request_is_sent_once(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(get_answered_by(bench, SLICE(OK_REPLY("hello", "5"))), FETCH_ANSWERED);
    bench->closes = true;
    assert_int_equal(get_answered_by(bench, SLICE("")), FETCH_BROKEN);
    assert_int_equal(bench->request_count, 2);
    bench->closes = false;
    assert_int_equal(get_answered_by(bench, SLICE(OK_REPLY("hello", "5"))), FETCH_ANSWERED);
    assert_int_equal(bench->request_count, 3);
}

static void a_redirect_is_not_followed(void **state)
{
    struct bench *bench = *state;
    char answer[256];
    snprintf(answer, sizeof answer, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             bench->base);
    assert_int_equal(get_answered_by(bench, slice_of(answer)), FETCH_ANSWERED);
    assert_int_equal(bench->reply.http_status, 302);
    assert_int_equal(bench->request_count, 1);
}

static void every_fault_has_its_outcome(void **state)
{
    struct bench *bench = *state;
    bench->closes = true;
    assert_int_equal(get_answered_by(bench, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut")),
                     FETCH_BROKEN);
    assert_int_equal(
        get_answered_by(bench, SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")),
        FETCH_BROKEN);
    assert_int_equal(get_answered_by(bench, SLICE("<html>no HTTP at all</html>")), FETCH_BROKEN);
    assert_int_equal(get_answered_by(bench, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\nx")),
                     FETCH_TOO_BIG);
    bench->closes = false;
    assert_int_equal(get_answered_by(bench, SLICE(OK_REPLY("hello", "5"))), FETCH_ANSWERED);
}

static void a_body_without_a_length_is_bounded(void **state)
{
    struct bench *bench = *state;
    static char answer[64 + MAX_BYTES + 1];
    int head = snprintf(answer, 64, "HTTP/1.1 200 OK\r\n\r\n");
    memset(answer + head, 'x', MAX_BYTES + 1);
    bench->closes = true;
    assert_int_equal(get_answered_by(bench, (slice){answer, (size_t)head + MAX_BYTES}), FETCH_ANSWERED);
    assert_int_equal(bench->reply.body.len, MAX_BYTES);
    assert_int_equal(get_answered_by(bench, (slice){answer, (size_t)head + MAX_BYTES + 1}), FETCH_TOO_BIG);
}

static void who_hangs_is_given_up(void **state)
{
    struct bench *bench = *state;
    bench->hangs = true;
    assert_int_equal(get_answered_by(bench, SLICE("")), FETCH_TIMED_OUT);
    assert_true(bench->reply.took_ms >= TOTAL_MS - 50);
    bench->hangs = false;
    bench->sent_at_once = 40; /* in the middle of the body */
    assert_int_equal(get_answered_by(bench, SLICE(OK_REPLY("hello", "5"))), FETCH_TIMED_OUT);
}

static void nobody_there_is_said_so(void **state)
{
    struct bench *bench = *state;
    fetcher_close(&bench->fetcher, NULL, NULL);
    start_fetcher(bench, "http://127.0.0.1:1/");
    ask(bench, "http://127.0.0.1:1/", "", "");
    wait_for(bench, &bench->reply_count, 1);
    assert_int_equal(bench->reply.outcome, FETCH_UNREACHABLE);
}

static void a_private_address_is_not_connected_to(void **state)
{
    struct bench *bench = *state;
    char url[64];
    fetcher_close(&bench->fetcher, NULL, NULL);
    start_fetcher(bench, "https://api.ip2location.io/");
    snprintf(url, sizeof url, "%s", bench->base); /* as if the name led here */
    ask(bench, url, "", "");
    wait_for(bench, &bench->reply_count, 1);
    assert_int_equal(bench->reply.outcome, FETCH_UNREACHABLE);
    assert_int_equal(bench->request_count, 0);
}

static void no_tls_is_insecure(void **state)
{
    struct bench *bench = *state;
    char url[64];
    snprintf(url, sizeof url, "https%s", bench->base + strlen("http"));
    bench->answer = SLICE("HTTP/1.1 400 no\r\n\r\n");
    bench->closes = true;
    ask(bench, url, "", "");
    wait_for(bench, &bench->reply_count, 1);
    assert_true(bench->reply.outcome == FETCH_INSECURE || bench->reply.outcome == FETCH_TIMED_OUT);
}

static void several_are_in_flight_and_no_more(void **state)
{
    struct bench *bench = *state;
    bench->hangs = true;
    for (int i = 0; i < 4; i++) {
        assert_true(fetcher_has_room(bench->fetcher));
        get(bench, "", "");
    }
    assert_false(fetcher_has_room(bench->fetcher));
    wait_for(bench, &bench->reply_count, 4);
    assert_true(fetcher_has_room(bench->fetcher));
}

static void an_end_abandons_what_is_under_way(void **state)
{
    struct bench *bench = *state;
    bench->hangs = true;
    get(bench, "", "");
    get(bench, "", "");
    wait_for(bench, &bench->waiting_count, 2);
    fetcher_close(&bench->fetcher, NULL, NULL);
    assert_null(bench->fetcher);
    assert_int_equal(bench->reply_count, 0);
}

static void only_safe_urls_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        bool is_good;
    } cases[] = {
        {"https://api.ip2location.io/", true},
        {"https://api.ip2location.io", true},
        {"https://geo.example/v2/look", true},
        {"https://127.0.0.1:8443/", true},
        {"http://127.0.0.1:8080/", true},
        {"http://127.9.9.9/", true},
        {"http://localhost:8080/", true},
        {"http://[::1]:8080/", true},
        {"http://api.ip2location.io/", false},
        {"http://10.0.0.1/", false},
        {"http://localhost.example/", false},
        {"http://127.0.0.1.example/", false},
        {"http://user@127.0.0.1/", false},
        {"https://user:word@api.ip2location.io/", false},
        {"https://api.ip2location.io/?key=1", false},
        {"https://api.ip2location.io/#x", false},
        {"ftp://127.0.0.1/", false},
        {"file:///etc/passwd", false},
        {"api.ip2location.io", false},
        {"https://", false},
        {"", false},
        {"https://a b/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct why why;
        bool is_good = fetcher_check("ip2location.url", cases[i].base, &why) == STATUS_OK;
        if (is_good != cases[i].is_good)
            fail_msg("%s: %s", cases[i].base, is_good ? "taken" : why.text);
        if (!is_good)
            assert_non_null(strstr(why.text, "ip2location.url"));
    }
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(an_answer_comes_with_its_status),
        BENCH_TEST(connections_are_kept),
        BENCH_TEST(a_body_is_posted_as_json),
        BENCH_TEST(a_request_is_sent_once),
        BENCH_TEST(a_redirect_is_not_followed),
        BENCH_TEST(every_fault_has_its_outcome),
        BENCH_TEST(a_body_without_a_length_is_bounded),
        BENCH_TEST(who_hangs_is_given_up),
        BENCH_TEST(nobody_there_is_said_so),
        BENCH_TEST(a_private_address_is_not_connected_to),
        BENCH_TEST(no_tls_is_insecure),
        BENCH_TEST(several_are_in_flight_and_no_more),
        BENCH_TEST(an_end_abandons_what_is_under_way),
        cmocka_unit_test(only_safe_urls_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
