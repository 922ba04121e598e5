/* SPDX-License-Identifier: Apache-2.0
 * batch: messages decoded, located and encoded as rows, waiting to be written in one transaction.
 *
 * feed -> intake_take -> batch_add_hit | batch_add_reject | batch_pass, batch_note_control. Two batches take
 * turns: while one is written the other is filled; nothing in it depends on what the first one changes (no
 * dedup, no sessions: merge does these). Rows of processed_events are encoded at once in COPY BINARY form
 * into one buffer; each hit remembers its span, so that duplicates are left out when the buffer is sent.
 * Texts live in the batch's arena until batch_clear. Owned by the aggregator; loop thread. Bounded:
 * BATCH_MAX_HITS messages and BATCH_MAX_BYTES of rows. */
#ifndef AGGREGATOR_BATCH_H
#define AGGREGATOR_BATCH_H

#include "aggregator/places.h"
#include "base/arena.h"
#include "proto/control.h"

/* Reached only while the log is behind. There, 20,000 cost Postgres 17 % less than 5,000: sessions are
 * changed less often, fewer statements run. Beyond that a write would hold its rows, and the loop, for
 * longer. */
enum { BATCH_MAX_HITS = 20000, BATCH_MAX_BYTES = 32 * 1024 * 1024 };

struct batch_position { /* where a message stood */
    int partition;
    int64_t offset;
    wall_ms written; /* the record's Kafka timestamp */
};

struct batch_hit {
    struct batch_position at;
    bool has_stream;
    bool is_duplicate; /* set by merge */
    struct hit_stream stream;
    int64_t seq;
    int home; /* partition of the key host|ip */
    ip_address ip;
    wall_ms event_time;
    slice host, url, referrer; /* in the batch's arena */
    slice country, state, city;
    enum hit_source source;
    uint32_t flags;
    bool is_bot;
    bool is_provisional;         /* its place is */
    uint32_t row_start, row_len; /* in rows */
};

struct batch_control { /* what was said of a stream */
    struct batch_position at;
    struct control control; /* its reason is in the batch's arena */
};

struct batch_agent { /* a user agent of this batch that the dictionary may lack */
    int64_t id;      /* XXH3-64 of the text */
    slice text;
};

struct batch {
    int partition_count; /* of the topic: for the home of a key */
    size_t hit_count;
    struct batch_hit *hits; /* in order of arrival */
    size_t control_count;
    struct batch_control *controls; /* in order of arrival */
    size_t reject_count;
    size_t message_count; /* hits + rejects + passed over */
    struct buf rows;      /* COPY BINARY tuples of processed_events, no header, no trailer */
    /* COPY BINARY tuples of rejected_hits: topic, kafka_partition, kafka_offset, written_at, reason, raw. */
    struct buf rejects;
    size_t agent_count;
    struct batch_agent *agents; /* distinct within the batch */
    size_t day_count;
    int32_t *days;            /* distinct days (since 1970-01-01) of event times */
    int64_t *next_offsets;    /* by partition: last seen + 1, or -1: no message */
    wall_ms *last_written;    /* by partition: when the last message was written, if there is one */
    size_t provisional_count; /* hits whose place is */
    /* Kept here for the caller, who sets them: when the first message came in; when the batch was due and
     * waited for places instead, 0: it did not. */
    mono_ms first_at;
    mono_ms waits_since;
    struct arena *arena;
    struct batch_index *index; /* of days and agents; private */
};

/* topic: first column of rejects; borrowed. */
struct batch *batch_new(const char *topic, int partition_count);
void batch_free(struct batch **batch);
void batch_clear(struct batch *batch);
bool batch_is_empty(const struct batch *batch);
/* Room for one more message of any legal size; max_messages: the caller's own limit, as when a batch is
 * halved.
 */
bool batch_has_room(const struct batch *batch, size_t max_messages);

void batch_add_hit(struct batch *batch, const struct batch_position *at, const struct hit *hit,
                   const struct place *place);
/* Whether a place is provisional and its better answer still to come. */
bool batch_awaits_places(const struct batch *batch, struct places *places);
/* Gives the hits whose place is provisional the one that is known by now, as long as there is room for rows.
 */
void batch_settle_places(struct batch *batch, struct places *places);
/* raw is kept as it stood (bytea), at most HIT_MAX_BYTES of it. */
void batch_add_reject(struct batch *batch, const struct batch_position *at, slice reason, slice raw);
/* What a record says of its stream, besides being passed or rejected; once a record. The reason is copied. */
void batch_note_control(struct batch *batch, const struct batch_position *at, const struct control *control);
/* The rows of hits that are no duplicates, neighbours in one piece: at most hit_count pieces. Returns how many;
 * they borrow from the batch. */
size_t batch_cut_new(const struct batch *batch, slice *pieces);
/* What it holds was read before: those that are rejected once more are in the table, and no offset moves. */
void batch_make_retried(struct batch *batch);
/* A record that is no hit: the offset moves. */
void batch_pass(struct batch *batch, const struct batch_position *at);

#endif
