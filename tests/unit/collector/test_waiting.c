/* SPDX-License-Identifier: Apache-2.0
 * When the reply comes, and which; and that every hit gets to Kafka once, whatever happens on the way. */
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

#define WAITING "footfall_collector_requests_waiting"
#define PENDING "footfall_collector_journal_pending"

static void with_ack_kafka_a_reply_waits_for_delivery(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_kafka);
    int fd = stage_post_held(&stage);
    expect_nothing(fd);
    stage_release(&stage);
    stage_expect(&stage, fd, 204);
    assert_int_equal(stage_stored_count(&stage), 1);
    close(fd);
    stage_end(&stage);
}

static void otherwise_it_does_not_wait_for_kafka(void **state)
{
    static const char *const acks[] = {"journal.ack=disk", "journal.ack=os", "journal.ack=memory"};
    (void)state;
    for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
        stage_start_held(&stage, (const char *const[]){acks[i], NULL});
        assert_int_equal(stage_post_alone(&stage, JSON, HIT("a")), 204);
        assert_int_equal(stage_post_alone(&stage, JSON, HIT("a")), 204);
        assert_int_equal(stage_post_alone(&stage, JSON, "[" HIT("a") "," HIT("b") "," STAGE_PLAIN_HIT "]"),
                         204);
        stage_wait_metric(&stage, STAGE_IN_FLIGHT, 1); /* the first to a partition goes alone */
        assert_int_equal(stage_metric(&stage, PENDING), 3);
        stage_release(&stage);
        stage_wait_metric(&stage, PENDING, 0);
        assert_int_equal(stage_stored_count(&stage), 3);
        stage_end(&stage);
    }
}

static void before_kafka_is_reached_hits_are_taken(void **state)
{
    static const char *const nowhere[] = {"kafka.brokers=127.0.0.1:1", NULL};
    (void)state;
    stage_start(&stage, nowhere);
    assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    assert_int_equal(stage_ready_status(&stage), 503);
    stage_begin_stop(&stage);
    stage_finish_stop(&stage);
    stage_start_again(&stage, NULL);
    stage_wait_metric(&stage, "footfall_collector_hits_delivered_total", 1);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    stage_end(&stage);
}

static void the_mirror_does_not_wait_for_kafka(void **state)
{
    (void)state;
    stage_start_on_unix(&stage, "mirror.listen");
    int fd = stage_connect_unix(stage.values.mirror_listen), page = bench_connect(&stage.bench);
    stage_hold(&stage);
    stage_mirror(&stage, fd, "GET", "same");
    stage_expect(&stage, fd, 204);
    stage_mirror(&stage, fd, "GET", "same");
    stage_expect(&stage, fd, 204);
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 1);
    stage_post(&stage, page, JSON, HIT("same")); /* a page that repeats it waits for its delivery */
    stage_wait_metric(&stage, WAITING, 1);
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
    stage_start_ready(&stage, stage_ack_kafka);
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
    stage_start_held(&stage, stage_ack_kafka);
    for (int i = 0; i < 4; i++) {
        fds[i] = bench_connect(&stage.bench);
        stage_post(&stage, fds[i], JSON, i < 3 ? HIT("same") : "[" HIT("same") "," HIT("other") "]");
    }
    stage_wait_metric(&stage, WAITING, 4);
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

static void no_room_is_503_and_nothing_is_taken(void **state)
{
    static const char *const no_room[] = {"journal.min_free_bytes=1000000GiB", NULL};
    (void)state;
    stage_start(&stage, no_room);
    int fd = bench_connect(&stage.bench);
    stage_post(&stage, fd, JSON, "[" HIT("1") "," HIT("2") "]");
    const struct stage_reply *reply = stage_read_reply(&stage, fd);
    assert_int_equal(reply->status, 503);
    assert_non_null(strstr(reply->head, "Retry-After: 1\r\n"));
    assert_int_equal(stage_metric(&stage, "footfall_collector_requests_refused_total{reason=\"full\"}"), 1);
    assert_int_equal(stage_metric(&stage, "footfall_collector_journal_appended_total"), 0);
    assert_int_equal(stage_metric(&stage, "footfall_collector_journal_takes_hits"), 0);
    assert_int_equal(stage_ready_status(&stage), 503);
    close(fd);
    stage_end(&stage);
}

