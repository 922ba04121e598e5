/* SPDX-License-Identifier: Apache-2.0
 * peers: how many connections each address holds: an IPv4 address, or the /64 of an IPv6 address (a
 * household).
 *
 * Asked at accept, told at close. A table of fixed size, filled to at most half, with a random seed so that
 * nobody can choose addresses that collide. Owner: the server. Loop thread only; allocates once. */
#ifndef BASE_HTTP_PEERS_H
#define BASE_HTTP_PEERS_H

#include "base/address.h"

struct peers;

/* max_addresses: that can be held at one time. */
struct peers *peers_new(size_t max_addresses);
void peers_free(struct peers **peers); /* accepts NULL */
int64_t peers_count(const struct peers *peers, ip_address address);
void peers_add(struct peers *peers, ip_address address);
/* Undoes one peers_add of this address. */
void peers_remove(struct peers *peers, ip_address address);

#endif
