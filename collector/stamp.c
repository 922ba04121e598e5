/* SPDX-License-Identifier: Apache-2.0
 * stamp: see the header. */
#include "collector/stamp.h"

#include "base/http/http.h"
#include "base/text.h"
#include "collector/bots.h"
#include "collector/headers.h"
#include "collector/url.h"

/* The text as it may be stored: itself when it is clean and short enough. */
static slice clean(slice text, size_t max_len, struct buf *scratch, uint32_t *flags)
{
    bool is_clean = text_is_clean(text);
    if (!is_clean)
        *flags |= HIT_FLAG_CLEANED;
    if (is_clean && text.len <= max_len)
        return text;
    size_t start = scratch->len;
    (void)text_add_clean(scratch, text, max_len);
    return slice_from(buf_slice(scratch), start);
}

static slice first_language(slice accept_language)
{
    size_t len = 0;
    while (len < accept_language.len && accept_language.data[len] != ',' && accept_language.data[len] != ';')
        len++;
    slice first = slice_trim(slice_head(accept_language, len));
    return slice_equals(first, SLICE("*")) ? (slice){NULL, 0} : first;
}

void visit_read(const struct http_request *request, enum hit_source source, ip_address client,
                struct buf *scratch, struct visit *visit)
{
    struct headers headers;
    headers_read(request, &headers);
    uint32_t flags = headers_flags(&headers);
    slice agent = headers.values[HEADER_USER_AGENT];
    slice language = first_language(headers.values[HEADER_ACCEPT_LANGUAGE]);
    if (agent.len == 0)
        flags |= HIT_FLAG_NO_AGENT;
    if (bots_is_named(agent))
        flags |= HIT_FLAG_BOT_AGENT;
    visit->source = source;
    visit->ip = client;
    visit->arrival = request->arrival;
    visit->user_agent = clean(agent, HIT_MAX_USER_AGENT, scratch, &flags);
    visit->language = clean(language, HIT_MAX_LANGUAGE, scratch, &flags);
    size_t start = scratch->len;
    headers_write(&headers, scratch);
    visit->headers = slice_from(buf_slice(scratch), start);
    visit->flags = flags;
    MUST(!scratch->overflowed);
}

static enum status find_host(const struct page *page, const struct sites *sites, struct buf *scratch,
                             slice *host, struct why *why)
{
    if (page->url.len == 0)
        return why_say(why, STATUS_MISSING, "url is missing");
    if (url_host(page->url, scratch, host) != STATUS_OK)
        return why_say(why, STATUS_MALFORMED, "url is no http or https address");
    if (!sites_has(sites, *host))
        return why_say(why, STATUS_DENIED, "the url's host is no site of this collector");
    return STATUS_OK;
}

/* False: the page gave none. */
static bool read_given_id(slice text, uuid *id)
{
    static const uuid nil;
    if (text.len == 0)
        return false;
    if (uuid_read(text, id) != STATUS_OK)
        *id = uuid_of_text(text);
    return !uuid_equals(*id, nil);
}

enum status stamp_hit(const struct visit *visit, const struct page *page, const struct sites *sites,
                      struct buf *scratch, struct stamped *stamped, struct why *why)
{
    struct hit *hit = &stamped->hit;
    slice host;
    uint32_t flags = visit->flags;
    enum status status = find_host(page, sites, scratch, &host, why);
    if (status != STATUS_OK)
        return status;
    *hit = (struct hit){
        .url = clean(page->url, HIT_MAX_URL, scratch, &flags),
        .referrer = clean(page->referrer, HIT_MAX_REFERRER, scratch, &flags),
        .user_agent = visit->user_agent,
        .ip = visit->ip,
        .host = host,
        .headers = visit->headers,
        .event_time = {visit->arrival.ms - page->age_ms},
        .source = visit->source,
        .received_time = visit->arrival,
        .has_received_time = true,
        .title = clean(page->title, HIT_MAX_TITLE, scratch, &flags),
        .screen = clean(page->screen, HIT_MAX_SCREEN, scratch, &flags),
    };
    hit->language =
        page->language.len > 0 ? clean(page->language, HIT_MAX_LANGUAGE, scratch, &flags) : visit->language;
    hit->flags = flags; /* after the texts: cleaning adds one */
    hit->has_id = true;
    stamped->has_given_id = read_given_id(page->id, &hit->id);
    if (!stamped->has_given_id)
        hit->id = uuid_v7(visit->arrival);
    MUST(!scratch->overflowed);
    return STATUS_OK;
}
