/* SPDX-License-Identifier: Apache-2.0
 * answer: see the header. */
#include "aggregator/answer.h"

#include <stdlib.h>

#include "base/json.h"

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

enum answer_kind answer_read(int http_status, slice body, ip_address asked, struct buf *scratch,
                             struct place_parts *parts)
{
    struct json_object object;
    int64_t code;
    buf_clear(scratch);
    bool is_object = body.len <= ANSWER_MAX_BYTES && json_read_object(body, &object, NULL) == STATUS_OK;
    if (is_object && find_error_code(&object, &code))
        return kind_of_code(code);
    if (http_status != 200)
        return kind_of_status(http_status);
    if (!is_object || !is_about(&object, asked, scratch))
        return ANSWER_MALFORMED;
    return read_place(&object, scratch, parts);
}
