/* SPDX-License-Identifier: Apache-2.0
 * What the server makes of each kind of request, over a real socket: the table of strict.h and scan.h, and of
 * routes, limits and versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

#define H "Host: example.com\r\n"

/* After each of these the server closes, and what follows on the connection is never answered. */
static const struct {
    const char *what;
    const char *request; /* up to where the server has seen enough */
    int status;
} refused[] = {
    {"bare CR in a value", "GET /ok HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
    {"bare CR before a name", "GET /ok HTTP/1.1\r\n" H "\rX: a\r\n\r\n", 400},
    {"CR CR LF", "GET /ok HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 400},
    {"bare CR in the request line", "GET /ok\r HTTP/1.1\r\n" H "\r\n", 400},
    {"bare LF after the request line", "GET /ok HTTP/1.1\n" H "\r\n", 400},
    {"bare LF after a field", "GET /ok HTTP/1.1\r\n" H "X: a\n\r\n", 400},
    {"bare LF as the end", "GET /ok HTTP/1.1\r\n" H "\n", 400},
    {"LF only", "GET /ok HTTP/1.1\nHost: a\n\n", 400},
    {"CRLF, CR, byte ends nothing", "GET /ok HTTP/1.1\r\n" H "\r\r\n", 400},
    {"CRLF, CR, letter", "GET /ok HTTP/1.1\r\n" H "\rGET /ok HTTP/1.1\r\n\r\n", 400},
    {"folded line with a space", "GET /ok HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
    {"folded line with a tab", "GET /ok HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 400},
    {"folded first field", "GET /ok HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"line of one space", "GET /ok HTTP/1.1\r\n" H " \r\n\r\n", 400},
    {"field without a name", "GET /ok HTTP/1.1\r\n" H ": a\r\n\r\n", 400},
    {"field without a colon", "GET /ok HTTP/1.1\r\n" H "nothing\r\n\r\n", 400},
    {"space before the colon", "GET /ok HTTP/1.1\r\n" H "X : a\r\n\r\n", 400},
    {"space before the colon of Host", "GET /ok HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"byte above 0x7f in a name", "GET /ok HTTP/1.1\r\n" H "X\xc3\xa9: a\r\n\r\n", 400},
    {"control in a value", "GET /ok HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 400},
    {"DEL in a value", "GET /ok HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400},
    {"byte above 0x7f in the URL", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400},
    {"DEL in the URL", "GET /\x7f HTTP/1.1\r\n" H "\r\n", 400},
    {"fragment in the URL", "GET /ok#x HTTP/1.1\r\n" H "\r\n", 400},
    {"tab in the request line", "GET\t/ok HTTP/1.1\r\n" H "\r\n", 400},
    {"two spaces in the request line", "GET  /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"space after the version", "GET /ok HTTP/1.1 \r\n" H "\r\n", 400},
    {"space before the method", " GET /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"empty line before the request", "\r\nGET /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"absolute URL", "GET http://example.com/ok HTTP/1.1\r\n" H "\r\n", 400},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 400},
    {"no target", "GET HTTP/1.1\r\n" H "\r\n", 400},
    {"HTTP/0.9", "GET /ok\r\n\r\n", 400},
    {"HTTP/0.9 by name", "GET /ok HTTP/0.9\r\n" H "\r\n", 400},
    {"HTTP/1.2", "GET /ok HTTP/1.2\r\n" H "\r\n", 400},
    {"HTTP/2.0", "GET /ok HTTP/2.0\r\n" H "\r\n", 400},
    {"http/1.1", "GET /ok http/1.1\r\n" H "\r\n", 400},
    {"RTSP", "DESCRIBE /ok RTSP/1.0\r\n" H "\r\n", 400},
    {"RTSP with a method of HTTP", "GET /ok RTSP/1.0\r\n" H "\r\n", 400},
    {"ICE", "SOURCE /ok ICE/1.0\r\n" H "\r\n", 400},
    {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 400},
    {"PRI as a method", "PRI /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n" H "\r\n", 400},
    {"CONNECT with a path", "CONNECT /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"Upgrade", "GET /ok HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400},
    {"Upgrade alone", "GET /ok HTTP/1.1\r\n" H "Upgrade: h2c\r\n\r\n", 400},
    {"a method that is no token", "G@T /ok HTTP/1.1\r\n" H "\r\n", 400},
    {"start of TLS", "\x16\x03\x01\x02", 400},
    {"no Host", "GET /ok HTTP/1.1\r\n\r\n", 400},
    {"no Host in HTTP/1.0", "GET /ok HTTP/1.0\r\n\r\n", 400},
    {"two Hosts", "GET /ok HTTP/1.1\r\n" H "HOST: example.com\r\n\r\n", 400},
    {"empty Host", "GET /ok HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"a list of Hosts", "GET /ok HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"Host with a path", "GET /ok HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"Host with a user", "GET /ok HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
    {"chunked", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 411},
    {"chunked with a length",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
    {"identity", "POST /echo HTTP/1.1\r\n" H "transfer-encoding: identity\r\n\r\n", 411},
    {"chunked in HTTP/1.0", "POST /echo HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 411},
    {"chunked in a GET", "GET /ok HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 411},
    {"Content-Length twice", "POST /echo HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
     400},
    {"Content-Length twice, differing",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"Content-Length with a plus", "POST /echo HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
    {"Content-Length with a minus", "POST /echo HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
    {"Content-Length of minus nothing", "POST /echo HTTP/1.1\r\n" H "Content-Length: -0\r\n\r\n", 400},
    {"Content-Length in hexadecimal", "POST /echo HTTP/1.1\r\n" H "Content-Length: 0x10\r\n\r\n", 400},
    {"Content-Length as a list", "POST /echo HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
    {"Content-Length with a space", "POST /echo HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n", 400},
    {"empty Content-Length", "POST /echo HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
    {"Content-Length of 2^63", "POST /echo HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n",
     400},
    {"Content-Length of 2^64 + 1", "POST /echo HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n",
     400},
    {"Content-Length of 2^63 - 1", "POST /echo HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n",
     413},
    {"a body over the limit", "POST /echo HTTP/1.1\r\n" H "Content-Length: 16385\r\n\r\n", 413},
    {"Content-Encoding", "POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
     415},
    {"Expect", "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", 417},
    {"PUT", "PUT /ok HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 405},
    {"DELETE", "DELETE /ok HTTP/1.1\r\n" H "\r\n", 405},
    {"a method nobody knows", "BREW /ok HTTP/1.1\r\n" H "\r\n", 405},
    {"a method in small letters", "get /ok HTTP/1.1\r\n" H "\r\n", 405},
};

/* The connection goes on after these. */
static const struct {
    const char *what;
    const char *request;
    int status;
} answered[] = {
    {"GET", "GET /ok HTTP/1.1\r\n" H "\r\n", 200},
    {"with a query", "GET /ok?a=b?c&d=%20 HTTP/1.1\r\n" H "\r\n", 200},
    {"with an empty query", "GET /ok? HTTP/1.1\r\n" H "\r\n", 200},
    {"HTTP/1.0 kept", "GET /ok HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n", 200},
    {"POST", "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 200},
    {"POST without a body", "POST /hit HTTP/1.1\r\n" H "\r\n", 204},
    {"POST with leading zeros", "POST /hit HTTP/1.1\r\n" H "Content-Length: 003\r\n\r\nabc", 204},
    {"GET with an empty body", "GET /ok HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200},
    {"Host with a port", "GET /ok HTTP/1.1\r\nhost: example.com:80\r\n\r\n", 200},
    {"Host as an IPv6 address", "GET /ok HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200},
    {"bytes above 0x7f in a value", "GET /ok HTTP/1.1\r\n" H "X: \xc3\xa9\r\n\r\n", 200},
    {"a tab in a value", "GET /ok HTTP/1.1\r\n" H "X: a\tb\r\n\r\n", 200},
    {"an empty value", "GET /ok HTTP/1.1\r\n" H "X:\r\n\r\n", 200},
    {"no such path", "GET /nothing HTTP/1.1\r\n" H "\r\n", 404},
    {"no such path with a body", "POST /nothing HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 404},
    {"another method's path", "POST /ok HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 405},
    {"OPTIONS nobody asked for", "OPTIONS /ok HTTP/1.1\r\n" H "\r\n", 405},
};

static int read_status(const char *reply)
{
    assert_memory_equal(reply, "HTTP/1.1 ", 9);
    return atoi(reply + 9);
}

static size_t count_replies(const char *replies)
{
    size_t count = 0;
    for (const char *at = replies; (at = strstr(at, "HTTP/1.1 ")); at += 9)
        count += at[9] >= '1' && at[9] <= '5';
    return count;
}

static void what_is_refused_gets_one_reply_and_the_end(void **state)
{
    static const char tail[] = "GET /ok HTTP/1.1\r\n" H "\r\nGET /ok HTTP/1.1\r\n" H "\r\n";
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char request[1024];
        snprintf(request, sizeof(request), "%s%s", refused[i].request, tail);
        const char *reply = bench_talk(bench, slice_of(request));
        if (read_status(reply) != refused[i].status || count_replies(reply) != 1)
            fail_msg("%s: %s", refused[i].what, reply);
        assert_non_null(strstr(reply, "Connection: close\r\n"));
        assert_int_equal(strstr(reply, "\r\nAllow: ") != NULL, refused[i].status == 405);
    }
    const struct http_counters *counters = http_server_counters(bench->server);
    assert_int_equal(counters->rejected_total, sizeof(refused) / sizeof(refused[0]));
    assert_int_equal(counters->requests_total, 0);
}

/* The same when nothing follows: the server does not wait for more than it needs. */
static void what_is_refused_is_refused_without_waiting(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(read_status(bench_talk(bench, slice_of(refused[i].request))), refused[i].status);
    assert_int_equal(http_server_counters(bench->server)->deadlines_total, 0);
}

static void what_is_answered_keeps_the_connection(void **state)
{
    static const char last[] = "GET /ok HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
        char request[1024];
        snprintf(request, sizeof(request), "%s%s", answered[i].request, last);
        const char *reply = bench_talk(bench, slice_of(request));
        if (read_status(reply) != answered[i].status || count_replies(reply) != 2)
            fail_msg("%s: %s", answered[i].what, reply);
    }
}

static void a_known_path_says_which_methods_it_has(void **state)
{
    struct bench *bench = *state;
    const char *reply = bench_talk(bench, SLICE("OPTIONS /ok HTTP/1.1\r\n" H "Connection: close\r\n\r\n"));
    assert_non_null(strstr(reply, "\r\nAllow: GET, HEAD\r\n"));
    reply = bench_talk(bench, SLICE("OPTIONS /later HTTP/1.1\r\n" H "Connection: close\r\n\r\n"));
    assert_non_null(strstr(reply, "\r\nAllow: GET, HEAD, POST\r\n"));
}

static void a_get_with_a_body_is_answered_and_is_the_last(void **state)
{
    struct bench *bench = *state;
    const char *reply = bench_talk(bench, SLICE("GET /ok HTTP/1.1\r\n" H "Content-Length: 24\r\n\r\n"
                                                "GET /ok HTTP/1.1\r\n" H "\r\n"
                                                "GET /ok HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(read_status(reply), 200);
    assert_int_equal(count_replies(reply), 1);
    assert_non_null(strstr(reply, "Connection: close\r\n"));
}

static void replies_are_exactly_these(void **state)
{
    struct bench *bench = *state;
    assert_string_equal(bench_talk(bench, SLICE("GET /ok HTTP/1.1\r\n" H "Connection: close\r\n\r\n")),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                        "Connection: close\r\n\r\nok");
    assert_string_equal(bench_talk(bench, SLICE("HEAD /ok HTTP/1.1\r\n" H "Connection: close\r\n\r\n")),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                        "Connection: close\r\n\r\n");
    assert_string_equal(bench_talk(bench, SLICE("POST /hit HTTP/1.1\r\n" H "Connection: close\r\n\r\n")),
                        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_string_equal(bench_talk(bench, SLICE("GET /ok HTTP/1.0\r\n" H "\r\n")),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                        "Connection: close\r\n\r\nok");
    assert_string_equal(bench_talk(bench, SLICE("HEAD /ok HTTP/1.1\r\n\r\n")),
                        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        "Content-Length: 27\r\nConnection: close\r\n\r\n");
}

static void http_10_is_kept_when_it_asks(void **state)
{
    struct bench *bench = *state;
    int fd = bench_connect(bench);
    bench_send(bench, fd, SLICE("GET /ok HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n"));
    bench_expect(bench, fd,
                 SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                       "Connection: keep-alive\r\n\r\nok"));
    close(fd);
}

/* --- limits, to the byte --- */

static int ask_with_url_of(struct bench *bench, size_t len)
{
    char request[16384];
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /ok?", 8);
    snprintf(request + 4 + len, sizeof(request) - 4 - len, " HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    return read_status(bench_talk(bench, slice_of(request)));
}

static void the_url_may_be_so_long(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_with_url_of(bench, 4096), 200);
    assert_int_equal(ask_with_url_of(bench, 4097), 414);
    assert_int_equal(ask_with_url_of(bench, 16000), 414);
}

/* A block of exactly len bytes. */
static int ask_with_head_of(struct bench *bench, size_t len)
{
    char request[16384] = "GET /ok HTTP/1.1\r\n" H "Connection: close\r\n";
    size_t at = strlen(request);
    while (len - at > 3100) {
        memset(request + at, 'x', 3000);
        memcpy(request + at, "X: ", 3);
        memcpy(request + at + 2998, "\r\n", 2);
        at += 3000;
    }
    memset(request + at, 'x', len - at);
    memcpy(request + at, "X: ", 3);
    memcpy(request + len - 4, "\r\n\r\n", 5);
    return read_status(bench_talk(bench, (slice){request, len}));
}

static void the_header_block_may_be_so_long(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_with_head_of(bench, 8192), 200);
    assert_int_equal(ask_with_head_of(bench, 8193), 431);
    assert_int_equal(ask_with_head_of(bench, 8194), 431);
    assert_int_equal(ask_with_head_of(bench, 12000), 431);
}

static int ask_with_fields(struct bench *bench, int count)
{
    char request[8192] = "GET /ok HTTP/1.1\r\n" H "Connection: close\r\n";
    for (int i = 2; i < count; i++)
        strcat(request, "a: b\r\n");
    strcat(request, "\r\n");
    return read_status(bench_talk(bench, slice_of(request)));
}

static void there_may_be_so_many_fields(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_with_fields(bench, HTTP_MAX_FIELDS), 200);
    assert_int_equal(ask_with_fields(bench, HTTP_MAX_FIELDS + 1), 431);
}

static int ask_with_field_of(struct bench *bench, int len)
{
    char request[8192];
    snprintf(request, sizeof(request), "GET /ok HTTP/1.1\r\nConnection: close\r\nX: %*s\r\n" H "\r\n",
             len - 3, "x");
    return read_status(bench_talk(bench, slice_of(request)));
}

static void one_field_may_be_so_long(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(ask_with_field_of(bench, HTTP_MAX_FIELD_BYTES - 2), 200); /* CRLF counts */
    assert_int_equal(ask_with_field_of(bench, HTTP_MAX_FIELD_BYTES - 1), 431);
}

static void a_body_may_be_so_long(void **state)
{
    struct bench *bench = *state;
    char request[20000];
    int head = snprintf(request, sizeof(request),
                        "POST /echo HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 16384\r\n\r\n");
    memset(request + head, 'b', 16384);
    const char *reply = bench_talk(bench, (slice){request, (size_t)head + 16384});
    assert_int_equal(read_status(reply), 200);
    assert_memory_equal(strstr(reply, "\r\n\r\n") + 4, request + head, 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(what_is_refused_gets_one_reply_and_the_end),
        BENCH_TEST(what_is_refused_is_refused_without_waiting),
        BENCH_TEST(what_is_answered_keeps_the_connection),
        BENCH_TEST(a_known_path_says_which_methods_it_has),
        BENCH_TEST(a_get_with_a_body_is_answered_and_is_the_last),
        BENCH_TEST(replies_are_exactly_these),
        BENCH_TEST(http_10_is_kept_when_it_asks),
        BENCH_TEST(the_url_may_be_so_long),
        BENCH_TEST(the_header_block_may_be_so_long),
        BENCH_TEST(there_may_be_so_many_fields),
        BENCH_TEST(one_field_may_be_so_long),
        BENCH_TEST(a_body_may_be_so_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
