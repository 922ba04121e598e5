/* SPDX-License-Identifier: Apache-2.0
 * When the reply comes, and which: delivery, repeats of an id, no room, a fatal producer, a broker away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/collector/stage.h"

#define JSON      "Content-Type: application/json\r\n"
#define HIT(id)   "{\"url\":\"https://example.com/\",\"id\":\"" id "\"}"
#define PRODUCERS "footfall_collector_kafka_producers_total"
#define REPEATED  "footfall_collector_hits_repeated_total"

static struct stage stage;
static struct stage_hit hits[100];

static void expect_nothing(int fd)
{
    char byte;
    bench_turn(&stage.bench);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
}

static void a_reply_waits_for_delivery(void **state)
{
    (void)state;
    stage_start_held(&stage, NULL);
    int fd = stage_post_held(&stage);
    expect_nothing(fd);
    stage_release(&stage);
    stage_expect(&stage, fd, 204);
    assert_int_equal(stage_stored_count(&stage), 1);
    close(fd);
    stage_end(&stage);
}

static void memory_does_not_wait(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_memory);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("a")), 204);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("a")), 204);
    assert_int_equal(stage_metric(&stage, STAGE_IN_FLIGHT), 1);
    stage_release(&stage);
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 0);
    assert_int_equal(stage_stored_count(&stage), 1);
    stage_end(&stage);
}

static void the_mirror_does_not_wait(void **state)
{
    (void)state;
    stage_start_on_unix(&stage, "mirror.listen");
    int fd = stage_connect_unix(stage.values.mirror_listen), page = bench_connect(&stage.bench);
    stage_hold(&stage);
    stage_mirror(&stage, fd, "GET", "same");
    stage_expect(&stage, fd, 204);
    stage_mirror(&stage, fd, "GET", "same");
    stage_expect(&stage, fd, 204);
    assert_int_equal(stage_metric(&stage, STAGE_IN_FLIGHT), 1);
    stage_post(&stage, page, JSON, HIT("same")); /* a page that repeats it waits for its delivery */
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 2);
    expect_nothing(page);
    stage_release(&stage);
    stage_expect(&stage, page, 204);
    assert_int_equal(stage_stored_count(&stage), 1);
    close(fd);
    close(page);
    stage_end(&stage);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    static const slice three = SLICE(
        "POST /v1/hits HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n{\"url\":\"https://example.com/\"}"
        "GET /v1/hit.gif?url=http://stranger.com/ HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /v1/hits HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n{\"url\":\"https://example.com/\"}");
    (void)state;
    stage_start_ready(&stage, NULL);
    int fd = bench_connect(&stage.bench);
    for (int i = 0; i < 20; i++) {
        bench_send(&stage.bench, fd, three);
        bench_send(&stage.bench, fd, three);
        for (int twice = 0; twice < 2; twice++) {
            stage_expect(&stage, fd, 204);
            stage_expect(&stage, fd, 403);
            stage_expect(&stage, fd, 204);
        }
    }
    assert_int_equal(stage_stored_count(&stage), 80);
    close(fd);
    stage_end(&stage);
}

static void repeats_of_an_id_share_its_delivery(void **state)
{
    int fds[4];
    (void)state;
    stage_start_held(&stage, NULL);
    for (int i = 0; i < 4; i++) {
        fds[i] = bench_connect(&stage.bench);
        stage_post(&stage, fds[i], JSON, i < 3 ? HIT("same") : "[" HIT("same") "," HIT("other") "]");
    }
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 5);
    for (int i = 0; i < 4; i++)
        expect_nothing(fds[i]);
    stage_release(&stage);
    for (int i = 0; i < 4; i++) {
        stage_expect(&stage, fds[i], 204);
        close(fds[i]);
    }
    assert_int_equal(stage_stored_count(&stage), 2);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("same")), 204); /* and when it is safe long since */
    assert_int_equal(stage_post_alone(&stage, JSON, "[" HIT("new") "," HIT("new") "]"), 204);
    assert_int_equal(stage_stored_count(&stage), 3);
    assert_int_equal(stage_metric(&stage, REPEATED), 5);
    assert_int_equal(stage_metric(&stage, STAGE_IN_FLIGHT), 0);
    stage_end(&stage);
}

