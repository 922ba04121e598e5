/* SPDX-License-Identifier: Apache-2.0
 * mention: whether any bytes name an IP address, in whatever spelling.
 *
 * erase -> mention_has, of what stands in rejected_hits: that may be broken, cut or no JSON at all, so it is
 * not parsed. The longest runs of characters that addresses are made of are read as addresses: IPv4 with or
 * without a port or leading zeros, IPv6 compressed or not, in either case, v4-mapped in both forms, and with
 * JSON's escapes in it. A longer run that only holds the address (11.2.3.45 for 1.2.3.4) does not name it;
 * a form of it that is not text (percent or base64 encoding) is not seen. Pure, any thread. */
#ifndef AGGREGATOR_MENTION_H
#define AGGREGATOR_MENTION_H

#include "base/address.h"

bool mention_has(slice bytes, ip_address ip);

#endif
