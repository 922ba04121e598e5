/* SPDX-License-Identifier: Apache-2.0
 * addresses: see the header. */
#include "aggregator/addresses.h"

#include <stdlib.h>
#include <string.h>

enum { V4_AT = 12, START_PLACES = 16 };

void addresses_fini(struct addresses *addresses)
{
    free(addresses->wide);
    *addresses = (struct addresses){.wide = NULL};
}

static uint32_t take_place(struct addresses *addresses)
{
    uint32_t place = addresses->first_free;
    if (place != 0) {
        memcpy(&addresses->first_free, &addresses->wide[place], sizeof addresses->first_free);
        return place;
    }
    if (addresses->used == addresses->cap) {
        MUST(addresses->cap <= UINT32_MAX / 2);
        addresses->cap = addresses->cap == 0 ? START_PLACES : 2 * addresses->cap;
        addresses->wide = must_realloc(addresses->wide, addresses->cap * sizeof *addresses->wide);
    }
    if (addresses->used == 0)
        addresses->used = 1;
    return addresses->used++;
}

struct packed_address addresses_pack(struct addresses *addresses, ip_address ip)
{
    struct packed_address packed = {.is_wide = !ip_is_v4(ip)};
    if (!packed.is_wide) {
        memcpy(&packed.value, ip.bytes + V4_AT, sizeof packed.value);
        return packed;
    }
    packed.value = take_place(addresses);
    addresses->wide[packed.value] = ip;
    return packed;
}

ip_address addresses_read(const struct addresses *addresses, struct packed_address packed)
{
    if (packed.is_wide)
        return addresses->wide[packed.value];
    ip_address ip = {.bytes = {[10] = 0xff, [11] = 0xff}};
    memcpy(ip.bytes + V4_AT, &packed.value, sizeof packed.value);
    return ip;
}

void addresses_remove(struct addresses *addresses, struct packed_address packed)
{
    if (!packed.is_wide)
        return;
    memcpy(&addresses->wide[packed.value], &addresses->first_free, sizeof addresses->first_free);
    addresses->first_free = packed.value;
}
