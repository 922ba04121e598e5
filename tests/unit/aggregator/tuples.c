/* SPDX-License-Identifier: Apache-2.0
 * tuples: see the header. */
#include "tests/unit/aggregator/tuples.h"

#include <string.h>

#include "aggregator/row.h"
#include "base/json.h"

static slice take(slice *rest, size_t len)
{
    MUST(len <= rest->len);
    slice taken = slice_head(*rest, len);
    *rest = slice_from(*rest, len);
    return taken;
}

int64_t tuples_number(slice big_endian)
{
    MUST(big_endian.len >= 1 && big_endian.len <= 8);
    uint64_t value = (signed char)big_endian.data[0] < 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < big_endian.len; i++)
        value = value << 8 | (unsigned char)big_endian.data[i];
    return (int64_t)value;
}

/* False at the end. */
static bool begin(slice *rest, int field_count)
{
    if (rest->len == 0)
        return false;
    MUST(tuples_number(take(rest, 2)) == field_count);
    return true;
}

slice tuples_field(slice *rest)
{
    int64_t len = tuples_number(take(rest, 4));
    return len < 0 ? (slice){NULL, 0} : take(rest, (size_t)len);
}

static int64_t take_number(slice *rest, size_t size)
{
    slice bytes = tuples_field(rest);
    MUST(bytes.len == size);
    return tuples_number(bytes);
}

static wall_ms take_time(slice *rest)
{
    return row_time(take_number(rest, 8));
}

static ip_address take_ip(slice *rest)
{
    ip_address ip;
    MUST(ip_read(tuples_field(rest), &ip) == STATUS_OK);
    return ip;
}

static void take_topic(slice *rest, slice topic)
{
    MUST(slice_equals(tuples_field(rest), topic));
}

bool tuples_next_session(slice *rest, int64_t gap_ms, struct session *session)
{
    if (!begin(rest, 13))
        return false;
    session->start = take_time(rest);
    wall_ms end = take_time(rest);
    session->ip = take_ip(rest);
    session->host = tuples_field(rest);
    session->events = take_number(rest, 8);
    session->last = take_time(rest);
    MUST(end.ms == session->last.ms + gap_ms);
    session->bot_events = take_number(rest, 8);
    session->entry_url = tuples_field(rest);
    session->referrer = tuples_field(rest);
    session->exit_url = tuples_field(rest);
    session->country = tuples_field(rest);
    session->state = tuples_field(rest);
    session->city = tuples_field(rest);
    return true;
}

static void take_session_part(slice *rest, struct session *session)
{
    session->ip = take_ip(rest);
    session->host = tuples_field(rest);
    session->start = take_time(rest);
    session->last = take_time(rest);
    session->events = take_number(rest, 8);
    session->bot_events = take_number(rest, 8);
    session->entry_url = tuples_field(rest);
    session->referrer = tuples_field(rest);
    session->country = tuples_field(rest);
    session->state = tuples_field(rest);
    session->city = tuples_field(rest);
    session->exit_url = tuples_field(rest);
}

/* ---- Pages ---- */

static bool begin_page(struct tuples_changes *changes, slice topic)
{
    slice *rest = &changes->rest;
    struct json_value page;
    if (!begin(rest, 5))
        return false;
    take_topic(rest, topic);
    changes->next.partition = (int)take_number(rest, 4);
    changes->next.version = take_number(rest, 8);
    changes->next.ordinal = (int32_t)take_number(rest, 4);
    MUST(json_read(tuples_field(rest), &page, NULL) == STATUS_OK && page.kind == JSON_ARRAY);
    changes->page = page.raw;
    return true;
}

/* null: empty. The texts of tests need no escapes. */
static slice next_text(slice *array)
{
    struct json_value value;
    MUST(json_next(array, &value) && !value.has_escapes);
    if (value.kind == JSON_NULL)
        return (slice){NULL, 0};
    MUST(value.kind == JSON_TEXT && value.raw.len > 0);
    return value.raw;
}

static int64_t next_number(slice *array)
{
    struct json_value value;
    int64_t number;
    MUST(json_next(array, &value) && json_int64(&value, &number) == STATUS_OK);
    return number;
}

static void read_change(slice array, struct session *session)
{
    struct json_value more;
    MUST(ip_read(next_text(&array), &session->ip) == STATUS_OK);
    session->host = next_text(&array);
    session->start.ms = next_number(&array);
    session->last.ms = next_number(&array);
    session->events = next_number(&array);
    session->bot_events = next_number(&array);
    session->entry_url = next_text(&array);
    session->referrer = next_text(&array);
    session->country = next_text(&array);
    session->state = next_text(&array);
    session->city = next_text(&array);
    session->exit_url = next_text(&array);
    MUST(!json_next(&array, &more));
}

bool tuples_next_change(struct tuples_changes *changes, slice topic, struct tuples_change *change)
{
    struct json_value array;
    while (changes->page.len == 0 || !json_next(&changes->page, &array))
        if (!begin_page(changes, topic))
            return false;
    read_change(array.raw, &changes->next.value);
    *change = changes->next;
    changes->next.ordinal++;
    return true;
}

bool tuples_next_stray(slice *rest, slice topic, struct tuples_stray *stray)
{
    if (!begin(rest, 2 + ROW_SESSION_PART_FIELDS))
        return false;
    take_topic(rest, topic);
    stray->home = (int)take_number(rest, 4);
    take_session_part(rest, &stray->value);
    return true;
}

bool tuples_next_sum(slice *rest, struct tuples_sum *sum)
{
    if (!begin(rest, 11))
        return false;
    sum->kind = tuples_field(rest);
    sum->at = take_time(rest);
    sum->host = tuples_field(rest);
    sum->name = tuples_field(rest);
    sum->country = tuples_field(rest);
    sum->state = tuples_field(rest);
    sum->city = tuples_field(rest);
    slice bot = tuples_field(rest);
    sum->bot = bot.len > 0 ? bot.data[0] : -1;
    sum->source = tuples_field(rest);
    sum->counted = take_number(rest, 1) != 0;
    sum->hits = take_number(rest, 8);
    return true;
}

bool tuples_next_hit(slice *rest, struct tuples_place *place)
{
    enum { COLUMNS = 19 };
    if (!begin(rest, COLUMNS))
        return false;
    for (int i = 0; i < COLUMNS - 2; i++)
        tuples_field(rest);
    place->partition = (int)take_number(rest, 4);
    place->offset = take_number(rest, 8);
    return true;
}
