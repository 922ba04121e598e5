/* SPDX-License-Identifier: Apache-2.0
 * url: what a page's address tells us: its host, and the origin that CORS speaks of.
 *
 * Strict where the host is decided, so that no two readers see different hosts in one text: http or https
 * only, no user information, no backslash, space or control before the path, a port of at most 65535, a host
 * that hit_host_canonical takes. What follows the authority is the page's own affair, save that spaces and
 * controls are refused in it too. Pure, any thread. */
#ifndef COLLECTOR_URL_H
#define COLLECTOR_URL_H

#include "base/buf.h"

/* The canonical host of a URL (lower case, no port, no trailing dot), appended to *scratch. MALFORMED. */
enum status url_host(slice url, struct buf *scratch, slice *host) MUST_CHECK;
/* The same of an Origin header: scheme, host and port with nothing behind. */
enum status url_origin_host(slice origin, struct buf *scratch, slice *host) MUST_CHECK;

#endif
