/* SPDX-License-Identifier: Apache-2.0
 * loss: whether a partition can be read on where it stands, and if not, what of its log is gone.
 *
 * aggregator, when the broker refuses an offset, and `resume`, before it moves one -> loss_find ->
 * loss_write. A log that was made anew and has grown beyond the offset that was stored cannot be told from
 * the old one: it shows no loss. Pure values, any thread. */
#ifndef AGGREGATOR_LOSS_H
#define AGGREGATOR_LOSS_H

#include "base/buf.h"

enum loss_kind {
    LOSS_NONE,
    LOSS_BEGINNING, /* records that were not stored are deleted; how many is known */
    LOSS_END, /* the log ends before what was stored: it was made anew or cut; what is gone is not known */
    LOSS_CLUSTER, /* it is another cluster's log */
};

struct loss_log { /* as the broker says */
    int64_t first;
    int64_t end; /* -1: it does not say */
};

struct loss {
    enum loss_kind kind;
    int64_t from;  /* the first record that was not stored */
    int64_t to;    /* where reading can go on: the first record there is */
    int64_t count; /* of records lost; -1: nobody can know */
};

/* next_offset: as stored, -2: the beginning of the log, whatever it is. LOSS_NONE when the log is not known.
 */
struct loss loss_find(int64_t next_offset, const struct loss_log *log);
/* The same when the log is not that of the cluster that was read so far. */
struct loss loss_find_elsewhere(int64_t next_offset, const struct loss_log *log);
/* What happened, as the first half of a sentence; nothing for LOSS_NONE. */
void loss_write(const struct loss *loss, struct buf *out);

#endif
