/* SPDX-License-Identifier: Apache-2.0
 * reject_rate: see the header. One bit a message, in a ring. */
#include "aggregator/reject_rate.h"

static void add(struct reject_rate *rate, bool is_rejected)
{
    uint64_t *word = &rate->is_rejected[rate->at / 64];
    uint64_t bit = UINT64_C(1) << (rate->at % 64);
    if (rate->seen < REJECT_RATE_WINDOW)
        rate->seen++;
    else if (*word & bit)
        rate->rejected--;
    *word = is_rejected ? *word | bit : *word & ~bit;
    rate->rejected += is_rejected;
    rate->at = (rate->at + 1) % REJECT_RATE_WINDOW;
}

void reject_rate_note(struct reject_rate *rate, int64_t offset, bool is_rejected)
{
    if (offset < rate->next_offset)
        return;
    rate->next_offset = offset + 1;
    add(rate, is_rejected);
}

/* Its own bit is hard to find again; one reject more is what matters. */
void reject_rate_note_refused(struct reject_rate *rate, int64_t offset)
{
    if (offset >= rate->next_offset)
        rate->next_offset = offset + 1;
    add(rate, true);
}

bool reject_rate_is_too_high(const struct reject_rate *rate)
{
    return rate->seen >= REJECT_RATE_MIN_SEEN && rate->rejected * 100 > rate->seen * REJECT_RATE_MAX_PERCENT;
}

void reject_rate_reset(struct reject_rate *rate, int64_t next_offset)
{
    *rate = (struct reject_rate){.next_offset = next_offset};
}
