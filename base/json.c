/* SPDX-License-Identifier: Apache-2.0
 * json: see the header. */
#include "base/json.h"

#include <string.h>

#include "base/text.h"

/* Where the reader stands. On failure `at` is where the error is. */
struct reader {
    const char *at;
    const char *end;
    enum status status;
    int depth;
};

static bool fail(struct reader *reader, enum status status)
{
    reader->status = status;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool expect(struct reader *reader, char c)
{
    return take(reader, c) || fail(reader, STATUS_MALFORMED);
}

/* ---- Texts ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at `at`. */
static bool read_unit(const char *at, const char *end, unsigned *unit)
{
    *unit = 0;
    if (end - at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int value = hex_value(at[i]);
        if (value < 0)
            return false;
        *unit = *unit << 4 | (unsigned)value;
    }
    return true;
}

/* What follows "\u": one character, of two escapes when it is a surrogate pair. Moves *at past it. */
static bool read_unicode_escape(const char **at, const char *end, unsigned *character)
{
    unsigned low;
    if (!read_unit(*at, end, character))
        return false;
    *at += 4;
    if (*character < 0xD800 || *character > 0xDFFF)
        return true;
    if (*character > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' ||
        !read_unit(*at + 2, end, &low) || low < 0xDC00 || low > 0xDFFF)
        return false;
    *at += 6;
    *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool skip_escape(struct reader *reader)
{
    const char *at = reader->at + 1;
    unsigned character;
    if (at == reader->end)
        return fail(reader, STATUS_MALFORMED);
    char kind = *at++;
    if (kind == 'u') {
        if (!read_unicode_escape(&at, reader->end, &character))
            return fail(reader, STATUS_MALFORMED);
    } else if (kind == '\0' || strchr("\"\\/bfnrt", kind) == NULL) {
        return fail(reader, STATUS_MALFORMED);
    }
    reader->at = at;
    return true;
}

/* From the byte after the opening quote to the closing one. */
static bool skip_text(struct reader *reader, bool *has_escapes)
{
    unsigned char all = 0;
    const char *start = reader->at;
    *has_escapes = false;
    while (reader->at < reader->end && *reader->at != '"') {
        unsigned char c = (unsigned char)*reader->at;
        all |= c;
        if (c < 0x20)
            return fail(reader, STATUS_MALFORMED);
        if (c != '\\') {
            reader->at++;
            continue;
        }
        *has_escapes = true;
        if (!skip_escape(reader))
            return false;
    }
    slice raw = {start, (size_t)(reader->at - start)};
    /* A text without the high bit anywhere is ASCII; DEL is legal in JSON and refused nowhere here. */
    if (all >= 0x80 && text_utf8_length(raw) < raw.len)
        return fail(reader, STATUS_MALFORMED);
    return expect(reader, '"');
}

/* ---- Other values ---- */

static bool skip_digits(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > start || fail(reader, STATUS_MALFORMED);
}

static bool skip_number(struct reader *reader)
{
    take(reader, '-');
    if (!take(reader, '0') && !skip_digits(reader))
        return false;
    if (take(reader, '.') && !skip_digits(reader))
        return false;
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+'))
            take(reader, '-');
        return skip_digits(reader);
    }
    return true;
}

static bool skip_word(struct reader *reader, slice word)
{
    slice rest = {reader->at, (size_t)(reader->end - reader->at)};
    if (!slice_starts_with(rest, word))
        return fail(reader, STATUS_MALFORMED);
    reader->at += word.len;
    return true;
}

static bool read_value(struct reader *reader, struct json_value *value);

static bool enter(struct reader *reader)
{
    return ++reader->depth <= JSON_MAX_DEPTH || fail(reader, STATUS_TOO_BIG);
}

static bool read_items(struct reader *reader)
{
    struct json_value item;
    if (!enter(reader))
        return false;
    skip_space(reader);
    if (!take(reader, ']')) {
        do {
            if (!read_value(reader, &item))
                return false;
            skip_space(reader);
        } while (take(reader, ','));
        if (!expect(reader, ']'))
            return false;
    }
    reader->depth--;
    return true;
}

/* Names seen in one object. Compared by length and first byte before their bytes: 128 at most, about ten in a
 * hit. */
struct names {
    size_t count;
    slice seen[JSON_MAX_MEMBERS];
};

static bool note_name(struct reader *reader, struct names *names, slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->seen[i].len == name.len && slice_equals(names->seen[i], name))
            return fail(reader, STATUS_MALFORMED);
    if (names->count == JSON_MAX_MEMBERS)
        return fail(reader, STATUS_TOO_BIG);
    names->seen[names->count++] = name;
    return true;
}

