/* SPDX-License-Identifier: Apache-2.0
 * hit_decode: a Kafka value, ours or of another producer, as a hit. See hit.h.
 *
 * What goes into scratch is never longer than the text in the value that it comes from: escapes are decoded,
 * controls dropped, a host loses its port. So room for the value's length is enough. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "proto/hit.h"

struct decoder {
    const struct json_value *values[HIT_FIELD_COUNT]; /* NULL: missing, or null */
    struct buf *scratch;
    struct hit *hit;
};

/* ---- Finding the fields ---- */

/* Our own messages hold them in our order: the one expected is mostly the one. */
static enum hit_field find_field(slice name, size_t expected)
{
    for (size_t i = 0; i < HIT_FIELD_COUNT; i++) {
        enum hit_field field = (enum hit_field)((expected + i) % HIT_FIELD_COUNT);
        if (slice_equals(name, hit_field_name(field)))
            return field;
    }
    return HIT_FIELD_COUNT;
}

static void find_values(struct decoder *decoder, const struct json_object *object)
{
    size_t expected = 0;
    for (size_t i = 0; i < object->count; i++) {
        const struct json_member *member = &object->members[i];
        enum hit_field field = find_field(member->name, expected);
        if (field == HIT_FIELD_COUNT)
            continue;
        if (member->value.kind != JSON_NULL)
            decoder->values[field] = &member->value;
        expected = field + 1;
    }
}

/* ---- Texts ---- */

static size_t cut_at_character(slice text, size_t max_len)
{
    if (text.len <= max_len)
        return text.len;
    while (max_len > 0 && ((unsigned char)text.data[max_len] & 0xC0) == 0x80)
        max_len--;
    return max_len;
}

/* The reader has let valid UTF-8 through and nothing else, so that controls are all there is to drop. */
static size_t drop_controls(char *text, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7F)
            text[kept++] = text[i];
    }
    return kept;
}

/* A text as it is written: for parsers that are strict themselves. Missing: empty. */
static bool read_raw(struct decoder *decoder, enum hit_field field, slice *text)
{
    const struct json_value *value = decoder->values[field];
    *text = (slice){NULL, 0};
    if (value == NULL)
        return true;
    return value->kind == JSON_TEXT && json_text(value, decoder->scratch, text) == STATUS_OK;
}

/* Without controls, in the scratch that begins at start, where text stands already if it is not borrowed. */
static slice cleaned(struct decoder *decoder, slice text, size_t start)
{
    struct buf *scratch = decoder->scratch;
    if (text_is_clean(text))
        return text;
    decoder->hit->flags |= HIT_FLAG_CLEANED;
    if (scratch->len == start)
        buf_add(scratch, text);
    if (scratch->overflowed)
        return (slice){NULL, 0};
    scratch->len = start + drop_controls(scratch->data + start, scratch->len - start);
    return slice_from(buf_slice(scratch), start);
}

/* The reader of JSON has seen that there is nothing to clean. */
static bool is_plain(const struct decoder *decoder, enum hit_field field)
{
    return decoder->values[field] == NULL || decoder->values[field]->is_plain;
}

static bool read_text(struct decoder *decoder, enum hit_field field, slice *text)
{
    size_t start = decoder->scratch->len;
    if (!read_raw(decoder, field, text))
        return false;
    if (!is_plain(decoder, field))
        *text = cleaned(decoder, *text, start);
    text->len = cut_at_character(*text, hit_field_max_len(field));
    return true;
}

/* A text that holds a JSON object; some producers send the object itself. Half an object would be none. */
static bool read_headers(struct decoder *decoder)
{
    const struct json_value *value = decoder->values[HIT_FIELD_HEADERS];
    size_t start = decoder->scratch->len;
    slice text;
    if (value != NULL && value->kind == JSON_OBJECT)
        text = value->raw;
    else if (!read_raw(decoder, HIT_FIELD_HEADERS, &text))
        return false;
    text = cleaned(decoder, text, start);
    if (text.len <= HIT_MAX_HEADERS)
        decoder->hit->headers = text;
    return true;
}

/* ---- Other values ---- */

static bool read_number(struct decoder *decoder, enum hit_field field, int64_t min, int64_t *number)
{
    const struct json_value *value = decoder->values[field];
    if (value == NULL)
        return true;
    return json_int64(value, number) == STATUS_OK && *number >= min;
}

static bool read_time(struct decoder *decoder, enum hit_field field, wall_ms *time, bool *is_there)
{
    slice text;
    if (!read_raw(decoder, field, &text))
        return false;
    *is_there = text.len > 0;
    return !*is_there || timestamp_read(text, time) == STATUS_OK;
}

