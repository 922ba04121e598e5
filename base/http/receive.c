/* SPDX-License-Identifier: Apache-2.0
 * receive: see the header. */
#include "base/http/receive.h"

#include "base/http/parser.h"
#include "base/http/strict.h"

static void fill_request(struct http_request *request, const struct request_line *line, wall_ms now)
{
    request->method = line->method;
    request->path = line->path;
    request->query = line->query;
    request->body = (slice){0};
    request->arrival = now;
    request->handler_data[0] = request->handler_data[1] = 0;
}

static struct refusal read_fields(struct exchange *exchange, slice head, const struct http_limits *limits)
{
    struct parsed_fields parsed = {.fields = exchange->request.fields};
    enum status status = parser_read(head, &parsed);
    if (status == STATUS_TOO_BIG)
        return REFUSE(431, "too many header fields");
    exchange->request.field_count = parsed.count;
    exchange->peer_closes = !parsed.keep_alive;
    struct refusal refusal = strict_check_fields(parsed.fields, parsed.count, limits, &exchange->body_bytes);
    if (status &&
        refusal.status != 411) /* llhttp stops at a Transfer-Encoding beside a length: still ours to say */
        return REFUSE(400, "malformed header");
    return refusal;
}

static struct refusal read_head(struct exchange *exchange, slice head, const struct http_limits *limits,
                                wall_ms now)
{
    struct request_line line;
    struct refusal refusal = strict_read_line(slice_head(head, exchange->scan.line_length), limits, &line);
    if (!refusal.status)
        refusal = read_fields(exchange, head, limits);
    if (refusal.status)
        return refusal;
    exchange->is_http10 = line.is_http10;
    exchange->head_bytes = head.len;
    fill_request(&exchange->request, &line, now);
    return NOT_REFUSED;
}

enum receive_result receive_request(struct exchange *exchange, const struct http_limits *limits, wall_ms now,
                                    struct refusal *refusal)
{
    slice bytes = {exchange->data + exchange->begin, exchange->end - exchange->begin};
    if (exchange->head_bytes == 0) {
        enum scan_result scanned = scan_advance(&exchange->scan, bytes, limits, refusal);
        if (scanned != SCAN_COMPLETE)
            return scanned == SCAN_MORE ? RECEIVE_MORE : RECEIVE_REFUSED;
        *refusal = read_head(exchange, slice_head(bytes, exchange->scan.checked), limits, now);
        if (refusal->status)
            return RECEIVE_REFUSED;
    }
    if (bytes.len < exchange->head_bytes + exchange->body_bytes)
        return RECEIVE_MORE;
    exchange->request.body = slice_head(slice_from(bytes, exchange->head_bytes), exchange->body_bytes);
    return RECEIVE_REQUEST;
}
