/* SPDX-License-Identifier: Apache-2.0
 * row: rows of our tables in the binary form of COPY and of binary results (Postgres documentation, "COPY",
 * "Binary Format").
 *
 * Encoders append one tuple (field count, then length and value of each field) without header or trailer; the
 * store adds these. Column order is that of sql/migrations. Timestamps are int64 microseconds since
 * 2000-01-01. Pure. */
#ifndef AGGREGATOR_ROW_H
#define AGGREGATOR_ROW_H

#include "aggregator/batch.h"
#include "aggregator/session.h"
#include "base/buf.h"

int64_t row_timestamp(wall_ms time);
wall_ms row_time(int64_t timestamp);

void row_begin(struct buf *out, int field_count);
void row_add_null(struct buf *out);
void row_add_text(struct buf *out, slice text);
void row_add_text_or_null(struct buf *out, slice text); /* empty: NULL */
void row_add_bool(struct buf *out, bool value);
void row_add_int16(struct buf *out, int16_t value);
void row_add_int32(struct buf *out, int32_t value);
void row_add_int64(struct buf *out, int64_t value);
void row_add_real(struct buf *out, float value);
void row_add_timestamp(struct buf *out, wall_ms time);
void row_add_uuid(struct buf *out, uuid id);
void row_add_bytes(struct buf *out, slice bytes);

/* 11-byte signature, flags, extension length; and the trailer. */
void row_add_header(struct buf *out);
void row_add_trailer(struct buf *out);

/* processed_events: see sql/migrations/0001 for the columns. */
void row_add_hit(struct buf *out, const struct batch_position *at, const struct hit *hit,
                 const struct place *place, int64_t agent_id);
/* Such a row once more, with another place. */
void row_add_hit_with_place(struct buf *out, slice row, const struct place *place);
/* The columns of such a row that the tables before us had. Slices borrow from it. */
struct row_hit {
    slice ip;
    wall_ms event_time;
    slice referrer, host, url, geodata;
};
struct row_hit row_read_hit(slice row);
/* session_events_aggregated_ip */
void row_add_session(struct buf *out, const struct session *session, int64_t gap_ms);
/* footfall.strays after its own first columns: ip, host,
 * start, last, events, bot_events, entry_url, referrer, country, state, city, exit_url. */
enum { ROW_SESSION_PART_FIELDS = 12 };
void row_add_session_part(struct buf *out, const struct session *session);

#endif
