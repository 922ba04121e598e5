/* SPDX-License-Identifier: Apache-2.0
 * json_read: goes over a text once and believes nothing. See json.h. */
#include "base/json.h"

#include <string.h>

#include "base/json_scan.h"
#include "base/utf8.h"

struct name {
    const char *data;
    uint32_t len;
    uint32_t hash;
};

struct check {
    struct json_object *top; /* takes the members of the top value, if that is an object; may be NULL */
    const char *at;
    const char *end;
    const char *wrong; /* where the error stands */
    enum status status;
    size_t depth;
    size_t name_count; /* names of the objects that are open, the innermost last */
    struct name names[JSON_MAX_DEPTH * JSON_MAX_MEMBERS];
};

static bool refuse(struct check *check, const char *where, enum status status)
{
    check->wrong = where;
    check->status = status;
    return false;
}

static bool refuse_here(struct check *check)
{
    return refuse(check, check->at, STATUS_MALFORMED);
}

/* Takes c, after white space. */
static bool take(struct check *check, char c)
{
    check->at = json_skip_space(check->at, check->end);
    if (check->at == check->end || *check->at != c)
        return false;
    check->at++;
    return true;
}

static bool check_escape(struct check *check)
{
    if (check->end - check->at < 2)
        return refuse_here(check);
    if (check->at[1] == 'u')
        return json_read_unicode(&check->at, check->end) != JSON_NOT_AN_ESCAPE || refuse_here(check);
    if (!json_unescape(check->at[1]))
        return refuse_here(check);
    check->at += 2;
    return true;
}

static bool check_characters(struct check *check)
{
    while (check->at < check->end && (unsigned char)*check->at >= 0x80) {
        size_t len = utf8_character_len(check->at, (size_t)(check->end - check->at));
        if (len == 0)
            return refuse_here(check);
        check->at += len;
    }
    return true;
}

/* From after the opening quote to after the closing one. */
static bool check_text(struct check *check, struct json_value *value)
{
    const char *start = check->at;
    value->kind = JSON_TEXT;
    value->has_escapes = false;
    value->is_plain = true;
    for (;;) {
        check->at = json_find_special(check->at, check->end, true);
        if (check->at == check->end)
            return refuse_here(check);
        if (*check->at == '"')
            break;
        value->is_plain = false;
        if (*check->at == '\\') {
            value->has_escapes = true;
            if (!check_escape(check))
                return false;
        } else if (*check->at == 0x7F) { /* a control, but JSON allows it */
            check->at++;
        } else if ((unsigned char)*check->at < 0x20 || !check_characters(check)) {
            return refuse_here(check);
        }
    }
    value->raw = (slice){start, (size_t)(check->at - start)};
    check->at++;
    return true;
}

/* ---- numbers and words ---- */

static bool take_digits(struct check *check)
{
    const char *start = check->at;
    while (check->at < check->end && *check->at >= '0' && *check->at <= '9')
        check->at++;
    return check->at > start || refuse_here(check);
}

static bool take_here(struct check *check, char c)
{
    if (check->at == check->end || *check->at != c)
        return false;
    check->at++;
    return true;
}

static bool check_number(struct check *check, struct json_value *value)
{
    const char *start = check->at;
    take_here(check, '-');
    if (!take_here(check, '0') && !take_digits(check))
        return false;
    if (take_here(check, '.') && !take_digits(check))
        return false;
    if (take_here(check, 'e') || take_here(check, 'E')) {
        if (!take_here(check, '-'))
            take_here(check, '+');
        if (!take_digits(check))
            return false;
    }
    value->kind = JSON_NUMBER;
    value->raw = (slice){start, (size_t)(check->at - start)};
    return true;
}

static bool check_word(struct check *check, slice word, enum json_kind kind, struct json_value *value)
{
    if ((size_t)(check->end - check->at) < word.len || memcmp(check->at, word.data, word.len) != 0)
        return refuse_here(check);
    value->kind = kind;
    value->raw = (slice){check->at, word.len};
    check->at += word.len;
    return true;
}

/* ---- arrays and objects ---- */

static bool check_value(struct check *check, struct json_value *value);

static bool check_array(struct check *check)
{
    struct json_value item;
    if (take(check, ']'))
        return true;
    do {
        if (!check_value(check, &item))
            return false;
    } while (take(check, ','));
    return take(check, ']') || refuse_here(check);
}

/* The first and last eight bytes and the length: enough to tell names apart that are told apart at all; equal
 * hashes are compared whole. */
