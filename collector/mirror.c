/* SPDX-License-Identifier: Apache-2.0
 * mirror: see the header. */
#include "collector/mirror.h"

#include "base/http/http.h"
#include "proto/hit.h"

bool mirror_is_page_view(const struct http_request *request)
{
    slice method = http_field(request, SLICE("x-original-method"));
    return method.len == 0 || slice_equals(method, SLICE("GET"));
}

static enum status read_scheme(const struct http_request *request, slice *scheme, struct why *why)
{
    slice proto = http_field(request, SLICE("x-forwarded-proto"));
    *scheme = proto.len > 0 ? proto : SLICE("http");
    if (slice_equals_nocase(*scheme, SLICE("http")) || slice_equals_nocase(*scheme, SLICE("https")))
        return STATUS_OK;
    return why_say(why, STATUS_MALFORMED, "X-Forwarded-Proto is neither http nor https");
}

static enum status build_url(const struct http_request *request, struct buf *scratch, slice *url,
                             struct why *why)
{
    slice uri = http_field(request, SLICE("x-original-uri")), scheme;
    slice host = http_field(request, SLICE("host"));
    size_t start = scratch->len;
    if (uri.len == 0 || uri.data[0] != '/')
        return why_say(why, STATUS_MISSING, "X-Original-URI is missing or does not begin with /");
    enum status status = read_scheme(request, &scheme, why);
    if (status != STATUS_OK)
        return status;
    if (scheme.len + SLICE("://").len + host.len + uri.len > HIT_MAX_URL)
        return why_say(why, STATUS_TOO_BIG, "url is longer than %d bytes", HIT_MAX_URL);
    buf_add(scratch, scheme);
    buf_add(scratch, SLICE("://"));
    buf_add(scratch, host);
    buf_add(scratch, uri);
    MUST(!scratch->overflowed);
    *url = slice_from(buf_slice(scratch), start);
    return STATUS_OK;
}

enum status mirror_read(const struct http_request *request, struct buf *scratch, struct page *page,
                        ip_address *client, struct why *why)
{
    struct page read = {
        .referrer = http_field(request, SLICE("referer")),
        .id = http_field(request, SLICE("x-request-id")),
    };
    enum status status = build_url(request, scratch, &read.url, why);
    if (status != STATUS_OK)
        return status;
    if (ip_read(http_field(request, SLICE("x-real-ip")), client) != STATUS_OK)
        return why_say(why, STATUS_MALFORMED, "X-Real-IP is missing or no address");
    if (read.id.len > PAGE_MAX_ID)
        return why_say(why, STATUS_TOO_BIG, "X-Request-ID is longer than %d bytes", PAGE_MAX_ID);
    *page = read;
    return STATUS_OK;
}
