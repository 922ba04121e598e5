/* SPDX-License-Identifier: Apache-2.0
 * numbering: see the header. */
#include "collector/numbering.h"

#include <stdlib.h>
#include <string.h>

struct numbering {
    uuid boot;
    int partitions;
    int64_t last[]; /* by partition; 0: none yet */
};

struct numbering *numbering_new(int partitions)
{
    MUST(partitions > 0);
    struct numbering *numbering =
        must_calloc(1, sizeof(*numbering) + (size_t)partitions * sizeof(numbering->last[0]));
    numbering->partitions = partitions;
    numbering_renew(numbering);
    return numbering;
}

void numbering_free(struct numbering **numbering)
{
    free(*numbering);
    *numbering = NULL;
}

void numbering_renew(struct numbering *numbering)
{
    random_bytes(numbering->boot.bytes, sizeof(numbering->boot.bytes));
    memset(numbering->last, 0, (size_t)numbering->partitions * sizeof(numbering->last[0]));
}

void numbering_fill(const struct numbering *numbering, int partition, struct hit *hit)
{
    MUST(partition >= 0 && partition < numbering->partitions);
    hit->has_stream = true;
    hit->stream = (struct hit_stream){.boot = numbering->boot, .partition = partition};
    hit->seq = numbering->last[partition] + 1;
}

void numbering_confirm(struct numbering *numbering, int partition)
{
    MUST(partition >= 0 && partition < numbering->partitions);
    numbering->last[partition]++;
}
