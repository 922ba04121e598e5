/* SPDX-License-Identifier: Apache-2.0
 * stamp: makes hits of what pages say and of the requests that carried them.
 *
 * visit: what all hits of one request share (address, user agent, kept headers, language, arrival).
 * stamp_hit: visit + page -> hit: host from the page's url, checked against the sites; event time = arrival
 * less the age; texts cleaned and cut at the limits of proto/hit.h; id from outside when one was given (a
 * UUID read as such, any other text hashed; the nil UUID is none), else a fresh UUIDv7. Slices of a hit
 * borrow from the request, the page and *scratch: STAMP_SCRATCH_BYTES are enough for one visit,
 * STAMP_HIT_SCRATCH_BYTES for each of its hits. No I/O, no allocation; loop thread (UUIDv7). */
#ifndef COLLECTOR_STAMP_H
#define COLLECTOR_STAMP_H

#include "collector/page.h"
#include "collector/sites.h"
#include "proto/hit.h"

struct http_request;

enum {
    STAMP_SCRATCH_BYTES = HIT_MAX_USER_AGENT + HIT_MAX_HEADERS + HIT_MAX_LANGUAGE,
    STAMP_HIT_SCRATCH_BYTES = HIT_MAX_URL + HIT_MAX_REFERRER + HIT_MAX_HOST + HIT_MAX_LANGUAGE +
                              HIT_MAX_TITLE + HIT_MAX_SCREEN + 256 /* a host before it is judged */
};

struct visit {
    enum hit_source source;
    ip_address ip;
    wall_ms arrival;
    slice user_agent;
    slice headers;
    slice language; /* the first of Accept-Language */
    uint32_t flags;
};

struct stamped {
    struct hit hit;
    bool has_given_id; /* from outside: a repeat of it is the same hit */
};

/* client: the visitor's address. */
void visit_read(const struct http_request *request, enum hit_source source, ip_address client,
                struct buf *scratch, struct visit *visit);
/* Leaves stream and seq to the intake. MISSING or MALFORMED: the url; DENIED: no site of ours. */
enum status stamp_hit(const struct visit *visit, const struct page *page, const struct sites *sites,
                      struct buf *scratch, struct stamped *stamped, struct why *why) MUST_CHECK;

#endif