static void no_room_is_503_and_a_retry_doubles_nothing(void **state)
{
    static const char *const narrow[] = {"rdkafka.queue.buffering.max.messages=2", NULL};
    (void)state;
    stage_start_ready(&stage, narrow);
    int fd = bench_connect(&stage.bench), other = bench_connect(&stage.bench);
    stage_hold(&stage);
    stage_post(&stage, fd, JSON, "[" HIT("1") "," HIT("2") "," HIT("3") "]");
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 2);
    stage_post(&stage, other, JSON, HIT("4"));
    const struct stage_reply *reply = stage_read_reply(&stage, other);
    assert_int_equal(reply->status, 503);
    assert_non_null(strstr(reply->head, "Retry-After: 1\r\n"));
    stage_release(&stage);
    stage_expect(&stage, fd, 503); /* its third member had no room */
    assert_int_equal(stage_stored_count(&stage), 2);
    stage_post(&stage, fd, JSON, "[" HIT("1") "," HIT("2") "," HIT("3") "]");
    stage_expect(&stage, fd, 204);
    stage_post(&stage, other, JSON, HIT("4"));
    stage_expect(&stage, other, 204);
    assert_int_equal(stage_stored_count(&stage), 4);
    assert_int_equal(stage_metric(&stage, "footfall_collector_requests_refused_total{reason=\"full\"}"), 2);
    close(fd);
    close(other);
    stage_end(&stage);
}

static void a_fatal_producer_is_replaced(void **state)
{
    int fds[3];
    (void)state;
    stage_start_ready(&stage, NULL);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("before")), 204);
    stage_hold(&stage);
    for (int i = 0; i < 3; i++) {
        fds[i] = bench_connect(&stage.bench);
        stage_post(&stage, fds[i], JSON, i < 2 ? HIT("lost") : STAGE_PLAIN_HIT);
    }
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 3);
    stage_make_fatal(&stage);
    for (int i = 0; i < 3; i++) {
        stage_expect(&stage, fds[i], 503);
        close(fds[i]);
    }
    stage_release(&stage);
    stage_wait_ready(&stage);
    assert_int_equal(stage_metric(&stage, PRODUCERS), 2);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("lost")), 204); /* the id was forgotten */
    assert_int_equal(stage_read_hits(&stage, hits, 100), 2);
    assert_false(uuid_equals(hits[0].hit.stream.boot, hits[1].hit.stream.boot));
    assert_int_equal(hits[0].hit.seq, 1);
    assert_int_equal(hits[1].hit.seq, 1);
    assert_int_equal(stage_metric(&stage, "footfall_collector_hits_failed_total{answered=\"503\"}"), 2);
    stage_end(&stage);
}

static void fatal_again_and_again_is_survived(void **state)
{
    (void)state;
    stage_start(&stage, NULL);
    for (int i = 0; i < 3; i++) {
        stage_wait_ready(&stage);
        stage_make_fatal(&stage);
        stage_wait_metric(&stage, PRODUCERS, i + 2);
    }
    stage_wait_ready(&stage);
    assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_end(&stage);
}

static void a_refused_message_is_503_and_its_neighbours_are_kept(void **state)
{
    (void)state;
    stage_start_ready(&stage, NULL);
    enum { PRODUCE_KEY = 0 };
    rd_kafka_mock_push_request_errors(stage.cluster, PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("bad")), 503);
    assert_int_equal(stage_metric(&stage, "footfall_collector_hits_failed_total{answered=\"503\"}"), 1);
    stage_wait_ready(&stage);
    while (stage_post_alone(&stage, JSON, HIT("bad")) != 204)
        ; /* the producer may be replaced meanwhile */
    assert_int_equal(stage_stored_count(&stage), 1);
    stage_end(&stage);
}

static void kafka_must_be_as_the_settings_say(void **state)
{
    static const char *const other_count[] = {"kafka.partitions=3", NULL};
    (void)state;
    stage_start(&stage, other_count);
    int fd = bench_connect(&stage.bench);
    const struct stage_reply *reply;
    do {
        stage_post(&stage, fd, JSON, STAGE_PLAIN_HIT);
        reply = stage_read_reply(&stage, fd);
        assert_int_equal(reply->status, 503);
    } while (strstr(reply->body, "Kafka has not been reached"));
    assert_non_null(strstr(reply->body, "kafka.partitions is 3 but topic hits has 4"));
    assert_int_equal(stage_ready_status(&stage), 503);
    assert_int_equal(stage_stored_count(&stage), 0);
    close(fd);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_waits_for_delivery),
        cmocka_unit_test(memory_does_not_wait),
        cmocka_unit_test(the_mirror_does_not_wait),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(repeats_of_an_id_share_its_delivery),
        cmocka_unit_test(no_room_is_503_and_a_retry_doubles_nothing),
        cmocka_unit_test(a_fatal_producer_is_replaced),
        cmocka_unit_test(fatal_again_and_again_is_survived),
        cmocka_unit_test(a_refused_message_is_503_and_its_neighbours_are_kept),
        cmocka_unit_test(kafka_must_be_as_the_settings_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
