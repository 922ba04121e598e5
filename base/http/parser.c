/* SPDX-License-Identifier: Apache-2.0
 * parser: see the header. */
#include "base/http/parser.h"

#include <llhttp.h>

static int on_field_name(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parsed_fields *parsed = llhttp->data;
    if (parsed->count == HTTP_MAX_FIELDS)
        return HPE_USER;
    parsed->fields[parsed->count++] = (struct http_field){.name = {at, len}, .value = {at + len, 0}};
    return HPE_OK;
}

static int on_field_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct parsed_fields *parsed = llhttp->data;
    MUST(parsed->count > 0);
    parsed->fields[parsed->count - 1].value = slice_trim((slice){at, len});
    return HPE_OK;
}

/* Ends the parse here: bytes after the block are not llhttp's. */
static int on_head_complete(llhttp_t *llhttp)
{
    struct parsed_fields *parsed = llhttp->data;
    parsed->keep_alive = llhttp_should_keep_alive(llhttp);
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_headers_complete = on_head_complete,
};

enum status parser_read(slice head, struct parsed_fields *parsed)
{
    llhttp_t llhttp;
    llhttp_init(&llhttp, HTTP_REQUEST, &settings);
    llhttp.data = parsed;
    parsed->count = 0;
    parsed->keep_alive = false;
    switch (llhttp_execute(&llhttp, head.data, head.len)) {
    case HPE_PAUSED:
        return STATUS_OK;
    case HPE_USER:
        return STATUS_TOO_BIG;
    default:
        return STATUS_MALFORMED;
    }
}
