/* SPDX-License-Identifier: Apache-2.0
 * row: see the header. */
#include "aggregator/row.h"

#include <endian.h>
#include <string.h>

/* 2000-01-01, where Postgres' timestamps begin, and their unit. */
#define POSTGRES_EPOCH_MS INT64_C(946684800000)
enum { US_A_MS = 1000 };

enum { HIT_FIELDS = 19, SESSION_FIELDS = 13 };
enum { GEODATA_FIELD = 5, COUNTRY_FIELD = 9, GEO_SOURCE_FIELD = 14 }; /* of a hit, from 0 */

int64_t row_timestamp(wall_ms time)
{
    return (time.ms - POSTGRES_EPOCH_MS) * US_A_MS;
}

wall_ms row_time(int64_t timestamp)
{
    return (wall_ms){timestamp / US_A_MS + POSTGRES_EPOCH_MS};
}

void row_begin(struct buf *out, int field_count)
{
    buf_add_be16(out, (uint16_t)field_count);
}

void row_add_null(struct buf *out)
{
    buf_add_be32(out, UINT32_MAX); /* a length of -1 */
}

/* This runs twenty times a hit: with a size known to the compiler it is two stores. */
static inline void add_field(struct buf *out, const void *value, size_t len)
{
    buf_add_be32(out, (uint32_t)len);
    buf_add_bytes(out, value, len);
}

void row_add_text(struct buf *out, slice text)
{
    add_field(out, text.data, text.len);
}

void row_add_text_or_null(struct buf *out, slice text)
{
    if (text.len == 0)
        row_add_null(out);
    else
        row_add_text(out, text);
}

void row_add_bool(struct buf *out, bool value)
{
    char byte = value;
    add_field(out, &byte, sizeof byte);
}

void row_add_int16(struct buf *out, int16_t value)
{
    uint16_t bytes = htobe16((uint16_t)value);
    add_field(out, &bytes, sizeof bytes);
}

void row_add_int32(struct buf *out, int32_t value)
{
    uint32_t bytes = htobe32((uint32_t)value);
    add_field(out, &bytes, sizeof bytes);
}

void row_add_int64(struct buf *out, int64_t value)
{
    uint64_t bytes = htobe64((uint64_t)value);
    add_field(out, &bytes, sizeof bytes);
}

void row_add_real(struct buf *out, float value)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof value, "a real has four bytes");
    memcpy(&bits, &value, sizeof bits);
    bits = htobe32(bits);
    add_field(out, &bits, sizeof bits);
}

void row_add_timestamp(struct buf *out, wall_ms time)
{
    row_add_int64(out, row_timestamp(time));
}

void row_add_uuid(struct buf *out, uuid id)
{
    add_field(out, id.bytes, sizeof id.bytes);
}

void row_add_bytes(struct buf *out, slice bytes)
{
    add_field(out, bytes.data, bytes.len);
}

void row_add_header(struct buf *out)
{
    static const char signature[11] = "PGCOPY\n\xff\r\n"; /* its last byte is 0 */
    buf_add_bytes(out, signature, sizeof signature);
    buf_add_be32(out, 0);
    buf_add_be32(out, 0);
}

void row_add_trailer(struct buf *out)
{
    buf_add_be16(out, UINT16_MAX); /* a tuple of -1 fields */
}

/* ---- Whole rows ---- */

static void add_ip(struct buf *out, ip_address ip)
{
    char text[IP_TEXT_MAX];
    row_add_text(out, (slice){text, ip_write(ip, text)});
}

/* From country to geo_source. */
static void add_place(struct buf *out, const struct place *place)
{
    row_add_text_or_null(out, place->country);
    row_add_text_or_null(out, place->state);
    row_add_text_or_null(out, place->city);
    if (place->has_coordinates) {
        row_add_real(out, place->latitude);
        row_add_real(out, place->longitude);
    } else {
        row_add_null(out);
        row_add_null(out);
    }
    row_add_text(out, geo_source_text(place->source));
}

