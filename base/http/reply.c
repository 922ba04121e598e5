/* SPDX-License-Identifier: Apache-2.0
 * reply: see the header. */
#include "base/http/reply.h"

#include <string.h>

/* In the order in which they are looked for: the frequent ones first. */
static const struct status_row {
    int status;
    bool has_body;
    slice line;
} status_rows[] = {
#define ROW(status, has_body, phrase)                                                                        \
    {                                                                                                        \
        status, has_body, SLICE("HTTP/1.1 " #status " " phrase "\r\n")                                       \
    }
    ROW(204, false, "No Content"),
    ROW(200, true, "OK"),
    ROW(400, true, "Bad Request"),
    ROW(403, true, "Forbidden"),
    ROW(404, true, "Not Found"),
    ROW(503, true, "Service Unavailable"),
    ROW(301, true, "Moved Permanently"),
    ROW(302, true, "Found"),
    ROW(303, true, "See Other"),
    ROW(304, false, "Not Modified"),
    ROW(401, true, "Unauthorized"),
    ROW(405, true, "Method Not Allowed"),
    ROW(408, true, "Request Timeout"),
    ROW(409, true, "Conflict"),
    ROW(411, true, "Length Required"),
    ROW(413, true, "Content Too Large"),
    ROW(414, true, "URI Too Long"),
    ROW(415, true, "Unsupported Media Type"),
    ROW(417, true, "Expectation Failed"),
    ROW(422, true, "Unprocessable Content"),
    ROW(429, true, "Too Many Requests"),
    ROW(431, true, "Request Header Fields Too Large"),
    ROW(500, true, "Internal Server Error"),
    ROW(502, true, "Bad Gateway"),
    ROW(504, true, "Gateway Timeout"),
#undef ROW
};
enum { STATUS_ROW_COUNT = sizeof(status_rows) / sizeof(status_rows[0]) };

static const struct status_row *find_status(int status)
{
    const struct status_row *row = status_rows;
    while (row < status_rows + STATUS_ROW_COUNT && row->status != status)
        row++;
    MUST(row < status_rows + STATUS_ROW_COUNT);
    return row;
}

static void add_body_fields(struct buf *out, const struct http_reply *reply)
{
    if (reply->content_type.len > 0) {
        buf_add(out, SLICE("Content-Type: "));
        buf_add(out, reply->content_type);
        buf_add(out, SLICE("\r\n"));
    }
    buf_add(out, SLICE("Content-Length: "));
    buf_add_int64(out, (int64_t)reply->body.len);
    buf_add(out, SLICE("\r\n"));
}

void reply_encode(struct buf *out, const struct http_reply *reply, bool is_head,
                  enum reply_connection connection)
{
    static const slice connection_lines[] = {
        [REPLY_KEEP] = {NULL, 0},
        [REPLY_KEEP_HTTP10] = SLICE("Connection: keep-alive\r\n"),
        [REPLY_CLOSE] = SLICE("Connection: close\r\n"),
    };
    MUST(reply->body.len + reply->fields.len <= REPLY_MAX_BYTES);
    const struct status_row *row = find_status(reply->status);
    buf_add(out, row->line);
    if (row->has_body)
        add_body_fields(out, reply);
    buf_add(out, reply->fields);
    buf_add(out, connection_lines[connection]);
    buf_add(out, SLICE("\r\n"));
    if (row->has_body && !is_head)
        buf_add(out, reply->body);
    MUST(!out->overflowed);
}

static void add_allow(struct buf *out, unsigned methods)
{
    static const struct {
        enum http_method method;
        slice name;
    } names[] = {{HTTP_GET, SLICE("GET")},
                 {HTTP_HEAD, SLICE("HEAD")},
                 {HTTP_POST, SLICE("POST")},
                 {HTTP_OPTIONS, SLICE("OPTIONS")}};
    slice before = SLICE("Allow: ");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & names[i].method))
            continue;
        buf_add(out, before);
        buf_add(out, names[i].name);
        before = SLICE(", ");
    }
    buf_add(out, SLICE("\r\n"));
}

void reply_text_init(struct reply_text *text, int status, slice reason, unsigned allowed)
{
    struct buf body, fields;
    buf_init(&body, text->body, sizeof(text->body));
    buf_init(&fields, text->fields, sizeof(text->fields));
    buf_add(&body,
            slice_head(reason, reason.len < REPLY_MAX_REASON_BYTES ? reason.len : REPLY_MAX_REASON_BYTES));
    buf_add_char(&body, '\n');
    if (status == 405)
        add_allow(&fields, allowed);
    if (status == 503)
        buf_add(&fields, SLICE("Retry-After: 1\r\n"));
    MUST(!body.overflowed && !fields.overflowed);
    text->reply = (struct http_reply){
        .status = status,
        .content_type = SLICE("text/plain; charset=utf-8"),
        .body = buf_slice(&body),
        .fields = buf_slice(&fields),
    };
}
