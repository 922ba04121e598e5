/* SPDX-License-Identifier: Apache-2.0
 * What comes in and what of it stands on Kafka: beacon, pixel, mirror, preflight, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "proto/partition.h"
#include "tests/unit/collector/stage.h"

#define JSON "Content-Type: application/json\r\n"

static struct stage stage;
static struct stage_hit hits[100];

static void expect_text(slice got, const char *expected)
{
    if (!slice_equals(got, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(got), expected);
}

static void a_posted_hit_stands_on_kafka(void **state)
{
    (void)state;
    stage_start_ready(&stage, stage_ack_kafka);
    int fd = bench_connect(&stage.bench);
    wall_ms before = wall_now();
    stage_post(&stage, fd,
               "Content-Type: text/plain;charset=UTF-8\r\nOrigin: https://example.com\r\n"
               "User-Agent: Firefox\r\nAccept-Language: de\r\nCookie: secret=1\r\n",
               "{\"url\":\"https://example.com/a?b\",\"referrer\":\"https://other.net/\",\"title\":\"T\","
               "\"id\":\"0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee\",\"age\":1000}");
    const struct stage_reply *reply = stage_read_reply(&stage, fd);
    assert_string_equal(reply->head, "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n"
                                     "Cross-Origin-Resource-Policy: cross-origin\r\nVary: Origin\r\n"
                                     "Access-Control-Allow-Credentials: true\r\n"
                                     "Access-Control-Allow-Origin: https://example.com\r\n\r\n");
    assert_int_equal(stage_stored_count(&stage), 1); /* after delivery, so it is there already */
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    const struct hit *hit = &hits[0].hit;
    expect_text(hit->url, "https://example.com/a?b");
    expect_text(hit->referrer, "https://other.net/");
    expect_text(hit->host, "example.com");
    expect_text(hit->user_agent, "Firefox");
    expect_text(hit->title, "T");
    expect_text(hit->headers, "{\"accept-language\":\"de\"}");
    assert_int_equal(hit->source, HIT_BEACON);
    assert_true(hit->has_id && hit->has_stream && hit->has_received_time);
    assert_int_equal(hit->seq, 1);
    assert_int_equal(hit->stream.partition, hits[0].partition);
    assert_int_equal(hit->received_time.ms - hit->event_time.ms, 1000);
    assert_true(hit->received_time.ms >= before.ms && hit->received_time.ms <= wall_now().ms);
    assert_string_equal(hits[0].key, "example.com|127.0.0.1");
    close(fd);
    stage_end(&stage);
}

static void every_visitor_has_a_home_and_every_stream_is_dense(void **state)
{
    static const char *const trusted[] = {"http.trusted_proxies=127.0.0.1", "journal.ack=kafka", NULL};
    int64_t last[STAGE_PARTITIONS] = {0};
    (void)state;
    stage_start_ready(&stage, trusted);
    int fd = bench_connect(&stage.bench);
    for (int i = 0; i < 60; i++) {
        char head[256];
        snprintf(head, sizeof(head), JSON "X-Forwarded-For: 6.6.6.6, 198.51.100.%d\r\n", i % 20);
        stage_post(&stage, fd, head, "{\"url\":\"https://a.example.org/\"}");
        stage_expect(&stage, fd, 204);
    }
    assert_int_equal(stage_read_hits(&stage, hits, 100), 60);
    for (int i = 0; i < 60; i++) {
        const struct hit *hit = &hits[i].hit;
        assert_int_equal(hits[i].partition, partition_of_key(slice_of(hits[i].key), STAGE_PARTITIONS));
        assert_true(strncmp(hits[i].key, "a.example.org|198.51.100.", 25) == 0);
        assert_int_equal(hit->seq, ++last[hits[i].partition]);
        assert_int_equal(hit->stream.partition, hits[i].partition);
        assert_true(uuid_equals(hit->stream.boot, hits[0].hit.stream.boot));
    }
    close(fd);
    stage_end(&stage);
}