void row_add_hit(struct buf *out, const struct batch_position *at, const struct hit *hit,
                 const struct place *place, int64_t agent_id)
{
    row_begin(out, HIT_FIELDS);
    /* Six columns as the tables before us had them: an empty text, not NULL. */
    add_ip(out, hit->ip);
    row_add_timestamp(out, hit->event_time);
    row_add_text(out, hit->referrer);
    row_add_text(out, hit->host);
    row_add_text(out, hit->url);
    row_add_text(out, place->geodata);
    if (hit->has_id)
        row_add_uuid(out, hit->id);
    else
        row_add_null(out);
    if (hit->user_agent.len > 0)
        row_add_int64(out, agent_id);
    else
        row_add_null(out);
    row_add_text(out, hit_source_text(hit->source));
    add_place(out, place);
    row_add_int32(out, (int32_t)hit->flags);
    if (hit->has_received_time)
        row_add_timestamp(out, hit->received_time);
    else
        row_add_null(out);
    row_add_int32(out, at->partition);
    row_add_int64(out, at->offset);
}

/* Where a field of a tuple begins, with its length word; field HIT_FIELDS is the end. */
static size_t find_field(slice row, int field)
{
    size_t at = sizeof(uint16_t);
    while (field-- > 0) {
        uint32_t len;
        memcpy(&len, row.data + at, sizeof len);
        len = be32toh(len);
        at += sizeof len + (len == UINT32_MAX ? 0 : len);
    }
    MUST(at <= row.len);
    return at;
}

void row_add_hit_with_place(struct buf *out, slice row, const struct place *place)
{
    size_t geodata = find_field(row, GEODATA_FIELD), country = find_field(row, COUNTRY_FIELD);
    buf_add(out, slice_head(row, geodata));
    row_add_text(out, place->geodata);
    size_t behind_geodata = find_field(row, GEODATA_FIELD + 1);
    buf_add_bytes(out, row.data + behind_geodata, country - behind_geodata);
    add_place(out, place);
    buf_add(out, slice_from(row, find_field(row, GEO_SOURCE_FIELD + 1)));
}

/* The next field, which is not NULL. */
static slice take_field(slice *rest)
{
    uint32_t len;
    MUST(rest->len >= sizeof len);
    memcpy(&len, rest->data, sizeof len);
    len = be32toh(len);
    *rest = slice_from(*rest, sizeof len);
    MUST(len <= rest->len);
    slice field = slice_head(*rest, len);
    *rest = slice_from(*rest, len);
    return field;
}

static wall_ms read_time(slice field)
{
    uint64_t bits;
    MUST(field.len == sizeof bits);
    memcpy(&bits, field.data, sizeof bits);
    return row_time((int64_t)be64toh(bits));
}

struct row_hit row_read_hit(slice row)
{
    struct row_hit hit;
    slice rest = slice_from(row, sizeof(uint16_t));
    hit.ip = take_field(&rest);
    hit.event_time = read_time(take_field(&rest));
    hit.referrer = take_field(&rest);
    hit.host = take_field(&rest);
    hit.url = take_field(&rest);
    hit.geodata = take_field(&rest);
    return hit;
}

void row_add_session(struct buf *out, const struct session *session, int64_t gap_ms)
{
    row_begin(out, SESSION_FIELDS);
    row_add_timestamp(out, session->start);
    row_add_timestamp(out, (wall_ms){session->last.ms + gap_ms});
    add_ip(out, session->ip);
    row_add_text(out, session->host);
    row_add_int64(out, session->events);
    row_add_timestamp(out, session->last);
    row_add_int64(out, session->bot_events);
    row_add_text_or_null(out, session->entry_url);
    row_add_text_or_null(out, session->referrer);
    row_add_text_or_null(out, session->exit_url);
    row_add_text_or_null(out, session->country);
    row_add_text_or_null(out, session->state);
    row_add_text_or_null(out, session->city);
}

void row_add_session_part(struct buf *out, const struct session *session)
{
    add_ip(out, session->ip);
    row_add_text(out, session->host);
    row_add_timestamp(out, session->start);
    row_add_timestamp(out, session->last);
    row_add_int64(out, session->events);
    row_add_int64(out, session->bot_events);
    row_add_text_or_null(out, session->entry_url);
    row_add_text_or_null(out, session->referrer);
    row_add_text_or_null(out, session->country);
    row_add_text_or_null(out, session->state);
    row_add_text_or_null(out, session->city);
    row_add_text_or_null(out, session->exit_url);
}
