/* SPDX-License-Identifier: Apache-2.0
 * answer: see the header. */
#include "aggregator/answer.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME_BYTES = 512, MAX_NUMBER_BYTES = 40 };

/* The service's error codes. */
enum { CODE_KEY_OR_CREDIT = 10000, CODE_ADDRESS, CODE_INTERNAL, CODE_LANGUAGE, CODE_TRANSLATION };

const char *answer_kind_text(enum answer_kind kind)
{
    static const char *const texts[] = {
#define X(id, text) text,
        ANSWER_LIST(X)
#undef X
    };
    MUST((size_t)kind < ANSWER_KIND_COUNT);
    return texts[kind];
}

/* ---- Errors ---- */

static bool find_error_code(const struct json_object *object, int64_t *code)
{
    struct json_object error;
    const struct json_value *value = json_find(object, SLICE("error"));
    if (value == NULL || value->kind != JSON_OBJECT)
        return false;
    json_members(value, &error);
    value = json_find(&error, SLICE("error_code"));
    return value != NULL && value->kind == JSON_NUMBER && json_int64(value, code) == STATUS_OK;
}

static enum answer_kind kind_of_code(int64_t code)
{
    switch (code) {
    case CODE_KEY_OR_CREDIT:
        return ANSWER_REFUSED;
    case CODE_ADDRESS:
        return ANSWER_BAD_ADDRESS;
    case CODE_LANGUAGE:
    case CODE_TRANSLATION:
        return ANSWER_MISCONFIGURED;
    default:
        return ANSWER_FAILED;
    }
}

static enum answer_kind kind_of_status(int http_status)
{
    switch (http_status) {
    case 401:
    case 403:
        return ANSWER_REFUSED;
    case 429:
        return ANSWER_BUSY;
    default:
        return ANSWER_FAILED;
    }
}

/* ---- A place ---- */

/* False: it is there and is no text of bounded length. */
static bool read_name(const struct json_object *object, slice name, struct buf *scratch, slice *text)
{
    const struct json_value *value = json_find(object, name);
    *text = (slice){NULL, 0};
    if (value == NULL || value->kind == JSON_NULL)
        return true;
    return value->kind == JSON_TEXT && json_text(value, scratch, text) == STATUS_OK &&
           text->len <= MAX_NAME_BYTES;
}

static bool read_number(const struct json_object *object, slice name, double *number)
{
    char text[MAX_NUMBER_BYTES + 1];
    const struct json_value *value = json_find(object, name);
    if (value == NULL || value->kind != JSON_NUMBER || value->raw.len > MAX_NUMBER_BYTES)
        return false;
    memcpy(text, value->raw.data, value->raw.len);
    text[value->raw.len] = '\0';
    *number = strtod(text, NULL);
    return true;
}

static bool is_about(const struct json_object *object, ip_address asked, struct buf *scratch)
{
    slice text;
    ip_address ip;
    return read_name(object, SLICE("ip"), scratch, &text) && ip_read(text, &ip) == STATUS_OK &&
           ip_equals(ip, asked);
}

static enum answer_kind read_place(const struct json_object *object, struct buf *scratch,
                                   struct place_parts *parts)
{
    struct place_parts read = {.has_coordinates = false};
    if (!read_name(object, SLICE("country_code"), scratch, &read.country) ||
        !read_name(object, SLICE("region_name"), scratch, &read.state) ||
        !read_name(object, SLICE("city_name"), scratch, &read.city))
        return ANSWER_MALFORMED;
    if (slice_equals(read.country, SLICE("-")))
        return ANSWER_UNKNOWN;
    if (!place_is_code(read.country))
        return ANSWER_MALFORMED;
    read.has_coordinates = read_number(object, SLICE("latitude"), &read.latitude) &&
                           read_number(object, SLICE("longitude"), &read.longitude) &&
                           place_is_on_globe(read.latitude, read.longitude);
    *parts = read;
    return ANSWER_PLACE;
}

static enum answer_kind read_object(const struct json_object *object, ip_address asked, struct buf *scratch,
                                    struct place_parts *parts)
{
    int64_t code;
    if (find_error_code(object, &code))
        return kind_of_code(code);
    return is_about(object, asked, scratch) ? read_place(object, scratch, parts) : ANSWER_MALFORMED;
}

/* Whatever the status is, an error's code says more. */
static bool is_refused_whole(int http_status, const struct json_object *object, enum answer_kind *kind)
{
    int64_t code;
    if (object != NULL && find_error_code(object, &code))
        *kind = kind_of_code(code);
    else if (http_status != 200)
        *kind = kind_of_status(http_status);
    else if (object == NULL)
        *kind = ANSWER_MALFORMED;
    else
        return false;
    return true;
}

enum answer_kind answer_read(int http_status, slice body, ip_address asked, struct buf *scratch,
                             struct place_parts *parts)
{
    struct json_object object;
    enum answer_kind kind;
    buf_clear(scratch);
    bool is_object = body.len <= ANSWER_MAX_BYTES && json_read_object(body, &object, NULL) == STATUS_OK;
    if (is_refused_whole(http_status, is_object ? &object : NULL, &kind))
        return kind;
    return read_object(&object, asked, scratch, parts);
}

/* ---- Many ---- */

static size_t find_asked(slice name, const ip_address *asked, size_t count)
{
    ip_address ip;
    if (ip_read(name, &ip) != STATUS_OK)
        return count;
    size_t which = 0;
    while (which < count && !ip_equals(asked[which], ip))
        which++;
    return which;
}

/* False: it speaks of what was not asked, or twice of one address. */
static bool assign_values(const ip_address *asked, size_t count, struct answer_many *many)
{
    for (size_t i = 0; i < many->object.count; i++) {
        size_t which = find_asked(many->object.members[i].name, asked, count);
        if (which == count || many->values[which] != NULL)
            return false;
        many->values[which] = &many->object.members[i].value;
    }
    return true;
}

void answer_read_many(int http_status, slice body, const ip_address *asked, size_t count,
                      struct answer_many *many)
{
    MUST(count <= ANSWER_MAX_MANY);
    memset(many->values, 0, sizeof many->values);
    bool is_object =
        body.len <= ANSWER_MAX_MANY_BYTES && json_read_object(body, &many->object, NULL) == STATUS_OK;
    if (is_refused_whole(http_status, is_object ? &many->object : NULL, &many->rest))
        return;
    many->rest = ANSWER_FAILED;
    if (assign_values(asked, count, many))
        return;
    memset(many->values, 0, sizeof many->values);
    many->rest = ANSWER_MALFORMED;
}

enum answer_kind answer_of(const struct answer_many *many, size_t which, ip_address asked,
                           struct buf *scratch, struct place_parts *parts)
{
    struct json_object object;
    const struct json_value *value = many->values[which];
    if (value == NULL)
        return many->rest;
    if (value->kind != JSON_OBJECT || value->raw.len > ANSWER_MAX_BYTES)
        return ANSWER_MALFORMED;
    buf_clear(scratch);
    json_members(value, &object);
    return read_object(&object, asked, scratch, parts);
}

static int weight(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_REFUSED:
    case ANSWER_MISCONFIGURED:
    case ANSWER_BUSY:
        return 2;
    case ANSWER_PLACE:
    case ANSWER_UNKNOWN:
    case ANSWER_BAD_ADDRESS:
        return 1;
    default:
        return 0;
    }
}

enum answer_kind answer_weightier(enum answer_kind a, enum answer_kind b)
{
    return weight(b) > weight(a) ? b : a;
}
