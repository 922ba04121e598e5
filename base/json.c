/* SPDX-License-Identifier: Apache-2.0
 * See json.h. What is read here was checked by json_read, so only the ends of values are looked for. */
#include "base/json.h"

#include <string.h>

#include "base/json_scan.h"
#include "base/utf8.h"

/* From after the opening quote; gives where the closing quote stands. */
static const char *find_quote(const char *at, const char *end, bool *has_escapes)
{
    *has_escapes = false;
    for (;;) {
        at = json_find_special(at, end, false);
        MUST(at < end);
        if (*at == '"')
            return at;
        *has_escapes = true;
        at += 2;
    }
}

static const char *skip_container(const char *at, const char *end)
{
    bool ignored;
    size_t depth = 0;
    do {
        MUST(at < end);
        if (*at == '"')
            at = find_quote(at + 1, end, &ignored);
        else if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    } while (depth > 0);
    return at;
}

static const char *skip_scalar(const char *at, const char *end)
{
    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at > ' ')
        at++;
    return at;
}

static enum json_kind kind_of(char c)
{
    switch (c) {
    case '"':
        return JSON_TEXT;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* Reads the value that begins at `at`; gives where it ends. */
static const char *read_value(const char *at, const char *end, struct json_value *value)
{
    MUST(at < end);
    value->kind = kind_of(*at);
    value->has_escapes = value->is_plain = false;
    if (value->kind == JSON_TEXT) {
        const char *quote = find_quote(at + 1, end, &value->has_escapes);
        value->raw = (slice){at + 1, (size_t)(quote - at - 1)};
        return quote + 1;
    }
    bool is_container = value->kind == JSON_OBJECT || value->kind == JSON_ARRAY;
    const char *after = is_container ? skip_container(at, end) : skip_scalar(at, end);
    value->raw = (slice){at, (size_t)(after - at)};
    return after;
}

void json_members(const struct json_value *object, struct json_object *members)
{
    MUST(object->kind == JSON_OBJECT && object->raw.len >= 2);
    const char *end = object->raw.data + object->raw.len;
    const char *at = json_skip_space(object->raw.data + 1, end);
    members->count = 0;
    while (*at != '}') {
        MUST(members->count < JSON_MAX_MEMBERS);
        struct json_member *member = &members->members[members->count++];
        const char *quote = json_find_special(at + 1, end, false); /* a checked name has no escapes */
        member->name = (slice){at + 1, (size_t)(quote - at - 1)};
        at = json_skip_space(quote + 1, end); /* at the colon */
        at = json_skip_space(at + 1, end);    /* at the value */
        at = read_value(at, end, &member->value);
        at = json_skip_space(at, end);
        if (*at == ',')
            at = json_skip_space(at + 1, end);
    }
}

const struct json_value *json_find(const struct json_object *object, slice name)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct json_member *member = &object->members[i];
        if (member->name.len == name.len && memcmp(member->name.data, name.data, name.len) == 0)
            return &member->value;
    }
    return NULL;
}

bool json_next(slice *rest, struct json_value *item)
{
    MUST(rest->len > 0);
    const char *end = rest->data + rest->len;
    const char *at = json_skip_space(rest->data, end);
    if (*at == ']')
        return false;
    at = json_skip_space(at + 1, end); /* past the '[' at first, later past a ',' */
    if (*at == ']')
        return false;
    at = read_value(at, end, item);
    *rest = (slice){at, (size_t)(end - at)};
    return true;
}

/* Decodes the escape at *at into out and moves past it. */
static size_t decode_escape(const char **at, const char *end, char out[UTF8_MAX_LEN])
{
    char plain = json_unescape((*at)[1]);
    if (plain) {
        out[0] = plain;
        *at += 2;
        return 1;
    }
    int32_t code_point = json_read_unicode(at, end);
    MUST(code_point != JSON_NOT_AN_ESCAPE); /* json_read has seen it */
    return utf8_write((uint32_t)code_point, out);
}

static size_t decode_text(slice raw, char *out)
{
    const char *at = raw.data;
    const char *end = raw.data + raw.len;
    size_t len = 0;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash ? slash : end) - at);
        memcpy(out + len, at, plain);
        len += plain;
        at += plain;
        if (slash) {
            char decoded[UTF8_MAX_LEN];
            size_t decoded_len = decode_escape(&at, end, decoded);
            memcpy(out + len, decoded, decoded_len);
            len += decoded_len;
        }
    }
    return len;
}

enum status json_text(const struct json_value *value, struct buf *scratch, slice *text)
{
    if (value->kind != JSON_TEXT)
        return STATUS_MALFORMED;
    if (!value->has_escapes) {
        *text = value->raw;
        return STATUS_OK;
    }
    char *out = buf_reserve(scratch, value->raw.len); /* what is decoded is never longer */
    if (!out)
        return STATUS_TOO_BIG;
    size_t len = decode_text(value->raw, out);
    buf_commit(scratch, len);
    *text = (slice){out, len};
    return STATUS_OK;
}

enum status json_int64(const struct json_value *value, int64_t *number)
{
    if (value->kind != JSON_NUMBER)
        return STATUS_MALFORMED;
    return slice_to_int64(value->raw, INT64_MIN, INT64_MAX, number);
}

/* ---- writing ---- */

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    static const char digits[] = "0123456789abcdef";
    if (c < sizeof(letters) && letters[c]) {
        buf_add_bytes(out, (char[]){'\\', letters[c]}, 2);
        return;
    }
    buf_add_bytes(out, (char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]},
                  JSON_UNICODE_ESCAPE_LEN);
}

/* Adds the character that begins at `at` and cannot be copied as it stands; gives its length there. */
static size_t add_special(struct buf *out, const char *at, size_t len)
{
    if ((unsigned char)*at < 0x80) {
        add_escaped(out, (unsigned char)*at);
        return 1;
    }
    size_t character_len = utf8_character_len(at, len);
    if (character_len > 0) {
        buf_add_bytes(out, at, character_len);
        return character_len;
    }
    buf_add(out, SLICE("\xef\xbf\xbd")); /* U+FFFD */
    return utf8_invalid_len(at, len);
}

void json_add_text(struct buf *out, slice s)
{
    const char *at = s.len > 0 ? s.data : ""; /* not NULL, to which nothing may be added */
    const char *end = at + s.len;
    buf_add_char(out, '"');
    while (at < end) {
        const char *special = json_find_special(at, end, true);
        buf_add_bytes(out, at, (size_t)(special - at));
        at = special;
        if (at < end)
            at += add_special(out, at, (size_t)(end - at));
    }
    buf_add_char(out, '"');
}
