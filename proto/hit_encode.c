/* SPDX-License-Identifier: Apache-2.0
 * hit_encode: a hit as the JSON value of a Kafka message. See hit.h. */
#include "base/json.h"
#include "proto/hit.h"

static void add_name(struct buf *out, const char *name)
{
    bool is_first = !out->overflowed && out->data[out->len - 1] == '{';
    buf_add(out, is_first ? SLICE("\"") : SLICE(",\""));
    buf_add(out, slice_of(name));
    buf_add(out, SLICE("\":"));
}

static void add_text(struct buf *out, const char *name, slice text)
{
    add_name(out, name);
    json_add_text(out, text);
}

static void add_known_text(struct buf *out, const char *name, slice text)
{
    if (text.len > 0)
        add_text(out, name, text);
}

/* Texts that are plain by their making: nothing to escape. */
static void add_plain(struct buf *out, const char *name, const char *text, size_t len)
{
    add_name(out, name);
    buf_add_char(out, '"');
    buf_add_bytes(out, text, len);
    buf_add_char(out, '"');
}

static void add_number(struct buf *out, const char *name, int64_t number)
{
    add_name(out, name);
    buf_add_int64(out, number);
}

static void add_time(struct buf *out, const char *name, wall_ms time)
{
    char text[TIMESTAMP_TEXT_LEN];
    timestamp_write(time, text);
    add_plain(out, name, text, sizeof text);
}

/* The seven names of the existing event streams: always there. */
static void add_old_fields(const struct hit *hit, struct buf *out)
{
    char ip[IP_TEXT_MAX];
    add_text(out, "url", hit->url);
    add_text(out, "referrer", hit->referrer);
    add_text(out, "user_agent", hit->user_agent);
    add_text(out, "host", hit->host);
    add_plain(out, "ip", ip, ip_write(hit->ip, ip));
    add_text(out, "headers", hit->headers);
    add_time(out, "event_time", hit->event_time);
}

static void add_stream(const struct hit *hit, struct buf *out)
{
    char stream[HIT_STREAM_TEXT_MAX];
    add_plain(out, "stream", stream, hit_stream_write(&hit->stream, stream));
    add_number(out, "seq", hit->seq);
}

void hit_encode(const struct hit *hit, struct buf *out)
{
    buf_add_char(out, '{');
    add_old_fields(hit, out);
    add_number(out, "v", HIT_VERSION);
    if (hit->has_id) {
        char id[UUID_TEXT_LEN];
        uuid_write(hit->id, id);
        add_plain(out, "id", id, sizeof id);
    }
    if (hit->source != HIT_OTHER)
        add_text(out, "source", hit_source_text(hit->source));
    if (hit->has_stream)
        add_stream(hit, out);
    if (hit->has_received_time)
        add_time(out, "received_time", hit->received_time);
    add_known_text(out, "language", hit->language);
    add_known_text(out, "title", hit->title);
    add_known_text(out, "screen", hit->screen);
    if (hit->flags != 0)
        add_number(out, "flags", hit->flags);
    buf_add_char(out, '}');
}
