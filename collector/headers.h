/* SPDX-License-Identifier: Apache-2.0
 * headers: the few request headers that are kept with a hit, as one JSON object, and what they signal.
 *
 * Kept are Accept-Language, DNT and what browsers say of the request in Sec-CH-UA…, Sec-Fetch-…, Sec-GPC and
 * Sec-Purpose; never a cookie, an authorization, or anything that is not in the table. Of a header that
 * stands twice the first is kept. Pure, any thread. */
#ifndef COLLECTOR_HEADERS_H
#define COLLECTOR_HEADERS_H

#include "base/buf.h"

struct http_request;

/* Appends the object, at most HIT_MAX_HEADERS bytes: headers that do not fit are left out. */
void headers_write(const struct http_request *request, struct buf *out);
/* HIT_FLAG_PREFETCH, HIT_FLAG_PRIVACY. */
uint32_t headers_flags(const struct http_request *request);

#endif
