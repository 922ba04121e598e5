/* SPDX-License-Identifier: Apache-2.0
 * hit_encode: a hit as the JSON value of a Kafka message. See hit.h. */
#include "base/json.h"
#include "proto/hit.h"

static void add_text(struct buf *out, enum hit_field field, slice text)
{
    buf_add(out, hit_field_label(field));
    json_add_text(out, text);
}

static void add_text_if_any(struct buf *out, enum hit_field field, slice text)
{
    if (text.len > 0)
        add_text(out, field, text);
}

/* Texts that hold nothing to escape by their making. */
static void add_plain(struct buf *out, enum hit_field field, const char *text, size_t len)
{
    buf_add(out, hit_field_label(field));
    buf_add_char(out, '"');
    buf_add_bytes(out, text, len);
    buf_add_char(out, '"');
}

static void add_number(struct buf *out, enum hit_field field, int64_t number)
{
    buf_add(out, hit_field_label(field));
    buf_add_int64(out, number);
}

static void add_time(struct buf *out, enum hit_field field, wall_ms time)
{
    char text[TIMESTAMP_TEXT_LEN];
    timestamp_write(time, text);
    add_plain(out, field, text, sizeof text);
}

static void add_old_fields(const struct hit *hit, struct buf *out)
{
    char ip[IP_TEXT_MAX];
    buf_add(out, slice_from(hit_field_label(HIT_FIELD_URL), 1)); /* the first, always there: no comma */
    json_add_text(out, hit->url);
    add_text(out, HIT_FIELD_REFERRER, hit->referrer);
    add_text(out, HIT_FIELD_USER_AGENT, hit->user_agent);
    add_text(out, HIT_FIELD_HOST, hit->host);
    add_plain(out, HIT_FIELD_IP, ip, ip_write(hit->ip, ip));
    add_text(out, HIT_FIELD_HEADERS, hit->headers);
    add_time(out, HIT_FIELD_EVENT_TIME, hit->event_time);
}

static void add_id(const struct hit *hit, struct buf *out)
{
    char id[UUID_TEXT_LEN];
    uuid_write(hit->id, id);
    add_plain(out, HIT_FIELD_ID, id, sizeof id);
}

static void add_stream(const struct hit *hit, struct buf *out)
{
    char stream[HIT_STREAM_TEXT_MAX];
    MUST(hit->seq >= 1);
    add_plain(out, HIT_FIELD_STREAM, stream, hit_stream_write(&hit->stream, stream));
    add_number(out, HIT_FIELD_SEQ, hit->seq);
}

void hit_encode(const struct hit *hit, struct buf *out)
{
    buf_add_char(out, '{');
    add_old_fields(hit, out);
    add_number(out, HIT_FIELD_V, HIT_VERSION);
    if (hit->has_id)
        add_id(hit, out);
    if (hit->source != HIT_OTHER)
        add_plain(out, HIT_FIELD_SOURCE, hit_source_text(hit->source).data, hit_source_text(hit->source).len);
    if (hit->has_stream)
        add_stream(hit, out);
    if (hit->has_received_time)
        add_time(out, HIT_FIELD_RECEIVED_TIME, hit->received_time);
    add_text_if_any(out, HIT_FIELD_LANGUAGE, hit->language);
    add_text_if_any(out, HIT_FIELD_TITLE, hit->title);
    add_text_if_any(out, HIT_FIELD_SCREEN, hit->screen);
    if (hit->flags != 0)
        add_number(out, HIT_FIELD_FLAGS, hit->flags);
    buf_add_char(out, '}');
}
