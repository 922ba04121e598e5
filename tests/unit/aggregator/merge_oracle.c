/* SPDX-License-Identifier: Apache-2.0
 * merge_oracle: see the header. */
#include "tests/unit/aggregator/merge_oracle.h"

#include <stdlib.h>

#include "tests/lib/sessions_model.h"

/* Whether the hit at `a` is a better first (last) one than that at `b`. */
static bool is_earlier(const struct session *a, const struct session *b)
{
    if (a->start.ms != b->start.ms)
        return a->start.ms < b->start.ms;
    const slice of_a[] = {a->entry_url, a->referrer, a->country, a->state, a->city};
    const slice of_b[] = {b->entry_url, b->referrer, b->country, b->state, b->city};
    for (size_t i = 0; i < 5; i++)
        if (!slice_equals(of_a[i], of_b[i]))
            return slice_compare(of_a[i], of_b[i]) < 0;
    return false;
}

static bool is_later(const struct session *a, const struct session *b)
{
    return a->start.ms != b->start.ms ? a->start.ms > b->start.ms
                                      : slice_compare(a->entry_url, b->entry_url) > 0;
}

/* The session of hits that stand next to each other. */
static struct session summarize(const struct session *hits, size_t count)
{
    const struct session *first = &hits[0];
    const struct session *last = &hits[0];
    struct session whole = {.ip = hits[0].ip, .host = hits[0].host, .events = (int64_t)count};
    for (size_t i = 0; i < count; i++) {
        first = is_earlier(&hits[i], first) ? &hits[i] : first;
        last = is_later(&hits[i], last) ? &hits[i] : last;
        whole.bot_events += hits[i].bot_events;
    }
    whole.start = first->start;
    whole.last = last->start;
    whole.entry_url = first->entry_url;
    whole.referrer = first->referrer;
    whole.country = first->country;
    whole.state = first->state;
    whole.city = first->city;
    whole.exit_url = last->entry_url;
    return whole;
}

size_t oracle_list(struct session *hits, size_t hit_count, int64_t gap_ms, struct session *out)
{
    size_t count = 0;
    qsort(hits, hit_count, sizeof hits[0], session_order);
    for (size_t from = 0, to; from < hit_count; from = to) {
        for (to = from + 1; to < hit_count; to++)
            if (!session_is_same_key(&hits[to], &hits[from]) ||
                hits[to].start.ms - hits[to - 1].start.ms > gap_ms)
                break;
        out[count++] = summarize(&hits[from], to - from);
    }
    return count;
}
