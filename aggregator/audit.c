/* SPDX-License-Identifier: Apache-2.0
 * audit: see the header. */
#include "aggregator/audit.h"

void audit_fini(struct audit *audit)
{
    received_fini(&audit->skipped);
}

bool audit_note_end(struct audit *audit, int64_t last, wall_ms written)
{
    MUST(last >= 0 && last <= RECEIVED_MAX_SEQ);
    if (audit->is_ended && last <= audit->last)
        return false;
    audit->is_ended = true;
    audit->last = last;
    audit->ended = written;
    return true;
}

bool audit_note_skip(struct audit *audit, struct received_range skip)
{
    return received_add_range(&audit->skipped, skip) == STATUS_OK;
}

/* Where the set goes on at or after the number: the number itself, or the next one that is in; *at walks
 * along. past: there is none below. */
static int64_t next_in(const struct received *set, size_t *at, int64_t number, int64_t past)
{
    while (*at < set->count && set->ranges[*at].to < number)
        (*at)++;
    if (*at == set->count || set->ranges[*at].from >= past)
        return past;
    return set->ranges[*at].from > number ? set->ranges[*at].from : number;
}

/* The end of the range that holds the number, which next_in has found; else the number before it. */
static int64_t end_of(const struct received *set, size_t at, int64_t number)
{
    bool holds = at < set->count && set->ranges[at].from <= number;
    return holds ? set->ranges[at].to : number - 1;
}

struct audit_missing audit_find_missing(const struct audit *audit, const struct received *received)
{
    struct audit_missing missing = {.count = 0};
    const int64_t past = audit->is_ended ? audit->last + 1 : 1;
    size_t at_received = 0, at_skipped = 0;
    int64_t number = 1; /* all before are accounted for */
    while (number < past) {
        int64_t by_received = next_in(received, &at_received, number, past);
        int64_t by_skipped = next_in(&audit->skipped, &at_skipped, number, past);
        int64_t next = by_received < by_skipped ? by_received : by_skipped;
        if (next > number && missing.count == 0)
            missing.first = (struct received_range){number, next - 1};
        missing.count += next - number;
        int64_t received_to = end_of(received, at_received, next);
        int64_t skipped_to = end_of(&audit->skipped, at_skipped, next);
        number = (received_to > skipped_to ? received_to : skipped_to) + 1;
    }
    return missing;
}
