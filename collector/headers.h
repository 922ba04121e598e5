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

/* By length of the name, as they are looked for; those before HEADER_USER_AGENT are kept. */
enum header {
    HEADER_DNT,
    HEADER_SEC_GPC,
    HEADER_SEC_CH_UA,
    HEADER_SEC_PURPOSE,
    HEADER_SEC_FETCH_DEST,
    HEADER_SEC_FETCH_MODE,
    HEADER_SEC_FETCH_SITE,
    HEADER_ACCEPT_LANGUAGE,
    HEADER_SEC_CH_UA_MODEL,
    HEADER_SEC_CH_UA_MOBILE,
    HEADER_SEC_CH_UA_PLATFORM,
    HEADER_USER_AGENT,
    HEADER_COUNT
};

struct headers {
    slice values[HEADER_COUNT]; /* empty: not there */
};

/* One pass over the fields of a request; borrows them. */
void headers_read(const struct http_request *request, struct headers *headers);
/* Appends the object, at most HIT_MAX_HEADERS bytes: headers that do not fit are left out. */
void headers_write(const struct headers *headers, struct buf *out);
/* HIT_FLAG_PREFETCH, HIT_FLAG_PRIVACY. */
uint32_t headers_flags(const struct headers *headers);

#endif
