/* SPDX-License-Identifier: Apache-2.0
 * publisher: moves entries from the journal to Kafka without ever blocking the loop, and acknowledges each by
 * its own delivery report.
 *
 * keeper -> publisher_fill = while there is room: journal_read -> producer_send | producer_send_control
 * producer -> on_report -> journal_acknowledge -> keeper_wake
 * Owns the producer. It reads only after the topic was reached and has the number of partitions that the
 * settings say; a difference stops it until it is mended, the hits wait in the journal. It hands out no more
 * than it has room for (MAX_HITS, MAX_BYTES) and FILL_HITS a turn; a full queue of librdkafka's stops it too.
 * Whatever fails, nothing is passed over: the producer is closed, another one made, and the journal rewound
 * to the first entry that is not acknowledged. At once when that is routine, after a pause, which doubles up
 * to MAX_PAUSE_MS, when the last producer delivered nothing. A hit that Kafka refuses when it is sent alone
 * (too large, invalid) is kept aside by journal_keep_refused and announced as skipped; after a refusal all
 * that was in flight is sent one by one, to find the one.
 * Old entries go where they were meant to go, with their own streams and numbers: to the topic of their time
 * when they may have been sent before, else to that of the settings; a partition that the topic does not have
 * becomes its remainder, so that a stream never lies in two.
 * Loop thread only. What can fail at start: section [rdkafka] (*why, as producer_open says); later the making
 * of a producer is tried again. */
#ifndef COLLECTOR_PUBLISHER_H
#define COLLECTOR_PUBLISHER_H

#include "base/settings.h"

struct keeper;
struct publisher;
struct uv_loop_s;

enum {
    PUBLISHER_MAX_HITS = 65536,             /* librdkafka's queue: 100,000 messages … */
    PUBLISHER_MAX_BYTES = 48 * 1024 * 1024, /* … or 64 MiB */
};

struct publisher_options {
    struct uv_loop_s *loop;
    const char *brokers;
    const char *topic;
    int partitions;
    const struct settings *settings; /* borrowed until publisher_close */
    struct keeper *keeper;
};

struct publisher_counters {
    int64_t producers_total;
    int64_t delivered_total; /* hits */
    int64_t refused_total;   /* hits, for good */
    int64_t in_flight;
    int64_t in_flight_bytes;
    bool is_connected; /* the topic was reached by the present producer and is as the settings say */
};

struct publisher *publisher_open(const struct publisher_options *options, struct why *why);
/* The topic was reached once, and was as the settings say when it was last seen. False: *reason (valid until
 * the next turn of the loop) says what is missing. */
bool publisher_is_ready(const struct publisher *publisher, const char **reason);
/* Sends what there is to send and room for. */
void publisher_fill(struct publisher *publisher);
struct publisher_counters publisher_counters(const struct publisher *publisher);
/* Stops at once; what is in flight stays in the journal. Calls on_closed; its last resources go when the loop
 * has run out. */
typedef void publisher_closed_fn(void *context);
void publisher_close(struct publisher *publisher, publisher_closed_fn *on_closed, void *context);
/* After on_closed only; leaves NULL, accepts NULL. */
void publisher_free(struct publisher **publisher);

#endif