/* One `"name": value`. */
static bool read_member(struct reader *reader, struct json_member *member)
{
    bool has_escapes;
    skip_space(reader);
    if (!expect(reader, '"'))
        return false;
    const char *start = reader->at;
    if (!skip_text(reader, &has_escapes))
        return false;
    if (has_escapes)
        return fail(reader, STATUS_MALFORMED);
    member->name = (slice){start, (size_t)(reader->at - start) - 1};
    skip_space(reader);
    return expect(reader, ':') && read_value(reader, &member->value);
}

static bool read_object(struct reader *reader)
{
    struct names names;
    struct json_member member;
    names.count = 0; /* the rest is written before it is read */
    if (!enter(reader))
        return false;
    skip_space(reader);
    if (!take(reader, '}')) {
        do {
            if (!read_member(reader, &member) || !note_name(reader, &names, member.name))
                return false;
            skip_space(reader);
        } while (take(reader, ','));
        if (!expect(reader, '}'))
            return false;
    }
    reader->depth--;
    return true;
}

static bool read_text(struct reader *reader, struct json_value *value)
{
    reader->at++;
    value->raw.data = reader->at;
    if (!skip_text(reader, &value->has_escapes))
        return false;
    value->raw.len = (size_t)(reader->at - value->raw.data) - 1;
    return true;
}

static bool read_plain(struct reader *reader, struct json_value *value)
{
    switch (*reader->at) {
    case '{':
        value->kind = JSON_OBJECT;
        reader->at++;
        return read_object(reader);
    case '[':
        value->kind = JSON_ARRAY;
        reader->at++;
        return read_items(reader);
    case 't':
        value->kind = JSON_TRUE;
        return skip_word(reader, SLICE("true"));
    case 'f':
        value->kind = JSON_FALSE;
        return skip_word(reader, SLICE("false"));
    case 'n':
        value->kind = JSON_NULL;
        return skip_word(reader, SLICE("null"));
    default:
        value->kind = JSON_NUMBER;
        return skip_number(reader);
    }
}

static bool read_value(struct reader *reader, struct json_value *value)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return fail(reader, STATUS_MALFORMED);
    value->has_escapes = false;
    if (*reader->at == '"') {
        value->kind = JSON_TEXT;
        return read_text(reader, value);
    }
    const char *start = reader->at;
    if (!read_plain(reader, value))
        return false;
    value->raw = (slice){start, (size_t)(reader->at - start)};
    return true;
}

enum status json_read(slice text, struct json_value *value, size_t *where)
{
    struct reader reader = {.at = text.data, .end = text.data + text.len, .status = STATUS_OK};
    struct json_value top;
    if (text.len == 0)
        reader.status = STATUS_MALFORMED;
    else if (read_value(&reader, &top)) {
        skip_space(&reader);
        if (reader.at < reader.end)
            reader.status = STATUS_MALFORMED;
    }
    if (reader.status == STATUS_OK)
        *value = top;
    else if (where != NULL)
        *where = text.len > 0 ? (size_t)(reader.at - text.data) : 0;
    return reader.status;
}

/* ---- What was checked ---- */

void json_members(const struct json_value *object, struct json_object *members)
{
    MUST(object->kind == JSON_OBJECT);
    struct reader reader = {.at = object->raw.data + 1, .end = object->raw.data + object->raw.len};
    members->count = 0;
    skip_space(&reader);
    if (take(&reader, '}'))
        return;
    do {
        MUST(members->count < JSON_MAX_MEMBERS && read_member(&reader, &members->members[members->count]));
        members->count++;
        skip_space(&reader);
    } while (take(&reader, ','));
}

