/* SPDX-License-Identifier: Apache-2.0
 * stage: a whole collector, its clients and a mock Kafka in one process.
 *
 * The collector runs on the loop of a bench (tests/unit/base_http/bench.h), so the clients of that bench are
 * its clients: stage.bench.port is the public listener. Kafka is librdkafka's mock cluster in threads of its
 * own: topic "hits" with STAGE_PARTITIONS partitions whose leaders can be taken away. Waits end by what
 * happens; BENCH_PATIENCE_MS without it fails the test. One stage at a time. */
#ifndef TESTS_UNIT_COLLECTOR_STAGE_H
#define TESTS_UNIT_COLLECTOR_STAGE_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "collector/collector.h"
#include "proto/hit.h"
#include "tests/unit/base_http/bench.h"

enum { STAGE_PARTITIONS = 4, STAGE_MAX_HITS = 1000 };

#define STAGE_PLAIN_HIT "{\"url\":\"https://example.com/\"}"
#define STAGE_IN_FLIGHT "footfall_collector_hits_in_flight"

/* Settings to start with: the reply does not wait at all, or until Kafka has confirmed the hit. */
extern const char *const stage_ack_memory[];
extern const char *const stage_ack_kafka[];

struct stage {
    struct bench bench;
    struct collector_settings values;
    struct settings *settings;
    struct collector *collector;
    rd_kafka_t *client; /* owns the cluster; reads what is stored */
    rd_kafka_mock_cluster_t *cluster;
    bool is_stopped;
    bool is_over;    /* freed */
    char folder[32]; /* of the journal, and of the unix socket if there is one */
};

struct stage_reply {
    int status;
    char head[2048];
    char body[1024];
};

struct stage_hit {
    struct hit hit;
    int partition;
    char key[512];
    char memory[HIT_MAX_BYTES]; /* what the hit borrows from */
};

/* further: "section.key=value" …, NULL at the end; may be NULL. Sites: example.com, *.example.org; the
 * journal is empty. Returns without waiting for Kafka. */
void stage_start(struct stage *stage, const char *const *further);
/* Another collector, on the journal and with the Kafka of the one that was stopped. */
void stage_start_again(struct stage *stage, const char *const *further);
void stage_wait_ready(struct stage *stage);
/* Until it says that it is not ready for this reason. */
void stage_wait_not_ready(struct stage *stage, const char *reason);
void stage_start_ready(struct stage *stage, const char *const *further);
/* Ready, and held as by stage_hold. */
void stage_start_held(struct stage *stage, const char *const *further);
/* Ready, with the listener of this setting ("mirror.listen") on a unix socket of the stage's own, and with
 * ack = kafka. */
void stage_start_on_unix(struct stage *stage, const char *setting);
/* Stops the collector if that was not done, and checks that the loop is empty. */
void stage_end(struct stage *stage);
void stage_begin_stop(struct stage *stage);
void stage_finish_stop(struct stage *stage);

/* No partition has a leader: hits stay on their way, until they are released. */
void stage_hold(struct stage *stage);
void stage_release(struct stage *stage);
/* As librdkafka's own test call does it. */
void stage_make_fatal(struct stage *stage);
/* The next so many producers cannot be made. */
void stage_fail_producers(int count);
/* The next so many attempts to produce are refused: a record in them is invalid. */
void stage_refuse(struct stage *stage, int count);

/* head: further header lines, each with CRLF. */
void stage_post(struct stage *stage, int fd, const char *head, const char *body);
void stage_get(struct stage *stage, int fd, const char *target, const char *head);
/* A connection of its own whose one hit is in flight. The stage is held. */
int stage_post_held(struct stage *stage);
/* A connection to a listener on a unix socket, and a request to the mirror listener as nginx sends it. */
int stage_connect_unix(const char *listen);
void stage_mirror(struct stage *stage, int fd, const char *method, const char *id);
/* The next reply on this connection; static memory. */
const struct stage_reply *stage_read_reply(struct stage *stage, int fd);
void stage_expect(struct stage *stage, int fd, int status);
/* Posts on a connection of its own and gives the status. */
int stage_post_alone(struct stage *stage, const char *head, const char *body);
int stage_ready_status(struct stage *stage);
/* The value of a metric's whole name, as the admin listener says it. */
int64_t stage_metric(struct stage *stage, const char *name);
void stage_wait_metric(struct stage *stage, const char *name, int64_t value);

/* Messages in the topic. */
int64_t stage_stored_count(struct stage *stage);
/* Reads all hits, decoded, in order of partition and offset; returns how many. */
size_t stage_read_hits(struct stage *stage, struct stage_hit *hits, size_t max);

#endif
