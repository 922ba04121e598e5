/* SPDX-License-Identifier: Apache-2.0
 * received: see the header. */
#include "aggregator/received.h"

#include <stdlib.h>
#include <string.h>

void received_fini(struct received *set)
{
    free(set->ranges);
    *set = (struct received){.count = 0};
}

/* The number of ranges that begin at or before seq. */
static size_t count_up_to(const struct received *set, int64_t seq)
{
    size_t low = 0;
    size_t high = set->count;
    if (high > 0 && set->ranges[high - 1].from <= seq) /* nearly always: the newest number */
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].from <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool received_has(const struct received *set, int64_t seq)
{
    size_t position = count_up_to(set, seq);
    return position > 0 && seq <= set->ranges[position - 1].to;
}

static void insert_range(struct received *set, size_t position, struct received_range range)
{
    if (set->count == set->cap) {
        set->cap = set->cap == 0 ? 2 : 2 * set->cap;
        set->ranges = must_realloc(set->ranges, set->cap * sizeof *set->ranges);
    }
    memmove(&set->ranges[position + 1], &set->ranges[position],
            (set->count - position) * sizeof *set->ranges);
    set->ranges[position] = range;
    set->count++;
}

static void remove_ranges(struct received *set, size_t position, size_t count)
{
    set->count -= count;
    memmove(&set->ranges[position], &set->ranges[position + count],
            (set->count - position) * sizeof *set->ranges);
}

enum status received_add(struct received *set, int64_t seq)
{
    MUST(seq >= 1 && seq <= RECEIVED_MAX_SEQ);
    size_t position = count_up_to(set, seq);
    struct received_range *before = position > 0 ? &set->ranges[position - 1] : NULL;
    struct received_range *after = position < set->count ? &set->ranges[position] : NULL;
    if (before != NULL && seq <= before->to)
        return STATUS_CONFLICT;
    bool ends_before = before != NULL && before->to == seq - 1;
    bool begins_after = after != NULL && after->from == seq + 1;
    if (ends_before && begins_after) {
        before->to = after->to;
        remove_ranges(set, position, 1);
    } else if (ends_before) {
        before->to = seq;
    } else if (begins_after) {
        after->from = seq;
    } else if (set->count == RECEIVED_MAX_RANGES) {
        return STATUS_FULL;
    } else {
        insert_range(set, position, (struct received_range){seq, seq});
    }
    return STATUS_OK;
}

/* Those from `first` on that begin before `end` overlap the range or are adjacent to it: one takes their
 * place. */
static void join_ranges(struct received *set, size_t first, size_t end, struct received_range range)
{
    struct received_range *whole = &set->ranges[first];
    whole->from = whole->from < range.from ? whole->from : range.from;
    int64_t to = set->ranges[end - 1].to;
    whole->to = to > range.to ? to : range.to;
    remove_ranges(set, first + 1, end - first - 1);
}

enum status received_add_range(struct received *set, struct received_range range)
{
    MUST(range.from >= 1 && range.from <= range.to && range.to <= RECEIVED_MAX_SEQ);
    size_t first = count_up_to(set, range.from);
    if (first > 0 && set->ranges[first - 1].to >= range.from - 1)
        first--;
    if (first < set->count && set->ranges[first].from <= range.from && range.to <= set->ranges[first].to)
        return STATUS_CONFLICT;
    size_t end = count_up_to(set, range.to + 1);
    if (first < end)
        join_ranges(set, first, end, range);
    else if (set->count == RECEIVED_MAX_RANGES)
        return STATUS_FULL;
    else
        insert_range(set, first, range);
    return STATUS_OK;
}

void received_write(const struct received *set, struct buf *out)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < set->count; i++) {
        buf_add(out, i == 0 ? SLICE("[") : SLICE(",["));
        buf_add_int64(out, set->ranges[i].from);
        buf_add_char(out, ',');
        buf_add_int64(out, set->ranges[i].to + 1);
        buf_add_char(out, ')');
    }
    buf_add_char(out, '}');
}

/* ---- Reading ---- */

static bool take(slice *rest, slice word)
{
    if (!slice_starts_with(*rest, word))
        return false;
    *rest = slice_from(*rest, word.len);
    return true;
}

/* A number of at least `min` as Postgres writes it. */
static bool take_number(slice *rest, int64_t min, int64_t *number)
{
    size_t len = 0;
    while (len < rest->len && rest->data[len] >= '0' && rest->data[len] <= '9')
        len++;
    if (len == 0 || rest->data[0] == '0')
        return false;
    if (slice_to_int64(slice_head(*rest, len), min, INT64_MAX, number) != STATUS_OK)
        return false;
    *rest = slice_from(*rest, len);
    return true;
}

/* [from,end) with from >= min. */
static bool take_range(slice *rest, int64_t min, struct received_range *range)
{
    int64_t end;
    if (!take(rest, SLICE("[")) || !take_number(rest, min, &range->from) || !take(rest, SLICE(",")))
        return false;
    if (!take_number(rest, range->from + 1, &end) || !take(rest, SLICE(")")))
        return false;
    range->to = end - 1;
    return true;
}

/* What stands between the braces. */
static enum status read_ranges(slice rest, struct received *set)
{
    int64_t min = 1;
    while (rest.len > 0) {
        struct received_range range;
        if (set->count > 0 && !take(&rest, SLICE(",")))
            return STATUS_MALFORMED;
        if (min > RECEIVED_MAX_SEQ || !take_range(&rest, min, &range))
            return STATUS_MALFORMED;
        if (set->count == RECEIVED_MAX_RANGES)
            return STATUS_FULL;
        insert_range(set, set->count, range);
        min = range.to < RECEIVED_MAX_SEQ ? range.to + 2 : INT64_MAX; /* one that is adjacent is not two */
    }
    return STATUS_OK;
}

enum status received_read(slice text, struct received *set)
{
    if (text.len < 2 || text.data[0] != '{' || text.data[text.len - 1] != '}')
        return STATUS_MALFORMED;
    struct received read = {.count = 0};
    enum status status = read_ranges((slice){text.data + 1, text.len - 2}, &read);
    if (status == STATUS_OK)
        *set = read;
    else
        received_fini(&read);
    return status;
}