const struct json_value *json_find(const struct json_object *object, slice name)
{
    for (size_t i = 0; i < object->count; i++)
        if (object->members[i].name.len == name.len && slice_equals(object->members[i].name, name))
            return &object->members[i].value;
    return NULL;
}

bool json_next(slice *rest, struct json_value *item)
{
    struct reader reader = {.at = rest->data, .end = rest->data + rest->len};
    if (!take(&reader, '['))
        take(&reader, ',');
    skip_space(&reader);
    if (reader.at == reader.end || *reader.at == ']')
        return false;
    MUST(read_value(&reader, item));
    skip_space(&reader);
    *rest = (slice){reader.at, (size_t)(reader.end - reader.at)};
    return true;
}

static void add_utf8(struct buf *out, unsigned character)
{
    char bytes[4];
    size_t len = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    bytes[0] = (char)(leads[len] | character);
    buf_add_bytes(out, bytes, len);
}

static char unescaped(char kind)
{
    switch (kind) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return kind; /* quote, backslash, slash */
    }
}

static void add_decoded(struct buf *out, slice raw)
{
    const char *at = raw.data, *end = raw.data + raw.len;
    while (at < end) {
        slice rest = {at, (size_t)(end - at)};
        slice plain = slice_head(rest, slice_find(rest, '\\'));
        buf_add(out, plain);
        at += plain.len;
        if (at == end)
            return;
        unsigned character;
        if (at[1] == 'u') {
            at += 2;
            MUST(read_unicode_escape(&at, end, &character));
            add_utf8(out, character);
        } else {
            buf_add_char(out, unescaped(at[1]));
            at += 2;
        }
    }
}

enum status json_text(const struct json_value *value, struct buf *scratch, slice *text)
{
    MUST(value->kind == JSON_TEXT);
    if (!value->has_escapes) {
        *text = value->raw;
        return STATUS_OK;
    }
    /* Decoding never lengthens, so the room is taken first: a growing buf must not move under the slice. */
    if (buf_reserve(scratch, value->raw.len) == NULL)
        return STATUS_TOO_BIG;
    size_t start = scratch->len;
    add_decoded(scratch, value->raw);
    *text = slice_from(buf_slice(scratch), start);
    return STATUS_OK;
}

enum status json_int64(const struct json_value *value, int64_t *number)
{
    if (value->kind != JSON_NUMBER)
        return STATUS_MALFORMED;
    return slice_to_int64(value->raw, INT64_MIN, INT64_MAX, number);
}

/* ---- Writing ---- */

static void add_escaped(struct buf *out, char c)
{
    static const char short_forms[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char escape[] = {'\\', 'u', '0', '0', "0123456789abcdef"[(c >> 4) & 0xF], "0123456789abcdef"[c & 0xF]};
    if (c == '"' || c == '\\') {
        escape[1] = c;
        buf_add_bytes(out, escape, 2);
    } else if (c >= 0 && (size_t)c < sizeof short_forms && short_forms[(size_t)c] != 0) {
        escape[1] = short_forms[(size_t)c];
        buf_add_bytes(out, escape, 2);
    } else {
        buf_add_bytes(out, escape, sizeof escape);
    }
}

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\' || c == 0x7F;
}

/* Valid UTF-8 in, escapes where JSON wants them. */
static void add_valid(struct buf *out, slice s)
{
    size_t start = 0;
    for (size_t at = 0; at < s.len; at++) {
        if (!needs_escape(s.data[at]))
            continue;
        buf_add_bytes(out, s.data + start, at - start);
        add_escaped(out, s.data[at]);
        start = at + 1;
    }
    buf_add_bytes(out, s.data + start, s.len - start);
}

void json_add_text(struct buf *out, slice s)
{
    buf_add_char(out, '"');
    while (s.len > 0) {
        size_t valid = text_utf8_length(s);
        add_valid(out, slice_head(s, valid));
        s = slice_from(s, valid);
        if (s.len > 0) {
            buf_add(out, SLICE("\xEF\xBF\xBD"));
            s = slice_from(s, text_bad_length(s));
        }
    }
    buf_add_char(out, '"');
}
