/* SPDX-License-Identifier: Apache-2.0
 * client: the visitor's address, from the peer and from what trusted proxies say about it.
 *
 * The peer, unless the peer is trusted; then X-Forwarded-For from the right: trusted hops are passed over,
 * the first other one is the visitor. Nothing left of that hop is even looked at, for the visitor may have
 * written it. When every hop is trusted, the leftmost is the visitor (somebody inside). A hop that is no
 * address, met before the visitor is found, makes the chain worthless: the peer it is. A peer on a unix
 * socket is trusted and has no address of its own: without a usable chain there is none (MISSING).
 * Hops are written 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:4711.
 * Pure, any thread. Borrows the ranges. */
#ifndef COLLECTOR_CLIENT_H
#define COLLECTOR_CLIENT_H

#include "base/address.h"

struct client_trust {
    const ip_range *ranges;
    size_t count;
};

/* forwarded: all X-Forwarded-For values, joined by commas; may be empty. */
enum status client_find(const struct client_trust *trust, const ip_address *peer, slice forwarded,
                        ip_address *client) MUST_CHECK;
/* Reads a list of CIDR ranges ("10.0.0.0/8, ::1") into at most max ranges; *why names the setting. */
enum status client_trust_read(slice list, ip_range *ranges, size_t max, size_t *count,
                              struct why *why) MUST_CHECK;

#endif
