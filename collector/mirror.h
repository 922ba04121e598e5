/* SPDX-License-Identifier: Apache-2.0
 * mirror: a request that a web server mirrored to us (nginx `mirror`), as a page and its visitor's address.
 *
 * Only on the mirror listener: a unix socket that the web server alone can reach, so its words are trusted:
 * X-Original-URI (the path and query as the visitor sent them), X-Original-Method, X-Real-IP,
 * X-Forwarded-Proto (http when absent), Host, X-Request-ID (the hit's id, so that the second mirror of an
 * internal redirect is the same hit). Page views are GET: every other method, HEAD too, is answered and
 * passed over, for a form that is posted or a probe is no page that somebody saw. Status, size and time are
 * not known here: the mirror fires before the page is answered. Pure, any thread. */
#ifndef COLLECTOR_MIRROR_H
#define COLLECTOR_MIRROR_H

#include "base/address.h"
#include "collector/page.h"

struct http_request;

bool mirror_is_page_view(const struct http_request *request);
/* Slices borrow from the request or from *scratch (HIT_MAX_URL). */
enum status mirror_read(const struct http_request *request, struct buf *scratch, struct page *page,
                        ip_address *client, struct why *why) MUST_CHECK;

#endif
