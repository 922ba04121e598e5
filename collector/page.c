/* SPDX-License-Identifier: Apache-2.0
 * page: see the header. */
#include "collector/page.h"

#include "base/text.h"
#include "proto/hit.h"

static const struct field {
    slice name;
    size_t offset;    /* of its slice in struct page; the age has none */
    size_t max_bytes; /* 0: cut later, not refused */
} fields[] = {
    {SLICE("url"), offsetof(struct page, url), HIT_MAX_URL},
    {SLICE("referrer"), offsetof(struct page, referrer), HIT_MAX_REFERRER},
    {SLICE("title"), offsetof(struct page, title), 0},
    {SLICE("language"), offsetof(struct page, language), 0},
    {SLICE("screen"), offsetof(struct page, screen), 0},
    {SLICE("id"), offsetof(struct page, id), PAGE_MAX_ID},
    {SLICE("age"), SIZE_MAX, 0},
};
enum { FIELD_COUNT = sizeof(fields) / sizeof(fields[0]) };

static const struct field *find_field(slice name)
{
    for (const struct field *field = fields; field < fields + FIELD_COUNT; field++)
        if (slice_equals(field->name, name))
            return field;
    return NULL;
}

static bool is_age(const struct field *field)
{
    return field->offset == SIZE_MAX;
}

static enum status set_text(const struct field *field, slice text, struct page *page, struct why *why)
{
    if (field->max_bytes > 0 && text.len > field->max_bytes)
        return why_say(why, STATUS_TOO_BIG, "%s is longer than %zu bytes", field->name.data,
                       field->max_bytes);
    *(slice *)((char *)page + field->offset) = text;
    return STATUS_OK;
}

/* status: of reading the number; beyond int64 its sign decides. */
static enum status set_age(enum status status, int64_t age_ms, bool is_negative, struct page *page,
                           struct why *why)
{
    if (status == STATUS_RANGE)
        age_ms = PAGE_MAX_AGE_MS;
    else if (status != STATUS_OK)
        return why_say(why, STATUS_MALFORMED, "age is no whole number of milliseconds");
    if (age_ms > PAGE_MAX_AGE_MS)
        age_ms = PAGE_MAX_AGE_MS;
    page->age_ms = is_negative || age_ms < 0 ? 0 : age_ms;
    return STATUS_OK;
}

static bool is_negative(slice number)
{
    return number.len > 0 && number.data[0] == '-';
}

/* --- JSON --- */

static enum status set_json_member(const struct json_member *member, struct buf *scratch, struct page *page,
                                   struct why *why)
{
    const struct field *field = find_field(member->name);
    const struct json_value *value = &member->value;
    slice text;
    int64_t age_ms = 0;
    if (!field || value->kind == JSON_NULL)
        return STATUS_OK;
    if (is_age(field)) {
        enum status status = value->kind == JSON_NUMBER ? json_int64(value, &age_ms) : STATUS_MALFORMED;
        return set_age(status, age_ms, is_negative(value->raw), page, why);
    }
    if (value->kind != JSON_TEXT)
        return why_say(why, STATUS_MALFORMED, "%s is no text", field->name.data);
    if (json_text(value, scratch, &text) != STATUS_OK)
        return why_say(why, STATUS_TOO_BIG, "%s is too long", field->name.data);
    return set_text(field, text, page, why);
}

enum status page_read_json(const struct json_value *value, struct buf *scratch, struct page *page,
                           struct why *why)
{
    struct json_object object;
    struct page read = {.age_ms = 0};
    if (value->kind != JSON_OBJECT)
        return why_say(why, STATUS_MALFORMED, "a hit must be a JSON object");
    json_members(value, &object);
    for (size_t i = 0; i < object.count; i++) {
        enum status status = set_json_member(&object.members[i], scratch, &read, why);
        if (status != STATUS_OK)
            return status;
    }
    *page = read;
    return STATUS_OK;
}

/* --- form --- */

static enum status decode_component(slice encoded, struct buf *scratch, slice *decoded)
{
    size_t start = scratch->len;
    enum status status = text_add_percent_decoded(scratch, encoded, true);
    if (status != STATUS_OK || scratch->overflowed)
        return STATUS_MALFORMED;
    *decoded = slice_from(buf_slice(scratch), start);
    return STATUS_OK;
}

static enum status set_form_field(const struct field *field, slice encoded, struct buf *scratch,
                                  struct page *page, struct why *why)
{
    slice text;
    int64_t age_ms = 0;
    if (decode_component(encoded, scratch, &text) != STATUS_OK)
        return why_say(why, STATUS_MALFORMED, "%s is not percent-encoded", field->name.data);
    if (is_age(field)) {
        enum status status = slice_to_int64(text, INT64_MIN, INT64_MAX, &age_ms);
        return set_age(status, age_ms, is_negative(text), page, why);
    }
    return set_text(field, text, page, why);
}

enum status page_read_form(slice form, struct buf *scratch, struct page *page, struct why *why)
{
    struct page read = {.age_ms = 0};
    unsigned given = 0; /* one bit a field */
    slice rest = form, pair, name;
    while (slice_cut(&rest, '&', &pair)) {
        slice value = pair;
        if (!slice_cut(&value, '=', &name))
            continue;
        const struct field *field = find_field(name);
        if (!field)
            continue;
        unsigned bit = 1u << (field - fields);
        if (given & bit)
            return why_say(why, STATUS_MALFORMED, "%s stands twice", field->name.data);
        given |= bit;
        enum status status = set_form_field(field, value, scratch, &read, why);
        if (status != STATUS_OK)
            return status;
    }
    *page = read;
    return STATUS_OK;
}
