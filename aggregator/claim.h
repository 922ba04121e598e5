/* SPDX-License-Identifier: Apache-2.0
 * claim: what the aggregator holds in memory of one partition that it has claimed in Postgres.
 *
 * Made by the store when the fence was claimed, from the rows found there; changed only by merge, inside a
 * batch that is about to commit; thrown away whole on any doubt (error, fenced, revoked): the next claim
 * loads it anew. So memory is always what Postgres says plus at most one batch under way. Loop thread only;
 * owned by the aggregator. */
#ifndef AGGREGATOR_CLAIM_H
#define AGGREGATOR_CLAIM_H

#include "aggregator/holes.h"
#include "aggregator/sessions.h"
#include "base/uuid.h"
#include "proto/hit.h"

enum { CLAIM_MAX_STREAMS = 65536 };

struct claim_stream { /* what was received of one stream, and what was said of it */
    struct hit_stream stream;
    struct received set;
    bool changed;          /* set by merge, cleared by the store when it writes the set */
    bool is_audit_changed; /* the same of the next three, and of the numbers of a stream that has ended */
    struct audit audit;
    int64_t missing_count; /* of a stream that has ended, once is_audit_changed */
    slice reason;          /* of a skip in the batch under way, whose memory it is */
};

struct claim {
    int partition;
    uuid owner;           /* fresh random token of this claim */
    int64_t next_offset;  /* as committed; -2: the beginning of the log */
    int64_t version;      /* as committed */
    wall_ms stored_until; /* latest hit in any session that this partition has stored; INT64_MIN: none yet */
    wall_ms greatest_event; /* of what was merged: the watermark before the wall clock caps it; INT64_MIN at
                               first */
    wall_ms log_time;       /* Kafka timestamp of the newest record merged; INT64_MIN at first */
    struct holes holes;     /* in streams that have ended */
    bool is_audit_changed;  /* that of a stream is */
    bool has_strays;        /* a peek saw strays for this home: the next batch takes them */
    struct sessions *sessions;
    struct claim_streams *streams; /* by stream, loaded when first named */
};

struct claim *claim_new(int partition, int64_t gap_ms, size_t max_open);
void claim_free(struct claim **claim); /* accepts NULL, leaves NULL */
/* The received set of a stream, NULL when it is not loaded yet. */
struct claim_stream *claim_stream_find(const struct claim *claim, const struct hit_stream *stream);
/* Adds a loaded (or new, empty) set of a stream that is not there yet; takes the set's memory. Pointers to
 * streams are good until the next add. */
struct claim_stream *claim_stream_add(struct claim *claim, const struct hit_stream *stream,
                                      struct received set);
/* Forgets all sets when there are more than CLAIM_MAX_STREAMS: they are loaded again when named. Only when
 * they are saved. */
void claim_streams_trim(struct claim *claim);
/* Walks the streams; *cursor starts at 0; NULL at the end. */
struct claim_stream *claim_stream_next(const struct claim *claim, size_t *cursor);

/* The watermark: greatest event time, never above the wall clock; after `lateness` without a message at the
 * end of the log (quiet_ms >= lateness), at least wall clock - lateness. */
wall_ms claim_watermark(const struct claim *claim, wall_ms now, int64_t quiet_ms, int64_t lateness_ms);

#endif
