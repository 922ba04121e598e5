/* SPDX-License-Identifier: Apache-2.0
 * address: IP addresses as values, their canonical text, and CIDR ranges.
 *
 * All addresses are 16 bytes; IPv4 is held as v4-mapped (::ffff:a.b.c.d) and written as plain IPv4, so that
 * one visitor has one text whatever the listener. Zones (%eth0) are refused. Pure, any thread. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/slice.h"

typedef struct {
    uint8_t bytes[16];
} ip_address;

typedef struct {
    ip_address base;
    uint8_t prefix_bits; /* of 128; an IPv4 /8 is 104 */
} ip_range;

enum { IP_TEXT_MAX = 45 };

/* Strict: IPv4 dotted decimal without leading zeros, IPv6 per RFC 4291, no zone, no port, no brackets. */
enum status ip_read(slice text, ip_address *ip) MUST_CHECK;
/* Canonical text (RFC 5952; v4-mapped as plain IPv4), no NUL; returns its length, at most IP_TEXT_MAX. */
size_t ip_write(ip_address ip, char out[IP_TEXT_MAX]);
bool ip_is_v4(ip_address ip);
bool ip_equals(ip_address a, ip_address b);
/* Not a public unicast address: private, loopback, link-local, shared (100.64/10), documentation, multicast,
 * reserved (IANA special-purpose registries), or the 6to4 or NAT64 form of such a one. It never leaves the machine. */
bool ip_is_private(ip_address ip);

/* "10.0.0.0/8", "::1", "2001:db8::/32"; bits beyond the prefix must be zero. */
enum status ip_range_read(slice text, ip_range *range) MUST_CHECK;
bool ip_range_has(const ip_range *range, ip_address ip);

#endif
