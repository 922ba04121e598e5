/* SPDX-License-Identifier: Apache-2.0
 * JSON: whatever is taken can be walked to its last value, each of which reads alone to the same kind, and
 * any text is written so that it reads back clean. */
#include "base/json.h"

#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct json_value *value);

static void walk_object(const struct json_value *value)
{
    struct json_object *object = must_malloc(sizeof(*object));
    json_members(value, object);
    for (size_t i = 0; i < object->count; i++) {
        MUST(json_find(object, object->members[i].name) == &object->members[i].value);
        walk(&object->members[i].value);
    }
    free(object);
}

static void walk_array(const struct json_value *value)
{
    struct json_value item;
    slice rest = value->raw;
    while (json_next(&rest, &item))
        walk(&item);
}

static void walk_text(const struct json_value *value)
{
    struct buf scratch;
    slice text;
    buf_init_growing(&scratch, 64, 1 << 21);
    MUST(json_text(value, &scratch, &text) == STATUS_OK);
    MUST(text.len <= value->raw.len);
    buf_fini(&scratch);
}

static void walk(const struct json_value *value)
{
    int64_t number;
    struct json_value again;
    switch (value->kind) {
    case JSON_OBJECT:
        walk_object(value);
        break;
    case JSON_ARRAY:
        walk_array(value);
        break;
    case JSON_TEXT:
        walk_text(value);
        return;
    default:
        MUST(json_int64(value, &number) != STATUS_OK || value->kind == JSON_NUMBER);
    }
    MUST(json_read(value->raw, &again, NULL) == STATUS_OK && again.kind == value->kind);
    MUST(slice_equals(again.raw, value->raw));
}

static void write_and_read(slice bytes)
{
    struct buf out;
    struct json_value value;
    buf_init_growing(&out, 64, 1 << 23);
    json_add_text(&out, bytes);
    MUST(!out.overflowed);
    MUST(json_read(buf_slice(&out), &value, NULL) == STATUS_OK && value.kind == JSON_TEXT);
    if (text_is_clean(bytes))
        walk_text(&value);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = {(const char *)data, size};
    struct json_value value;
    size_t where = 0;
    if (json_read(text, &value, &where) == STATUS_OK)
        walk(&value);
    MUST(where <= size);
    write_and_read(text);
    return 0;
}
