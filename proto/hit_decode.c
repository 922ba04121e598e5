/* SPDX-License-Identifier: Apache-2.0
 * hit_decode: a Kafka value, ours or of another producer, as a hit. See hit.h. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "proto/hit.h"

/* Cleaning can make a text longer (three bytes for a bad one) before it is cut, and cleaning works from
 * decoded escapes: scratch takes both. */
struct decoder {
    const struct json_object *object;
    struct buf *scratch;
    struct hit *hit;
};

static slice cut_at_character(slice text, size_t max_len)
{
    if (text.len <= max_len)
        return text;
    while (max_len > 0 && ((unsigned char)text.data[max_len] & 0xC0) == 0x80)
        max_len--;
    return slice_head(text, max_len);
}

/* Valid, without controls, cut; in place where nothing needs to change. */
static slice cleaned(struct decoder *decoder, slice text, size_t max_len)
{
    if (text_is_clean(text))
        return cut_at_character(text, max_len);
    size_t start = decoder->scratch->len;
    text_add_clean(decoder->scratch, text, max_len);
    decoder->hit->flags |= HIT_FLAG_CLEANED;
    return slice_from(buf_slice(decoder->scratch), start);
}

/* A missing member or null is the empty text. */
static bool read_text(struct decoder *decoder, slice name, size_t max_len, slice *out)
{
    const struct json_value *value = json_find(decoder->object, name);
    slice text;
    *out = (slice){NULL, 0};
    if (value == NULL || value->kind == JSON_NULL)
        return true;
    if (value->kind != JSON_TEXT || json_text(value, decoder->scratch, &text) != STATUS_OK)
        return false;
    *out = cleaned(decoder, text, max_len);
    return true;
}

/* `headers` is a text that holds JSON; some producers send the object itself. */
static bool read_headers(struct decoder *decoder)
{
    const struct json_value *value = json_find(decoder->object, SLICE("headers"));
    if (value == NULL || value->kind != JSON_OBJECT)
        return read_text(decoder, SLICE("headers"), HIT_MAX_HEADERS, &decoder->hit->headers);
    decoder->hit->headers = value->raw.len <= HIT_MAX_HEADERS ? value->raw : (slice){NULL, 0};
    return true;
}

static bool read_number(struct decoder *decoder, slice name, int64_t min, int64_t max, int64_t *out)
{
    const struct json_value *value = json_find(decoder->object, name);
    if (value == NULL || value->kind == JSON_NULL)
        return true;
    return json_int64(value, out) == STATUS_OK && *out >= min && *out <= max;
}

static bool read_time(struct decoder *decoder, slice name, wall_ms *time, bool *is_there)
{
    slice text;
    if (!read_text(decoder, name, HIT_MAX_SCREEN + TIMESTAMP_TEXT_LEN, &text))
        return false;
    *is_there = text.len > 0;
    return !*is_there || timestamp_read(text, time) == STATUS_OK;
}

static enum hit_source source_of(slice text)
{
    for (int source = HIT_BEACON; source < HIT_OTHER; source++)
        if (slice_equals(text, hit_source_text((enum hit_source)source)))
            return (enum hit_source)source;
    return HIT_OTHER;
}

/* Both or neither; without them the hit's identity is its offset. */
static bool read_stream(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    slice stream;
    if (!read_text(decoder, SLICE("stream"), HIT_STREAM_TEXT_MAX, &stream) ||
        !read_number(decoder, SLICE("seq"), 1, INT64_MAX - 1, &hit->seq))
        return false;
    hit->has_stream = stream.len > 0;
    if (!hit->has_stream)
        return hit->seq == 0;
    return hit->seq > 0 && hit_stream_read(stream, &hit->stream) == STATUS_OK;
}

static bool read_id(struct decoder *decoder)
{
    slice id;
    if (!read_text(decoder, SLICE("id"), HIT_MAX_TITLE, &id))
        return false;
    decoder->hit->has_id = id.len > 0;
    if (id.len > 0 && uuid_read(id, &decoder->hit->id) != STATUS_OK)
        decoder->hit->id = uuid_of_text(id);
    return true;
}

static bool read_our_fields(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    slice source;
    int64_t flags = 0;
    if (!read_id(decoder) || !read_stream(decoder) ||
        !read_text(decoder, SLICE("source"), HIT_MAX_SCREEN, &source) ||
        !read_number(decoder, SLICE("flags"), 0, INT32_MAX, &flags) ||
        !read_time(decoder, SLICE("received_time"), &hit->received_time, &hit->has_received_time))
        return false;
    hit->source = source_of(source);
    hit->flags |= (uint32_t)flags;
    return read_text(decoder, SLICE("language"), HIT_MAX_LANGUAGE, &hit->language) &&
           read_text(decoder, SLICE("title"), HIT_MAX_TITLE, &hit->title) &&
           read_text(decoder, SLICE("screen"), HIT_MAX_SCREEN, &hit->screen);
}

static bool read_ip(struct decoder *decoder)
{
    slice text;
    return read_text(decoder, SLICE("ip"), IP_TEXT_MAX, &text) &&
           ip_read(slice_trim(text), &decoder->hit->ip) == STATUS_OK;
}

static bool read_host(struct decoder *decoder)
{
    slice text;
    return read_text(decoder, SLICE("host"), HIT_MAX_HOST + 7, &text) && /* a port and a dot come off */
           hit_host_canonical(slice_trim(text), decoder->scratch, &decoder->hit->host) == STATUS_OK;
}

static enum hit_fault read_fields(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    bool has_time;
    int64_t version = HIT_VERSION;
    if (!read_number(decoder, SLICE("v"), 1, INT64_MAX, &version))
        return HIT_BAD_FIELD;
    if (version > HIT_VERSION)
        return HIT_NEWER_VERSION;
    if (!read_ip(decoder))
        return HIT_NO_IP;
    if (!read_host(decoder))
        return HIT_NO_HOST;
    if (!read_text(decoder, SLICE("url"), HIT_MAX_URL, &hit->url) || hit->url.len == 0)
        return HIT_NO_URL;
    if (!read_time(decoder, SLICE("event_time"), &hit->event_time, &has_time) || !has_time)
        return HIT_NO_TIME;
    if (!read_text(decoder, SLICE("referrer"), HIT_MAX_REFERRER, &hit->referrer) ||
        !read_text(decoder, SLICE("user_agent"), HIT_MAX_USER_AGENT, &hit->user_agent) ||
        !read_headers(decoder) || !read_our_fields(decoder))
        return HIT_BAD_FIELD;
    return HIT_GOOD;
}

enum hit_fault hit_decode(slice value, struct buf *scratch, struct hit *hit)
{
    struct json_value top;
    struct json_object object;
    if (value.len > HIT_MAX_BYTES)
        return HIT_TOO_BIG;
    if (json_read(value, &top, NULL) != STATUS_OK || top.kind != JSON_OBJECT)
        return HIT_NOT_JSON;
    json_members(&top, &object);
    memset(hit, 0, sizeof *hit);
    struct decoder decoder = {&object, scratch, hit};
    enum hit_fault fault = read_fields(&decoder);
    return fault == HIT_GOOD && scratch->overflowed ? HIT_TOO_BIG : fault;
}
