/* SPDX-License-Identifier: Apache-2.0
 * peers: see the header. Open addressing with linear probing; removal closes the gap, so there are no marks
 * of what was. */
#include "base/http/peers.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/uuid.h"

struct place {
    uint64_t key;
    uint64_t count; /* 0: free */
};

struct peers {
    uint64_t seed;
    size_t mask; /* size - 1, size a power of two */
    size_t used;
    struct place places[];
};

struct peers *peers_new(size_t max_addresses)
{
    size_t size = 16;
    while (size < 2 * max_addresses)
        size *= 2;
    struct peers *peers = must_calloc(1, sizeof(*peers) + size * sizeof(peers->places[0]));
    peers->mask = size - 1;
    random_bytes(&peers->seed, sizeof(peers->seed));
    return peers;
}

void peers_free(struct peers **peers)
{
    free(*peers);
    *peers = NULL;
}

/* The /64, or for a v4-mapped address its last eight bytes: 0000:ffff and the address, which is no /64 in
 * use. */
static uint64_t make_key(ip_address address)
{
    uint64_t key;
    memcpy(&key, address.bytes + (ip_is_v4(address) ? 8 : 0), sizeof(key));
    return key;
}

static size_t find_home(const struct peers *peers, uint64_t key)
{
    return XXH3_64bits_withSeed(&key, sizeof(key), peers->seed) & peers->mask;
}

/* Where key is, or the free place where it would go. */
static size_t find_place(const struct peers *peers, uint64_t key)
{
    size_t at = find_home(peers, key);
    while (peers->places[at].count > 0 && peers->places[at].key != key)
        at = (at + 1) & peers->mask;
    return at;
}

int64_t peers_count(const struct peers *peers, ip_address address)
{
    return (int64_t)peers->places[find_place(peers, make_key(address))].count;
}

void peers_add(struct peers *peers, ip_address address)
{
    uint64_t key = make_key(address);
    struct place *place = &peers->places[find_place(peers, key)];
    if (place->count == 0) {
        place->key = key;
        peers->used++;
        MUST(2 * peers->used <= peers->mask + 1);
    }
    place->count++;
}

/* Moves later members of the run into the gap, unless they would come before their home. */
static void close_gap(struct peers *peers, size_t gap)
{
    for (size_t at = (gap + 1) & peers->mask; peers->places[at].count > 0; at = (at + 1) & peers->mask) {
        size_t home = find_home(peers, peers->places[at].key);
        if (((at - home) & peers->mask) < ((at - gap) & peers->mask))
            continue;
        peers->places[gap] = peers->places[at];
        peers->places[at].count = 0;
        gap = at;
    }
}

void peers_remove(struct peers *peers, ip_address address)
{
    size_t at = find_place(peers, make_key(address));
    MUST(peers->places[at].count > 0);
    if (--peers->places[at].count > 0)
        return;
    peers->used--;
    close_gap(peers, at);
}