static void a_narrow_queue_of_the_client_only_slows(void **state)
{
    static const char *const narrow[] = {"rdkafka.queue.buffering.max.messages=2", NULL};
    char body[1024];
    struct buf hits_text;
    (void)state;
    stage_start_ready(&stage, narrow);
    buf_init(&hits_text, body, sizeof(body));
    for (int i = 0; i < 20; i++)
        buf_add_format(&hits_text, "%s" STAGE_PLAIN_HIT, i == 0 ? "[" : ",");
    buf_add_format(&hits_text, "]");
    assert_int_equal(stage_post_alone(&stage, JSON, body), 204);
    stage_wait_metric(&stage, PENDING, 0);
    assert_int_equal(stage_stored_count(&stage), 20);
    assert_int_equal(stage_metric(&stage, PRODUCERS), 1);
    stage_end(&stage);
}

static void a_fatal_producer_is_replaced_and_nothing_is_passed_over(void **state)
{
    int fds[3];
    (void)state;
    stage_start_ready(&stage, stage_ack_kafka);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("before")), 204);
    stage_hold(&stage);
    for (int i = 0; i < 3; i++) {
        fds[i] = bench_connect(&stage.bench);
        stage_post(&stage, fds[i], JSON, i < 2 ? HIT("kept") : STAGE_PLAIN_HIT);
    }
    stage_wait_metric(&stage, STAGE_IN_FLIGHT, 2);
    stage_make_fatal(&stage);
    stage_wait_metric(&stage, PRODUCERS, 2);
    stage_release(&stage);
    for (int i = 0; i < 3; i++) {
        stage_expect(&stage, fds[i], 204);
        close(fds[i]);
    }
    assert_int_equal(stage_read_hits(&stage, hits, 100), 3);
    for (size_t i = 0; i < 3; i++) /* one process, one stream a partition, the same numbers as ever */
        assert_true(uuid_equals(hits[i].hit.stream.boot, hits[0].hit.stream.boot));
    stage_end(&stage);
}

static void fatal_again_and_again_is_survived(void **state)
{
    (void)state;
    stage_start(&stage, NULL);
    for (int i = 0; i < 3; i++) {
        stage_wait_metric(&stage, "footfall_collector_kafka_ready", 1);
        stage_make_fatal(&stage);
        stage_wait_metric(&stage, PRODUCERS, i + 2);
    }
    assert_int_equal(stage_ready_status(&stage), 200); /* hits are taken all the while */
    assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_wait_metric(&stage, PENDING, 0);
    stage_end(&stage);
}

/* As when a file of certificates is being replaced at that moment. */
static void a_producer_that_cannot_be_made_is_tried_again(void **state)
{
    (void)state;
    stage_start_held(&stage, stage_ack_kafka);
    int fd = stage_post_held(&stage);
    stage_fail_producers(1);
    stage_make_fatal(&stage);
    stage_wait_metric(&stage, "footfall_collector_kafka_ready", 0);
    assert_int_equal(stage_ready_status(&stage), 200); /* hits are taken meanwhile */
    stage_release(&stage);
    stage_expect(&stage, fd, 204);
    close(fd);
    stage_end(&stage);
}