static void arrays_are_stored_whole_or_not_at_all(void **state)
{
    (void)state;
    stage_start_ready(&stage, stage_ack_kafka);
    int fd = bench_connect(&stage.bench);
    stage_post(&stage, fd, JSON,
               "[{\"url\":\"http://example.com/1\"},{\"url\":\"http://example.com/2\"},"
               "{\"url\":\"http://www.example.com/\"}]");
    const struct stage_reply *reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 403);
    assert_string_equal(reply->body, "hits[2]: the url's host is no site of this collector\n");
    stage_post(&stage, fd, JSON, "[{\"url\":\"http://example.com/1\"},{}]");
    reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 400);
    assert_string_equal(reply->body, "hits[1]: url is missing\n");
    assert_int_equal(stage_stored_count(&stage), 0);
    stage_post(&stage, fd, JSON, "[{\"url\":\"http://example.com/1\"},{\"url\":\"http://example.com/2\"}]");
    stage_expect(&stage, fd, 204);
    assert_int_equal(stage_stored_count(&stage), 2);
    assert_int_equal(stage_metric(&stage, "footfall_collector_requests_refused_total{reason=\"site\"}"), 1);
    assert_int_equal(stage_metric(&stage, "footfall_collector_requests_refused_total{reason=\"malformed\"}"),
                     1);
    close(fd);
    stage_end(&stage);
}

static void forms_and_pixels_are_taken(void **state)
{
    static const char *const prefixed[] = {"http.prefix=/stats", "journal.ack=kafka", NULL};
    (void)state;
    stage_start_ready(&stage, prefixed);
    int fd = bench_connect(&stage.bench);
    stage_get(&stage, fd, "/stats/v1/hit.gif?url=http%3A%2F%2Fexample.com%2Fp&title=A+b", "");
    assert_int_equal(stage_read_reply(&stage, fd)->status, 200);
    stage_get(&stage, fd, "/stats/v1/hit.gif", "Referer: http://example.com/q\r\n");
    const struct stage_reply *reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 200);
    assert_non_null(strstr(reply->head, "Content-Type: image/gif\r\nContent-Length: 43\r\n"));
    assert_non_null(strstr(reply->head, "Cache-Control: no-store\r\n"));
    assert_memory_equal(reply->body, "GIF89a", 6);
    stage_get(&stage, fd, "/stats/v1/hit.gif", "");
    reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 400);
    assert_string_equal(reply->body, "url is missing\n");
    bench_send(
        &stage.bench, fd,
        SLICE("POST /stats/v1/hits HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n"
              "Content-Type: application/x-www-form-urlencoded\r\n\r\nurl=http://example.com/&id=abc"));
    stage_expect(&stage, fd, 204);
    stage_get(&stage, fd, "/v1/hit.gif?url=http%3A%2F%2Fexample.com%2F", "");
    stage_expect(&stage, fd, 404);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 3);
    expect_text(hits[0].hit.url, "http://example.com/p");
    expect_text(hits[0].hit.title, "A b");
    assert_int_equal(hits[0].hit.source, HIT_PIXEL);
    expect_text(hits[1].hit.url, "http://example.com/q");
    assert_int_equal(hits[2].hit.source, HIT_BEACON);
    close(fd);
    stage_end(&stage);
}

static void bad_requests_hear_why(void **state)
{
    static const struct {
        const char *head, *body;
        int status;
        const char *reason;
    } cases[] = {
        {"Content-Type: text/html\r\n", "{}", 415,
         "send text/plain or application/json with JSON, or application/x-www-form-urlencoded\n"},
        {JSON, "{\"url\":", 400, "the body is no JSON that can be taken: see byte 7\n"},
        {JSON, "", 400, "the body is no JSON that can be taken: see byte 0\n"},
        {JSON, "{\"url\":\"http://example.com/\",\"age\":\"1\"}", 400,
         "age is no whole number of milliseconds\n"},
        {JSON, "{\"url\":\"http://stranger.com/\"}", 403, "the url's host is no site of this collector\n"},
        {JSON "Origin: https://stranger.com\r\n", "{\"url\":\"http://example.com/\"}", 403,
         "the Origin is no site of this collector\n"},
        {JSON "Origin: nonsense\r\n", "{\"url\":\"http://example.com/\"}", 403,
         "the Origin is no site of this collector\n"},
    };
    (void)state;
    stage_start_ready(&stage, stage_ack_kafka);
    int fd = bench_connect(&stage.bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stage_post(&stage, fd, cases[i].head, cases[i].body);
        const struct stage_reply *reply = stage_read_reply(&stage, fd);
        assert_int_equal(reply->status, cases[i].status);
        assert_string_equal(reply->body, cases[i].reason);
    }
    assert_int_equal(stage_stored_count(&stage), 0);
    assert_int_equal(stage_post_alone(&stage, JSON "Origin: null\r\n", "{\"url\":\"http://example.com/\"}"),
                     204);
    close(fd);
    stage_end(&stage);
}