static bool read_ip(struct decoder *decoder)
{
    slice text;
    return read_raw(decoder, HIT_FIELD_IP, &text) &&
           ip_read(slice_trim(text), &decoder->hit->ip) == STATUS_OK;
}

/* The canonical form takes the place of what it was made from. */
static bool read_host(struct decoder *decoder)
{
    char written[HIT_MAX_HOST + sizeof ".:65535"];
    size_t start = decoder->scratch->len;
    slice text;
    if (!read_raw(decoder, HIT_FIELD_HOST, &text))
        return false;
    text = slice_trim(text);
    if (text.len == 0 || text.len > sizeof written)
        return false;
    memcpy(written, text.data, text.len);
    decoder->scratch->len = start;
    return hit_host_canonical((slice){written, text.len}, decoder->scratch, &decoder->hit->host) == STATUS_OK;
}

static bool read_id(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    slice text;
    if (!read_raw(decoder, HIT_FIELD_ID, &text))
        return false;
    hit->has_id = text.len > 0;
    if (hit->has_id && uuid_read(text, &hit->id) != STATUS_OK)
        hit->id = uuid_of_text(text);
    return true;
}

static bool read_source(struct decoder *decoder)
{
    slice text;
    if (!read_raw(decoder, HIT_FIELD_SOURCE, &text))
        return false;
    int source = HIT_BEACON;
    while (source < HIT_OTHER && !slice_equals(text, hit_source_text((enum hit_source)source)))
        source++;
    decoder->hit->source = (enum hit_source)source;
    return true;
}

/* Both or neither; without them the hit's identity is its offset. */
static bool read_stream(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    slice text;
    if (!read_raw(decoder, HIT_FIELD_STREAM, &text) || !read_number(decoder, HIT_FIELD_SEQ, 1, &hit->seq))
        return false;
    if (text.len == 0)
        return hit->seq == 0;
    /* The last number has no next one, which ranges of them need. */
    hit->has_stream =
        hit->seq > 0 && hit->seq < INT64_MAX && hit_stream_read(text, &hit->stream) == STATUS_OK;
    return hit->has_stream;
}

static bool read_flags(struct decoder *decoder)
{
    int64_t flags = 0;
    if (!read_number(decoder, HIT_FIELD_FLAGS, 0, &flags) || flags > INT32_MAX)
        return false;
    decoder->hit->flags |= (uint32_t)flags;
    return true;
}

/* ---- The whole ---- */

static bool read_our_fields(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    return read_id(decoder) && read_source(decoder) &&
           read_time(decoder, HIT_FIELD_RECEIVED_TIME, &hit->received_time, &hit->has_received_time) &&
           read_text(decoder, HIT_FIELD_LANGUAGE, &hit->language) &&
           read_text(decoder, HIT_FIELD_TITLE, &hit->title) &&
           read_text(decoder, HIT_FIELD_SCREEN, &hit->screen) && read_flags(decoder);
}

static enum hit_fault read_fields(struct decoder *decoder)
{
    struct hit *hit = decoder->hit;
    int64_t version = HIT_VERSION;
    bool has_time;
    if (!read_number(decoder, HIT_FIELD_V, 1, &version))
        return HIT_BAD_FIELD;
    if (version > HIT_VERSION) /* first of all: nothing else is known of it */
        return HIT_NEWER_VERSION;
    bool is_stream_good = read_stream(decoder); /* also when the rest is bad */
    if (!read_ip(decoder))
        return HIT_NO_IP;
    if (!read_host(decoder))
        return HIT_NO_HOST;
    if (!read_text(decoder, HIT_FIELD_URL, &hit->url) || hit->url.len == 0)
        return HIT_NO_URL;
    if (!read_time(decoder, HIT_FIELD_EVENT_TIME, &hit->event_time, &has_time) || !has_time)
        return HIT_NO_TIME;
    if (!read_text(decoder, HIT_FIELD_REFERRER, &hit->referrer) ||
        !read_text(decoder, HIT_FIELD_USER_AGENT, &hit->user_agent) || !read_headers(decoder) ||
        !is_stream_good || !read_our_fields(decoder))
        return HIT_BAD_FIELD;
    return HIT_GOOD;
}

enum hit_fault hit_decode(slice value, struct buf *scratch, struct hit *hit)
{
    struct json_object object;
    struct decoder decoder = {.scratch = scratch, .hit = hit};
    memset(hit, 0, sizeof *hit);
    if (value.len > HIT_MAX_BYTES)
        return HIT_TOO_BIG;
    if (json_read_object(value, &object, NULL) != STATUS_OK)
        return HIT_NOT_JSON;
    find_values(&decoder, &object);
    enum hit_fault fault = read_fields(&decoder);
    MUST(!scratch->overflowed);
    return fault;
}