/* A batch is refused as a whole: it is found out which of them is to blame. */
static void a_refused_hit_is_put_aside_and_its_neighbours_are_kept(void **state)
{
    static const char *const patient[] = {"rdkafka.linger.ms=500", NULL}; /* hits of one request: one batch */
    char path[64], line[4096];
    (void)state;
    stage_start_ready(&stage, patient);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("first")), 204);
    stage_wait_metric(&stage, PENDING, 0);
    stage_refuse(&stage, 2); /* the batch, then the first of them alone */
    assert_int_equal(stage_post_alone(&stage, JSON, "[" HIT("bad") "," HIT("good") "," HIT("better") "]"),
                     204);
    stage_wait_metric(&stage, PENDING, 0);
    assert_int_equal(stage_metric(&stage, "footfall_collector_hits_refused_by_kafka_total"), 1);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 3);
    assert_int_equal(stage_stored_count(&stage), 4); /* with the word that a number is skipped */
    snprintf(path, sizeof(path), "%s/journal/quarantine/refused", stage.folder);
    FILE *refused = fopen(path, "r");
    assert_non_null(refused);
    assert_non_null(fgets(line, sizeof(line), refused));
    assert_non_null(strstr(line, "\"url\":\"https://example.com/\""));
    fclose(refused);
    stage_end(&stage);
}

static void what_the_client_itself_refuses_is_put_aside(void **state)
{
    static const char *const small[] = {"rdkafka.message.max.bytes=1000", NULL};
    static char body[3000];
    (void)state;
    stage_start_ready(&stage, small);
    snprintf(body, sizeof(body), "{\"url\":\"https://example.com/%0*d\"}", 2000, 0);
    assert_int_equal(stage_post_alone(&stage, JSON, body), 204);
    assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    stage_wait_metric(&stage, PENDING, 0);
    assert_int_equal(stage_metric(&stage, "footfall_collector_hits_refused_by_kafka_total"), 1);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    stage_end(&stage);
}

static void with_other_partitions_hits_wait_in_the_journal(void **state)
{
    static const char *const too_many[] = {"kafka.partitions=11", NULL};
    (void)state;
    stage_start(&stage, too_many);
    stage_wait_not_ready(&stage, "kafka.partitions is 11 but topic hits has 4");
    for (int i = 0; i < 20; i++)
        assert_int_equal(stage_post_alone(&stage, JSON, STAGE_PLAIN_HIT), 204);
    assert_int_equal(stage_stored_count(&stage), 0);
    stage_begin_stop(&stage);
    stage_finish_stop(&stage);
    stage_start_again(&stage, NULL);
    stage_wait_metric(&stage, PENDING, 0);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 20);
    for (size_t i = 0; i < 20; i++) { /* a stream lies in one partition */
        assert_int_equal(hits[i].partition, hits[i].hit.stream.partition % 4);
        assert_int_equal(hits[i].hit.seq, i + 1);
    }
    stage_end(&stage);
}

static void a_repeat_after_a_restart_is_found_in_the_journal(void **state)
{
    (void)state;
    stage_start_held(&stage, NULL);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("again")), 204);
    stage_begin_stop(&stage);
    stage_finish_stop(&stage);
    stage_start_again(&stage, NULL);
    assert_int_equal(stage_post_alone(&stage, JSON, HIT("again")), 204);
    assert_int_equal(stage_metric(&stage, REPEATED), 1);
    stage_release(&stage);
    stage_wait_metric(&stage, PENDING, 0);
    assert_int_equal(stage_read_hits(&stage, hits, 100), 1);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_ack_kafka_a_reply_waits_for_delivery),
        cmocka_unit_test(otherwise_it_does_not_wait_for_kafka),
        cmocka_unit_test(before_kafka_is_reached_hits_are_taken),
        cmocka_unit_test(the_mirror_does_not_wait_for_kafka),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(repeats_of_an_id_share_its_delivery),
        cmocka_unit_test(no_room_is_503_and_nothing_is_taken),
        cmocka_unit_test(a_narrow_queue_of_the_client_only_slows),
        cmocka_unit_test(a_fatal_producer_is_replaced_and_nothing_is_passed_over),
        cmocka_unit_test(fatal_again_and_again_is_survived),
        cmocka_unit_test(a_producer_that_cannot_be_made_is_tried_again),
        cmocka_unit_test(a_refused_hit_is_put_aside_and_its_neighbours_are_kept),
        cmocka_unit_test(what_the_client_itself_refuses_is_put_aside),
        cmocka_unit_test(with_other_partitions_hits_wait_in_the_journal),
        cmocka_unit_test(a_repeat_after_a_restart_is_found_in_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
