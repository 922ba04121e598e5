/* SPDX-License-Identifier: Apache-2.0
 * intake: one message on its way into the batch: decoded, checked, located, added.
 *
 * aggregator -> intake_take -> hit_decode, places_find, batch_add_hit | batch_add_reject
 *                           or -> control_decode, batch_pass, batch_note_control | batch_add_reject
 * What cannot be a hit becomes a reject with its reason and its bytes; its neighbours are kept. If it says
 * which number of which stream it is, it counts as skipped, for it is not missing. A hit of a newer version
 * of the contract is neither: the caller stops reading that partition, since the hit is good and a newer
 * program will store it. Borrows places. Loop thread. */
#ifndef AGGREGATOR_INTAKE_H
#define AGGREGATOR_INTAKE_H

#include "aggregator/batch.h"
#include "aggregator/feed.h"
#include "aggregator/metrics.h"
#include "aggregator/places.h"
#include "aggregator/session.h"

/* No clock is so wrong that its hit comes a day before it was written to Kafka. */
#define INTAKE_MAX_AHEAD_MS INT64_C(86400000)
/* A record's Kafka timestamp is what its producer says, so it may be anything, as nanoseconds for
 * milliseconds. It is taken for the nearest time that Postgres knows. */
#define INTAKE_MIN_WRITTEN_MS INT64_C(0)
#define INTAKE_MAX_WRITTEN_MS SESSION_MAX_TIME_MS

enum { INTAKE_REASON_MAX = 128 };

struct intake {
    struct places *places;
    int64_t max_age_ms;                    /* of an event when it is written to Kafka */
    struct buf scratch;                    /* of the message under way */
    char reject_reason[INTAKE_REASON_MAX]; /* of the last reject */
};

void intake_init(struct intake *intake, struct places *places, int64_t max_age_ms);
void intake_fini(struct intake *intake);

enum intake_outcome {
    INTAKE_TAKEN,
    INTAKE_TOO_NEW, /* nothing was added */
};
/* The batch has room. refusal: why Postgres refused this very message when it came alone; empty: it did not.
 * counts: of this batch, to be added up when it is committed. */
enum intake_outcome intake_take(struct intake *intake, const struct feed_message *message, slice refusal,
                                struct batch *batch, struct metrics *counts);

#endif
