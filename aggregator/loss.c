/* SPDX-License-Identifier: Apache-2.0
 * loss: see the header. */
#include "aggregator/loss.h"

struct loss loss_find(int64_t next_offset, const struct loss_log *log)
{
    struct loss loss = {.kind = LOSS_NONE, .from = next_offset, .to = next_offset};
    if (next_offset < 0 || log->end < 0)
        return loss;
    if (next_offset < log->first)
        return (struct loss){LOSS_BEGINNING, next_offset, log->first, log->first - next_offset};
    if (next_offset > log->end)
        return (struct loss){LOSS_END, next_offset, log->first, -1};
    return loss;
}

struct loss loss_find_elsewhere(int64_t next_offset, const struct loss_log *log)
{
    return (struct loss){LOSS_CLUSTER, next_offset > 0 ? next_offset : 0, log->first, -1};
}

void loss_write(const struct loss *loss, struct buf *out)
{
    long long from = loss->from;
    long long to = loss->to;
    switch (loss->kind) {
    case LOSS_NONE:
        break;
    case LOSS_BEGINNING:
        buf_add_format(
            out,
            "%lld records are gone that were not stored, offsets %lld to %lld: the log begins at %lld now",
            (long long)loss->count, from, to - 1, to);
        break;
    case LOSS_END:
        buf_add_format(
            out,
            "the log ends before offset %lld, up to which it was stored: the topic was made anew or cut, and"
            " how many records are gone cannot be known; what there is begins at %lld",
            from, to);
        break;
    case LOSS_CLUSTER:
        buf_add_format(
            out,
            "what another cluster held from offset %lld on was not stored, and how many records that"
            " is cannot be known; this one's log begins at %lld",
            from, to);
        break;
    }
}
