/* SPDX-License-Identifier: Apache-2.0
 * sim_topic: the log of a simulated world, and what is to come of it.
 *
 * A few visitors' hits in a few partitions: those of our collectors are numbered, keyed by visitor, sometimes
 * said twice; those of older producers have no number and stand anywhere, many of them away from home. Streams
 * end (fin) before or after their last hits; some numbers are said never to come (skip), and a few of these
 * come all the same; some are lost without a word: holes. Offsets have gaps. The order is any. A log shows
 * more and more of its messages, and may delete the oldest. Made from a seed; one thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_TOPIC_H
#define TESTS_UNIT_AGGREGATOR_SIM_TOPIC_H

#include "proto/control.h"
#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/sim_postgres.h"

enum { TOPIC_MAX_MESSAGES = 512, TOPIC_MAX_STREAMS = 16, TOPIC_MAX_HITS = 128, TOPIC_SPREAD_MS = 4000000 };

struct topic_message {
    int64_t offset;
    bool is_gone; /* deleted from the log */
    wall_ms written;
    bool is_control;
    struct control control;
    size_t hit; /* number of the distinct hit */
    bool has_stream;
    struct hit_stream stream;
    int64_t seq;
    struct session part; /* what the hit adds */
};

struct topic_log {
    size_t count;
    size_t shown;
    int64_t first; /* offset: what stands before it is gone */
    struct topic_message messages[TOPIC_MAX_MESSAGES];
};

struct topic_stream {
    struct hit_stream stream;
    int64_t last;
    int64_t lost_count; /* numbers that nobody says anything of */
    bool has_ended;     /* a fin is in the log */
};

struct topic {
    bool is_numbered; /* all hits are */
    bool has_lost;    /* something is gone */
    size_t hit_count;
    struct topic_log logs[SIM_PARTITIONS];
    size_t stream_count;
    struct topic_stream streams[TOPIC_MAX_STREAMS];
};

void topic_make(struct topic *topic, struct choice *choice, wall_ms base);
/* Shows some more messages, but not the last one of a log: there is always one that is still to come. */
void topic_grow(struct topic *topic, struct choice *choice);
void topic_show_all(struct topic *topic);
/* Messages before the offset are deleted, as retention does it. */
void topic_expire(struct topic *topic, int partition, int64_t offset);
/* The first message shown at or after the offset, and not gone; NULL: there is none. */
const struct topic_message *topic_next(const struct topic *topic, int partition, int64_t offset);
/* The message that stands or stood there; NULL: there is none. */
const struct topic_message *topic_at(const struct topic *topic, int partition, int64_t offset);
/* After the last message. */
int64_t topic_end(const struct topic *topic, int partition);

#endif
