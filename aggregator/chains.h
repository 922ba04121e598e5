/* SPDX-License-Identifier: Apache-2.0
 * chains: the heads of a hash table that grows by one chain at a time (linear hashing), so that a table of
 * millions is never made anew in one go.
 *
 * The members are the owner's: numbers from 1, each with the number of the next one in its chain; 0 ends it.
 * Before the owner adds one he compares count with his members, calls chains_split when there are as many,
 * and links anew what it gives: the members of one chain. Owned by one table; any thread. */
#ifndef AGGREGATOR_CHAINS_H
#define AGGREGATOR_CHAINS_H

#include <stddef.h>
#include <stdint.h>

struct chains {
    uint32_t *heads;
    size_t count;
    size_t cap; /* a power of two, at most twice count */
};

void chains_init(struct chains *chains);
void chains_fini(struct chains *chains);
/* Where the number of the first member stands, 0 for none; good until the next split. */
uint32_t *chains_at(const struct chains *chains, uint64_t hash);
/* One chain more. The one that it is split from is empty now: gives its first member, 0 when it had none; it
 * and all that follow it are to be linked anew. */
uint32_t chains_split(struct chains *chains);

#endif
