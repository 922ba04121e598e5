/* SPDX-License-Identifier: Apache-2.0
 * pace: when a batch is due, and how many messages it may hold.
 *
 * In health a batch is written when the queue has run dry, but never so soon that Postgres spends more than
 * half of its time in our transactions; at the latest PACE_MAX_WAIT_MS after its first message, or when it is
 * full. While one is written the next one fills, so the batch grows with the load by itself.
 *
 * When Postgres refuses a batch for its data, the limit is halved until the message that it refuses comes
 * alone; it stays low until as many messages as were refused have passed, then it doubles with each commit.
 * A pure value, times are given. */
#ifndef AGGREGATOR_PACE_H
#define AGGREGATOR_PACE_H

#include "base/clock.h"

enum { PACE_MAX_WAIT_MS = 20 };

struct pace {
    size_t max_messages;   /* of a batch */
    size_t full_count;     /* max_messages in health */
    int64_t suspect_count; /* messages to pass until the refused one must have been among them */
    mono_ms started;       /* the last write */
    int64_t write_ms;      /* what it took */
};

struct pace_batch {
    size_t message_count;
    bool is_full;
    bool is_dry; /* nothing more is waiting to join it */
    mono_ms first_at;
};

void pace_init(struct pace *pace, size_t full_count);
/* Milliseconds until the batch is due: 0 now, -1 never (it is empty). */
int64_t pace_wait_ms(const struct pace *pace, const struct pace_batch *batch, mono_ms now);
void pace_note_start(struct pace *pace, mono_ms now);
void pace_note_committed(struct pace *pace, size_t message_count, mono_ms now);
/* Refused for its data. True: it held one message, so that is the bad one. */
bool pace_note_refused(struct pace *pace, size_t message_count);
/* A bad message is looked for: batches hold messages only. */
bool pace_is_searching(const struct pace *pace);

#endif
