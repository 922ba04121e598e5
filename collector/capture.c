/* SPDX-License-Identifier: Apache-2.0
 * capture: see the header. */
#include "collector/capture.h"

#include <stdlib.h>

#include "base/http/http.h"
#include "base/log.h"
#include "collector/beacon.h"
#include "collector/intake.h"
#include "collector/metrics.h"
#include "collector/mirror.h"

enum {
    /* What the texts of a body become when decoded, and again when cleaned: an invalid byte of a form was
     * three characters and becomes three bytes, so neither is longer than the body. Hosts come on top. */
    SCRATCH_BYTES = 2 * HTTP_MAX_BODY_BYTES + STAMP_SCRATCH_BYTES + STAMP_HIT_SCRATCH_BYTES +
                    BEACON_MAX_HITS * (HIT_MAX_HOST + 256),
    MAX_FORWARDED_BYTES = 8192,
};

struct capture {
    struct capture_options options;
    struct log log;
    struct beacon beacon;
    struct stamped hits[BEACON_MAX_HITS];
    struct buf scratch;
    char scratch_memory[SCRATCH_BYTES];
    char forwarded_memory[MAX_FORWARDED_BYTES];
};

struct capture *capture_new(const struct capture_options *options)
{
    struct capture *capture = must_calloc(1, sizeof(*capture));
    capture->options = *options;
    capture->log = log_new("capture");
    buf_init(&capture->scratch, capture->scratch_memory, sizeof(capture->scratch_memory));
    return capture;
}

void capture_free(struct capture **capture)
{
    free(*capture);
    *capture = NULL;
}

static void refuse(struct capture *capture, struct http_request *request, enum status status,
                   const char *reason)
{
    enum metrics_place place = METRIC_REFUSED_MALFORMED;
    if (status == STATUS_DENIED)
        place = METRIC_REFUSED_SITE;
    else if (status == STATUS_UNAVAILABLE)
        place = METRIC_REFUSED_UNAVAILABLE;
    capture->options.metrics->values[place]++;
    replies_refuse(capture->options.replies, request, status, reason);
}

/* --- steps --- */

static enum status find_client(struct capture *capture, const struct http_request *request,
                               ip_address *client, struct why *why)
{
    struct buf forwarded;
    buf_init(&forwarded, capture->forwarded_memory, sizeof(capture->forwarded_memory));
    if (http_field_joined(request, SLICE("x-forwarded-for"), &forwarded) != STATUS_OK)
        buf_clear(&forwarded); /* a chain too long to be true */
    const ip_address *peer = request->peer_is_unix ? NULL : &request->peer;
    if (client_find(&capture->options.trust, peer, buf_slice(&forwarded), client) == STATUS_OK)
        return STATUS_OK;
    (void)why_say(why, STATUS_UNAVAILABLE,
                  "no visitor address: the proxy on the unix socket must send X-Forwarded-For");
    log_error(&capture->log, "no_visitor_address", "http.listen is a unix socket: %s", why->text);
    return STATUS_UNAVAILABLE;
}

/* Pages of capture->beacon to capture->hits. */
static enum status stamp_all(struct capture *capture, const struct visit *visit, struct why *why)
{
    const struct beacon *beacon = &capture->beacon;
    for (size_t i = 0; i < beacon->count; i++) {
        enum status status = stamp_hit(visit, &beacon->pages[i], capture->options.replies->sites,
                                       &capture->scratch, &capture->hits[i], why);
        if (status == STATUS_OK)
            continue;
        if (beacon->is_array)
            beacon_name_index(why, i);
        return status;
    }
    return STATUS_OK;
}

static void take(struct capture *capture, struct http_request *request, enum hit_source source,
                 ip_address client)
{
    struct visit visit;
    struct why why;
    visit_read(request, source, client, &capture->scratch, &visit);
    enum status status = stamp_all(capture, &visit, &why);
    if (status != STATUS_OK)
        refuse(capture, request, status, why.text);
    else
        intake_take(capture->options.intake, request, capture->hits, capture->beacon.count);
}

/* What a browser sent: it may not speak for a site from elsewhere. */
static void take_public(struct capture *capture, struct http_request *request, enum hit_source source)
{
    ip_address client;
    struct why why;
    if (!replies_origin_is_ours(capture->options.replies, request)) {
        refuse(capture, request, STATUS_DENIED, "the Origin is no site of this collector");
        return;
    }
    enum status status = find_client(capture, request, &client, &why);
    if (status != STATUS_OK)
        refuse(capture, request, status, why.text);
    else
        take(capture, request, source, client);
}

/* --- handlers --- */

void capture_beacon(void *context, struct http_request *request)
{
    struct capture *capture = context;
    struct why why;
    enum beacon_kind kind = beacon_kind(http_field(request, SLICE("content-type")));
    if (kind == BEACON_UNKNOWN) {
        capture->options.metrics->values[METRIC_REFUSED_MALFORMED]++;
        replies_refuse_type(capture->options.replies, request);
        return;
    }
    buf_clear(&capture->scratch);
    enum status status = beacon_read(kind, request->body, &capture->scratch, &capture->beacon, &why);
    if (status != STATUS_OK)
        refuse(capture, request, status, why.text);
    else
        take_public(capture, request, HIT_BEACON);
}

void capture_pixel(void *context, struct http_request *request)
{
    struct capture *capture = context;
    struct page *page = &capture->beacon.pages[0];
    struct why why;
    buf_clear(&capture->scratch);
    enum status status = beacon_read(BEACON_FORM, request->query, &capture->scratch, &capture->beacon, &why);
    if (status != STATUS_OK) {
        refuse(capture, request, status, why.text);
        return;
    }
    if (page->url.len == 0) /* an image in a page without script knows no url */
        page->url = http_field(request, SLICE("referer"));
    take_public(capture, request, HIT_PIXEL);
}

void capture_preflight(void *context, struct http_request *request)
{
    struct capture *capture = context;
    replies_preflight(capture->options.replies, request);
}

void capture_mirror(void *context, struct http_request *request)
{
    struct capture *capture = context;
    struct why why;
    ip_address client;
    if (!mirror_is_page_view(request)) {
        capture->options.metrics->values[METRIC_MIRROR_PASSED_OVER]++;
        replies_taken(capture->options.replies, request, HIT_MIRROR);
        return;
    }
    buf_clear(&capture->scratch);
    capture->beacon.is_array = false;
    capture->beacon.count = 1;
    enum status status = mirror_read(request, &capture->scratch, &capture->beacon.pages[0], &client, &why);
    if (status != STATUS_OK)
        refuse(capture, request, status, why.text);
    else
        take(capture, request, HIT_MIRROR, client);
}
