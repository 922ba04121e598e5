/* SPDX-License-Identifier: Apache-2.0
 * request: what a handler asks of a request; declared in http.h. */
#include "base/buf.h"
#include "base/http/http.h"

/* The next field of this name at or after *index, which is left behind it; NULL when there is none. */
static const struct http_field *find_next(const struct http_request *request, slice name, size_t *index)
{
    while (*index < request->field_count) {
        const struct http_field *field = &request->fields[(*index)++];
        if (field->name.len == name.len && slice_equals_nocase(field->name, name))
            return field;
    }
    return NULL;
}

slice http_field(const struct http_request *request, slice name)
{
    size_t index = 0;
    const struct http_field *field = find_next(request, name, &index);
    return field ? field->value : (slice){0};
}

enum status http_field_joined(const struct http_request *request, slice name, struct buf *out)
{
    slice separator = {0};
    size_t index = 0;
    for (const struct http_field *field; (field = find_next(request, name, &index));) {
        buf_add(out, separator);
        buf_add(out, field->value);
        separator = SLICE(", ");
    }
    return out->overflowed ? STATUS_TOO_BIG : STATUS_OK;
}