static uint32_t hash_name(slice name, const char *end)
{
    uint64_t head = 0, tail = 0;
    if (name.len >= 8) {
        head = word_load(name.data);
        tail = word_load(name.data + name.len - 8);
    } else if (end - name.data >= 8) {
        head = word_load(name.data) & ((1ull << 8 * name.len) - 1);
    } else {
        memcpy(&head, name.data, name.len);
        head = le64toh(head);
    }
    uint64_t mixed = (head ^ (tail << 1) ^ name.len) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32);
}

static bool is_same_name(const struct name *a, const struct name *b)
{
    return a->hash == b->hash && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* seen: one bit for each hash class already met in this object, so that most names need no search. */
static bool add_name(struct check *check, size_t first, slice text, uint64_t *seen)
{
    if (check->name_count - first == JSON_MAX_MEMBERS)
        return refuse(check, text.data, STATUS_TOO_BIG);
    struct name name = {text.data, (uint32_t)text.len, hash_name(text, check->end)};
    uint64_t bit = 1ull << (name.hash >> 26);
    for (size_t i = first; (*seen & bit) && i < check->name_count; i++) {
        if (is_same_name(&check->names[i], &name))
            return refuse(check, text.data, STATUS_MALFORMED);
    }
    *seen |= bit;
    check->names[check->name_count++] = name;
    return true;
}

static bool check_member(struct check *check, size_t first, uint64_t *seen)
{
    struct json_value name, value;
    struct json_value *into = &value;
    if (!take(check, '"'))
        return refuse_here(check);
    if (!check_text(check, &name))
        return false;
    if (name.has_escapes)
        return refuse(check, name.raw.data, STATUS_MALFORMED);
    if (!add_name(check, first, name.raw, seen))
        return false;
    if (check->depth == 1 && check->top != NULL) {
        struct json_member *member = &check->top->members[check->top->count++];
        member->name = name.raw;
        into = &member->value;
    }
    return take(check, ':') ? check_value(check, into) : refuse_here(check);
}

static bool check_object(struct check *check)
{
    size_t first = check->name_count;
    uint64_t seen = 0;
    if (take(check, '}'))
        return true;
    do {
        if (!check_member(check, first, &seen))
            return false;
    } while (take(check, ','));
    check->name_count = first;
    return take(check, '}') || refuse_here(check);
}

static bool check_container(struct check *check, struct json_value *value)
{
    const char *start = check->at++;
    value->kind = *start == '{' ? JSON_OBJECT : JSON_ARRAY;
    if (check->depth == JSON_MAX_DEPTH)
        return refuse(check, start, STATUS_TOO_BIG);
    check->depth++;
    if (!(value->kind == JSON_OBJECT ? check_object(check) : check_array(check)))
        return false;
    check->depth--;
    value->raw = (slice){start, (size_t)(check->at - start)};
    return true;
}

static bool check_value(struct check *check, struct json_value *value)
{
    check->at = json_skip_space(check->at, check->end);
    value->has_escapes = value->is_plain = false;
    switch (check->at < check->end ? *check->at : 0) {
    case '"':
        check->at++;
        return check_text(check, value);
    case '{':
    case '[':
        return check_container(check, value);
    case 't':
        return check_word(check, SLICE("true"), JSON_TRUE, value);
    case 'f':
        return check_word(check, SLICE("false"), JSON_FALSE, value);
    case 'n':
        return check_word(check, SLICE("null"), JSON_NULL, value);
    default:
        return check_number(check, value);
    }
}

static enum status read_whole(slice text, struct json_object *object, struct json_value *value, size_t *where)
{
    static const char nothing[1];
    struct check check; /* its names are filled as they come: 16 KiB are not cleared for each text */
    check.top = object;
    check.at = text.data ? text.data : nothing;
    const char *start = check.at;
    check.end = check.at + text.len;
    check.depth = check.name_count = 0;
    check.status = STATUS_OK;
    if (check_value(&check, value)) {
        check.at = json_skip_space(check.at, check.end);
        if (check.at < check.end)
            (void)refuse_here(&check);
    }
    if (check.status != STATUS_OK && where)
        *where = (size_t)(check.wrong - start);
    return check.status;
}

enum status json_read(slice text, struct json_value *value, size_t *where)
{
    struct json_value top;
    enum status status = read_whole(text, NULL, &top, where);
    if (status == STATUS_OK)
        *value = top;
    return status;
}

enum status json_read_object(slice text, struct json_object *object, size_t *where)
{
    struct json_value top;
    object->count = 0;
    enum status status = read_whole(text, object, &top, where);
    if (status == STATUS_OK && top.kind != JSON_OBJECT) {
        status = STATUS_MALFORMED;
        if (where)
            *where = (size_t)(top.raw.data - text.data - (top.kind == JSON_TEXT));
    }
    return status;
}
