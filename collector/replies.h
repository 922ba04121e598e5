/* SPDX-License-Identifier: Apache-2.0
 * replies: everything the collector says to those who send hits, and one table of statuses.
 *
 * All replies carry Cache-Control: no-store, Cross-Origin-Resource-Policy: cross-origin and, when the Origin
 * is a site of ours, its CORS fields, so that a page can read even a refusal. Whether it is one is found out
 * once a request and kept in its handler_data[1]. The request is answered and gone when these return. Borrows
 * the sites. Loop thread only. */
#ifndef COLLECTOR_REPLIES_H
#define COLLECTOR_REPLIES_H

#include "base/http/http.h"
#include "collector/sites.h"
#include "proto/hit.h"

struct replies {
    const struct sites *sites; /* replaced on SIGHUP */
};

/* The hits are taken: 204, or the image for a pixel. */
void replies_taken(const struct replies *replies, struct http_request *request, enum hit_source source);
/* 4xx or 503 (with Retry-After) by the status, with one line of reason. */
void replies_refuse(const struct replies *replies, struct http_request *request, enum status status,
                    const char *reason);
/* 415. */
void replies_refuse_type(const struct replies *replies, struct http_request *request);
/* To OPTIONS: 204, with leave when the Origin is a site of ours. */
void replies_preflight(const struct replies *replies, struct http_request *request);
/* Does the Origin field, where there is one, name a site of ours? "null" (a page that hides where it is, by
 * its referrer policy or as a sandboxed frame) counts as no Origin. */
bool replies_origin_is_ours(const struct replies *replies, struct http_request *request);

#endif
