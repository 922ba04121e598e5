/* SPDX-License-Identifier: Apache-2.0
 * chains: see the header. Chain i of the upper half of cap is split from chain i - cap / 2; until it is there,
 * that one has its members. */
#include "aggregator/chains.h"

#include <stdlib.h>

#include "base/status.h"

enum { START_CHAINS = 64 };

void chains_init(struct chains *chains)
{
    *chains = (struct chains){.count = START_CHAINS, .cap = START_CHAINS};
    chains->heads = must_calloc(START_CHAINS, sizeof *chains->heads);
}

void chains_fini(struct chains *chains)
{
    free(chains->heads);
}

uint32_t *chains_at(const struct chains *chains, uint64_t hash)
{
    size_t at = (size_t)hash & (chains->cap - 1);
    return &chains->heads[at < chains->count ? at : at - chains->cap / 2];
}

uint32_t chains_split(struct chains *chains)
{
    if (chains->count == chains->cap) {
        chains->cap *= 2;
        chains->heads = must_realloc(chains->heads, chains->cap * sizeof *chains->heads);
    }
    uint32_t *from = &chains->heads[chains->count - chains->cap / 2];
    uint32_t first = *from;
    *from = 0;
    chains->heads[chains->count++] = 0;
    return first;
}
