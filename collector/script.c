/* SPDX-License-Identifier: Apache-2.0
 * script: see the header. */
#include "collector/script.h"

#include "base/buf.h"
#include "base/http/http.h"

enum { MAX_FIELDS_BYTES = 512, MAX_TAGS_BYTES = 4096 /* a field is no longer */ };

/* Weakly, as RFC 9110 asks of If-None-Match. */
static bool is_ours(slice tag)
{
    if (slice_starts_with(tag, SLICE("W/")))
        tag = slice_from(tag, 2);
    return slice_equals(tag, script_etag);
}

/* Our tag holds no comma, so cutting at commas cannot break it. */
static bool is_known(const struct http_request *request)
{
    char memory[MAX_TAGS_BYTES];
    struct buf tags;
    slice tag;
    buf_init(&tags, memory, sizeof(memory));
    if (http_field_joined(request, SLICE("if-none-match"), &tags) != STATUS_OK)
        return false;
    slice rest = buf_slice(&tags);
    while (slice_cut(&rest, ',', &tag)) {
        tag = slice_trim(tag);
        if (slice_equals(tag, SLICE("*")) || is_ours(tag))
            return true;
    }
    return false;
}

void script_handle(void *context, struct http_request *request)
{
    char memory[MAX_FIELDS_BYTES];
    struct buf fields;
    (void)context;
    buf_init(&fields, memory, sizeof(memory));
    buf_add_format(&fields, "ETag: %.*s\r\n", SLICE_ARGS(script_etag));
    buf_add(&fields, SLICE("Cache-Control: public, max-age=86400\r\n"
                           "Access-Control-Allow-Origin: *\r\n"
                           "Cross-Origin-Resource-Policy: cross-origin\r\n"
                           "X-Content-Type-Options: nosniff\r\n"));
    MUST(!fields.overflowed);
    struct http_reply reply = {.status = 304, .fields = buf_slice(&fields)};
    if (!is_known(request)) {
        reply.status = 200;
        reply.content_type = SLICE("text/javascript; charset=utf-8");
        reply.body = script_text;
    }
    http_reply(request, &reply);
}
