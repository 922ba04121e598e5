/* SPDX-License-Identifier: Apache-2.0
 * addresses: visitors' addresses in four bytes each: IPv4 as it is, IPv6 as the number of a place that holds
 * it.
 *
 * What keeps an entry of the session store at one cache line: an IPv6 visitor pays 16 bytes beside it.
 * Addresses are not shared; each that was packed is given back once. Owned by one session store; loop thread
 * only. */
#ifndef AGGREGATOR_ADDRESSES_H
#define AGGREGATOR_ADDRESSES_H

#include "base/address.h"

struct packed_address {
    uint32_t value;
    bool is_wide; /* value is the number of a place */
};

struct addresses { /* zeroed: empty */
    ip_address *wide;
    uint32_t used;
    uint32_t cap;
    uint32_t first_free; /* the next one's number stands in the free place; 0: none, as place 0 is not used */
};

void addresses_fini(struct addresses *addresses);
struct packed_address addresses_pack(struct addresses *addresses, ip_address ip);
ip_address addresses_read(const struct addresses *addresses, struct packed_address packed);
void addresses_remove(struct addresses *addresses, struct packed_address packed);

#endif
