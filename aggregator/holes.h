/* SPDX-License-Identifier: Apache-2.0
 * holes: the streams of one partition that have ended and of which numbers are missing, and when it is time
 * to say so.
 *
 *   merge, claiming -> holes_set; the aggregator, between two batches -> holes_next_news; metrics ->
 *   holes_measure
 * An end can come before the last hits do: a collector whose producer failed makes a new one and sends again
 * from the first record without a receipt, so that its `fin` may stand in the log before the repeats. Hence a
 * hole is an alarm only when the log has gone HOLES_PATIENCE_MS on since, by the times that Kafka's records
 * carry (a reader that is far behind does not cry while the repeats lie before it), or when that time has
 * passed at the end of the log without a record. One found at a claim is judged by the wall clock: its time
 * mostly ran out before, and an alarm must not go off and on with each claim. A hole that is filled later is
 * no alarm any more. Owned by the claim; loop thread. Bounded: HOLES_MAX; those beyond it are in Postgres
 * only, the alarm rings without them. */
#ifndef AGGREGATOR_HOLES_H
#define AGGREGATOR_HOLES_H

#include "aggregator/audit.h"
#include "proto/hit.h"

enum { HOLES_MAX = 10000, HOLES_PATIENCE_MS = 30000 };

struct hole {
    struct hit_stream stream;
    int64_t last;
    struct audit_missing missing; /* count 0: it was filled */
    wall_ms ended;
    bool is_overdue; /* it needs no more patience */
    bool is_told;
};

struct holes { /* zeroed: none */
    size_t count;
    size_t cap;
    struct hole *at;
};

void holes_fini(struct holes *holes);
/* What is known of the stream from now on; is_told is not looked at. */
void holes_set(struct holes *holes, const struct hole *hole);

struct holes_time {
    wall_ms log;      /* of the newest record read; INT64_MIN: none yet */
    int64_t quiet_ms; /* at the end of the log without a record; -1: not at its end */
};
/* The next hole that is an alarm from now on, or one that was and is filled (count 0). False: no more. */
bool holes_next_news(struct holes *holes, const struct holes_time *time, struct hole *news);

struct holes_measure {
    int64_t stream_count;
    int64_t missing_count; /* INT64_MAX: that or more */
};
/* Adds those that are alarms. */
void holes_measure(const struct holes *holes, struct holes_measure *sum);

#endif
