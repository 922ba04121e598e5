/* SPDX-License-Identifier: Apache-2.0
 * replies: see the header. */
#include "collector/replies.h"

#include "collector/url.h"

enum { MAX_ORIGIN_BYTES = 300 /* scheme, the longest host, port */, FIELDS_BYTES = 1024 };

static const slice common_fields = SLICE("Cache-Control: no-store\r\n"
                                         "Cross-Origin-Resource-Policy: cross-origin\r\n");

/* The smallest transparent GIF. */
static const unsigned char pixel[43] = {
    'G',  'I', 'F', '8', '9', 'a',  1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4,
    0x01, 0,   0,   0,   0,   0x2c, 0, 0, 0, 0, 1,    0, 1, 0, 0, 2, 2,    0x44, 1,    0,    0x3b,
};

/* What a status of ours is to the sender. Trouble of our own is never 4xx: a client drops a hit on that. */
static int http_status(enum status status)
{
    switch (status) {
    case STATUS_MALFORMED:
    case STATUS_MISSING:
    case STATUS_RANGE:
    case STATUS_TOO_BIG:
        return 400;
    case STATUS_DENIED:
        return 403;
    default:
        return 503;
    }
}

static bool is_site(const struct replies *replies, slice origin)
{
    char memory[HIT_MAX_HOST + MAX_ORIGIN_BYTES];
    struct buf scratch;
    slice host;
    buf_init(&scratch, memory, sizeof(memory));
    return origin.len <= MAX_ORIGIN_BYTES && url_origin_host(origin, &scratch, &host) == STATUS_OK &&
           sites_has(replies->sites, host);
}

static slice origin_of(const struct http_request *request)
{
    return http_field(request, SLICE("origin"));
}

/* In request->handler_data[1]. */
enum origin { ORIGIN_UNKNOWN, ORIGIN_ABSENT, ORIGIN_HIDDEN, ORIGIN_OURS, ORIGIN_STRANGE };

static enum origin judge_origin(const struct replies *replies, slice origin)
{
    if (origin.len == 0)
        return ORIGIN_ABSENT;
    if (slice_equals(origin, SLICE("null")))
        return ORIGIN_HIDDEN;
    return is_site(replies, origin) ? ORIGIN_OURS : ORIGIN_STRANGE;
}

static enum origin find_origin(const struct replies *replies, struct http_request *request)
{
    if (request->handler_data[1] == ORIGIN_UNKNOWN)
        request->handler_data[1] = judge_origin(replies, origin_of(request));
    return (enum origin)request->handler_data[1];
}

bool replies_origin_is_ours(const struct replies *replies, struct http_request *request)
{
    return find_origin(replies, request) != ORIGIN_STRANGE;
}

static void add_origin(const struct replies *replies, struct http_request *request, struct buf *fields)
{
    enum origin origin = find_origin(replies, request);
    if (origin == ORIGIN_ABSENT)
        return;
    buf_add(fields, SLICE("Vary: Origin\r\n"));
    if (origin != ORIGIN_OURS)
        return;
    buf_add(fields, SLICE("Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: "));
    buf_add(fields, origin_of(request));
    buf_add(fields, SLICE("\r\n"));
}

/* reply: all but its fields. more: further field lines. */
static void send_reply(const struct replies *replies, struct http_request *request, struct http_reply reply,
                       slice more)
{
    char memory[FIELDS_BYTES];
    struct buf fields;
    buf_init(&fields, memory, sizeof(memory));
    buf_add(&fields, common_fields);
    add_origin(replies, request, &fields);
    buf_add(&fields, more);
    MUST(!fields.overflowed);
    reply.fields = buf_slice(&fields);
    http_reply(request, &reply);
}

void replies_taken(const struct replies *replies, struct http_request *request, enum hit_source source)
{
    struct http_reply reply = {.status = 204};
    if (source == HIT_PIXEL)
        reply = (struct http_reply){
            .status = 200,
            .content_type = SLICE("image/gif"),
            .body = {(const char *)pixel, sizeof(pixel)},
        };
    send_reply(replies, request, reply, (slice){NULL, 0});
}

static void send_reason(const struct replies *replies, struct http_request *request, int status,
                        const char *reason)
{
    char memory[sizeof(((struct why *)NULL)->text) + 1];
    struct buf line;
    buf_init(&line, memory, sizeof(memory));
    buf_add(&line, slice_of(reason));
    buf_add_char(&line, '\n');
    struct http_reply reply = {
        .status = status,
        .content_type = SLICE("text/plain; charset=utf-8"),
        .body = buf_slice(&line),
    };
    send_reply(replies, request, reply, status == 503 ? SLICE("Retry-After: 1\r\n") : (slice){NULL, 0});
}

void replies_refuse(const struct replies *replies, struct http_request *request, enum status status,
                    const char *reason)
{
    send_reason(replies, request, http_status(status), reason);
}

void replies_refuse_type(const struct replies *replies, struct http_request *request)
{
    send_reason(replies, request, 415,
                "send text/plain or application/json with JSON, or application/x-www-form-urlencoded");
}

void replies_preflight(const struct replies *replies, struct http_request *request)
{
    static const slice leave = SLICE("Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                                     "Access-Control-Allow-Headers: content-type\r\n"
                                     "Access-Control-Max-Age: 86400\r\n");
    bool is_ours = find_origin(replies, request) == ORIGIN_OURS;
    send_reply(replies, request, (struct http_reply){.status = 204}, is_ours ? leave : (slice){NULL, 0});
}
