/* SPDX-License-Identifier: Apache-2.0
 * beacon: see the header. */
#include "collector/beacon.h"

enum beacon_kind beacon_kind(slice content_type)
{
    slice type = slice_trim(slice_head(content_type, slice_find(content_type, ';')));
    if (type.len == 0 || slice_equals_nocase(type, SLICE("text/plain")) ||
        slice_equals_nocase(type, SLICE("application/json")))
        return BEACON_JSON;
    if (slice_equals_nocase(type, SLICE("application/x-www-form-urlencoded")))
        return BEACON_FORM;
    return BEACON_UNKNOWN;
}

void beacon_name_index(struct why *why, size_t index)
{
    struct why bare = *why;
    (void)why_say(why, STATUS_OK, "hits[%zu]: %.400s", index, bare.text);
}

static enum status read_array(const struct json_value *array, struct buf *scratch, struct beacon *beacon,
                              struct why *why)
{
    slice rest = array->raw;
    struct json_value item;
    beacon->is_array = true;
    beacon->count = 0;
    while (json_next(&rest, &item)) {
        if (beacon->count == BEACON_MAX_HITS)
            return why_say(why, STATUS_TOO_BIG, "more than %d hits in one request", BEACON_MAX_HITS);
        enum status status = page_read_json(&item, scratch, &beacon->pages[beacon->count], why);
        if (status != STATUS_OK) {
            beacon_name_index(why, beacon->count);
            return status;
        }
        beacon->count++;
    }
    return beacon->count > 0 ? STATUS_OK : why_say(why, STATUS_MISSING, "the array holds no hit");
}

static enum status read_json(slice body, struct buf *scratch, struct beacon *beacon, struct why *why)
{
    struct json_value value;
    size_t where = 0;
    enum status status = json_read(body, &value, &where);
    if (status == STATUS_TOO_BIG)
        return why_say(why, status, "the JSON is too deep or has too many members, at byte %zu", where);
    if (status != STATUS_OK)
        return why_say(why, status, "the body is no JSON that can be taken: see byte %zu", where);
    if (value.kind == JSON_ARRAY)
        return read_array(&value, scratch, beacon, why);
    return page_read_json(&value, scratch, &beacon->pages[0], why);
}

enum status beacon_read(enum beacon_kind kind, slice body, struct buf *scratch, struct beacon *beacon,
                        struct why *why)
{
    MUST(kind != BEACON_UNKNOWN);
    beacon->is_array = false;
    beacon->count = 1;
    if (kind == BEACON_FORM)
        return page_read_form(body, scratch, &beacon->pages[0], why);
    return read_json(body, scratch, beacon, why);
}
