/* SPDX-License-Identifier: Apache-2.0
 * See json_oracle.h. */
#include "tests/unit/base/json_oracle.h"

#include <jansson.h>

static void write_value(const json_t *value, size_t depth, struct oracle *oracle, struct buf *form);

static void write_text(const char *text, size_t len, struct buf *form)
{
    buf_add_format(form, "s%zu:", len);
    buf_add_bytes(form, text, len);
}

static void write_array(const json_t *array, size_t depth, struct oracle *oracle, struct buf *form)
{
    buf_add_char(form, '[');
    for (size_t i = 0; i < json_array_size(array); i++)
        write_value(json_array_get(array, i), depth, oracle, form);
    buf_add_char(form, ']');
}

static void write_object(json_t *object, size_t depth, struct oracle *oracle, struct buf *form)
{
    if (json_object_size(object) > oracle->most_members)
        oracle->most_members = json_object_size(object);
    buf_add_char(form, '{');
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        write_text(json_object_iter_key(at), json_object_iter_key_len(at), form);
        write_value(json_object_iter_value(at), depth, oracle, form);
    }
    buf_add_char(form, '}');
}

static void write_value(const json_t *value, size_t depth, struct oracle *oracle, struct buf *form)
{
    bool is_container = json_is_object(value) || json_is_array(value);
    if (is_container && ++depth > oracle->depth)
        oracle->depth = depth;
    if (json_is_object(value))
        write_object((json_t *)value, depth, oracle, form);
    else if (json_is_array(value))
        write_array(value, depth, oracle, form);
    else if (json_is_string(value))
        write_text(json_string_value(value), json_string_length(value), form);
    else if (json_is_integer(value))
        buf_add_format(form, "i%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        buf_add_format(form, "r%a", json_real_value(value));
    else
        buf_add_char(form, json_is_null(value) ? 'n' : json_is_true(value) ? 't' : 'f');
}

struct oracle oracle_read(slice text, struct buf *form)
{
    struct oracle oracle = {.takes = false};
    json_error_t error;
    json_t *top =
        json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    buf_clear(form);
    oracle.takes = top != NULL;
    oracle.is_overflow = !top && json_error_code(&error) == json_error_numeric_overflow;
    if (top)
        write_value(top, 0, &oracle, form);
    json_decref(top);
    return oracle;
}