static void preflights_give_leave_to_sites_only(void **state)
{
    (void)state;
    stage_start(&stage, stage_ack_kafka);
    int fd = bench_connect(&stage.bench);
    bench_send(&stage.bench, fd,
               SLICE("OPTIONS /v1/hits HTTP/1.1\r\nHost: a\r\nOrigin: https://www.example.org\r\n\r\n"));
    const struct stage_reply *reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 204);
    assert_non_null(strstr(reply->head, "Access-Control-Allow-Origin: https://www.example.org\r\n"));
    assert_non_null(strstr(reply->head, "Access-Control-Allow-Headers: content-type\r\n"));
    assert_non_null(strstr(reply->head, "Access-Control-Allow-Credentials: true\r\n"));
    assert_non_null(strstr(reply->head, "Access-Control-Max-Age: 86400\r\n"));
    bench_send(&stage.bench, fd,
               SLICE("OPTIONS /v1/hits HTTP/1.1\r\nHost: a\r\nOrigin: https://stranger.net\r\n\r\n"));
    reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 204);
    assert_null(strstr(reply->head, "Access-Control"));
    close(fd);
    stage_end(&stage);
}

static void mirrored_requests_are_stored_once(void **state)
{
    (void)state;
    stage_start_on_unix(&stage, "mirror.listen");
    int fd = stage_connect_unix(stage.values.mirror_listen);
    stage_mirror(&stage, fd, "GET", "00112233445566778899aabbccddeeff");
    stage_expect(&stage, fd, 204);
    stage_mirror(&stage, fd, "GET", "00112233445566778899aabbccddeeff"); /* an internal redirect does that */
    stage_expect(&stage, fd, 204);
    stage_mirror(&stage, fd, "HEAD", "10112233445566778899aabbccddeeff");
    stage_expect(&stage, fd, 204);
    bench_send(&stage.bench, fd, SLICE("GET /v1/mirror HTTP/1.1\r\nHost: example.com\r\n\r\n"));
    stage_expect(&stage, fd, 400);
    bench_send(&stage.bench, fd, SLICE("GET /v1/hit.gif HTTP/1.1\r\nHost: example.com\r\n\r\n"));
    stage_expect(&stage, fd, 404);
    close(fd);
    stage_wait_metric(&stage, "footfall_collector_hits_delivered_total", 1);
    assert_int_equal(stage_metric(&stage, "footfall_collector_hits_repeated_total"), 1);
    assert_int_equal(stage_metric(&stage, "footfall_collector_mirror_passed_over_total"), 1);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    expect_text(hits[0].hit.url, "https://example.com/m?x");
    assert_string_equal(hits[0].key, "example.com|203.0.113.7");
    assert_int_equal(hits[0].hit.source, HIT_MIRROR);
    stage_end(&stage);
}

static void a_unix_proxy_must_name_the_visitor(void **state)
{
    (void)state;
    stage_start_on_unix(&stage, "http.listen");
    int fd = stage_connect_unix(stage.values.http_listen);
    stage_post(&stage, fd, JSON, "{\"url\":\"http://example.com/\"}");
    stage_expect(&stage, fd, 503);
    stage_post(&stage, fd, JSON "X-Forwarded-For: 2a00:1::5\r\n", "{\"url\":\"http://example.com/\"}");
    stage_expect(&stage, fd, 204);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    assert_string_equal(hits[0].key, "example.com|2a00:1::5");
    close(fd);
    stage_end(&stage);
}

static void sites_can_be_replaced(void **state)
{
    struct why why = {.text = ""};
    (void)state;
    stage_start_ready(&stage, stage_ack_kafka);
    assert_int_equal(stage_post_alone(&stage, JSON, "{\"url\":\"http://new.net/\"}"), 403);
    assert_int_equal(collector_set_sites(stage.collector, SLICE("not a host"), &why), STATUS_MALFORMED);
    assert_int_equal(stage_post_alone(&stage, JSON, "{\"url\":\"http://example.com/\"}"), 204);
    assert_int_equal(collector_set_sites(stage.collector, SLICE("new.net"), &why), STATUS_OK);
    assert_int_equal(stage_post_alone(&stage, JSON, "{\"url\":\"http://new.net/\"}"), 204);
    assert_int_equal(stage_post_alone(&stage, JSON, "{\"url\":\"http://example.com/\"}"), 403);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_posted_hit_stands_on_kafka),
        cmocka_unit_test(every_visitor_has_a_home_and_every_stream_is_dense),
        cmocka_unit_test(arrays_are_stored_whole_or_not_at_all),
        cmocka_unit_test(forms_and_pixels_are_taken),
        cmocka_unit_test(bad_requests_hear_why),
        cmocka_unit_test(preflights_give_leave_to_sites_only),
        cmocka_unit_test(mirrored_requests_are_stored_once),
        cmocka_unit_test(a_unix_proxy_must_name_the_visitor),
        cmocka_unit_test(sites_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
