/* SPDX-License-Identifier: Apache-2.0
 * control: see the header. */
#include "proto/control.h"

#include "base/json.h"
#include "base/text.h"

slice control_fault_text(enum control_fault fault)
{
    static const char *const texts[] = {
        [CONTROL_GOOD] = "good",
        [CONTROL_TOO_BIG] = "the control record is larger than 1 KiB",
        [CONTROL_NOT_JSON] = "the control record is not one JSON object",
        [CONTROL_NO_KIND] = "the control record holds neither fin nor skip, or both",
        [CONTROL_BAD_STREAM] = "stream of the control record is missing or no stream",
        [CONTROL_BAD_NUMBER] = "a number of the control record is missing or out of range",
        [CONTROL_BAD_REASON] = "reason of the control record is no text",
        [CONTROL_BAD_PARTITION] = "the control record stands in another partition than its stream",
    };
    MUST((size_t)fault < sizeof texts / sizeof texts[0]);
    return slice_of(texts[fault]);
}

/* ---- Encoding ---- */

static void add_stream(struct buf *out, const struct hit_stream *stream)
{
    char text[HIT_STREAM_TEXT_MAX];
    size_t len = hit_stream_write(stream, text);
    buf_add(out, SLICE("\"stream\":\""));
    buf_add_bytes(out, text, len);
    buf_add_char(out, '"');
}

static void add_number(struct buf *out, slice label, int64_t number)
{
    buf_add(out, label);
    buf_add_int64(out, number);
}

static void add_reason(struct buf *out, slice reason)
{
    char memory[CONTROL_MAX_REASON];
    struct buf clean;
    buf_init(&clean, memory, sizeof memory);
    (void)text_add_clean(&clean, reason, sizeof memory);
    buf_add(out, SLICE(",\"reason\":"));
    json_add_text(out, buf_slice(&clean));
}

static bool has_good_numbers(const struct control *control)
{
    int64_t least = control->kind == CONTROL_SKIP ? control->from : 0;
    bool is_from_good = control->kind == CONTROL_SKIP ? control->from >= 1 : control->from == 0;
    return is_from_good && control->last >= least && control->last < INT64_MAX;
}

void control_encode(const struct control *control, struct buf *out)
{
    MUST(has_good_numbers(control));
    bool is_fin = control->kind == CONTROL_FIN;
    buf_add(out, is_fin ? SLICE("{\"fin\":{") : SLICE("{\"skip\":{"));
    add_stream(out, &control->stream);
    if (is_fin) {
        add_number(out, SLICE(",\"last\":"), control->last);
    } else {
        add_number(out, SLICE(",\"from\":"), control->from);
        add_number(out, SLICE(",\"to\":"), control->last);
        add_reason(out, control->reason);
    }
    buf_add(out, SLICE("}}"));
}

/* ---- Decoding ---- */

/* NULL: missing, or null. */
static const struct json_value *find(const struct json_object *object, slice name)
{
    const struct json_value *value = json_find(object, name);
    return value == NULL || value->kind == JSON_NULL ? NULL : value;
}

static bool read_stream(const struct json_object *object, struct hit_stream *stream)
{
    const struct json_value *value = find(object, SLICE("stream"));
    return value != NULL && value->kind == JSON_TEXT && !value->has_escapes &&
           hit_stream_read(value->raw, stream) == STATUS_OK;
}

static bool read_number(const struct json_object *object, slice name, int64_t *number)
{
    const struct json_value *value = find(object, name);
    return value != NULL && json_int64(value, number) == STATUS_OK;
}

static bool read_numbers(const struct json_object *object, struct control *control)
{
    bool is_there = control->kind == CONTROL_FIN ? read_number(object, SLICE("last"), &control->last)
                                                 : read_number(object, SLICE("from"), &control->from) &&
                                                       read_number(object, SLICE("to"), &control->last);
    return is_there && has_good_numbers(control);
}

/* Cleaned and cut as control_encode does it, in scratch. */
static bool read_reason(const struct json_object *object, struct buf *scratch, slice *reason)
{
    char memory[CONTROL_MAX_BYTES];
    struct buf decoded;
    slice text;
    const struct json_value *value = find(object, SLICE("reason"));
    if (value == NULL)
        return true;
    buf_init(&decoded, memory, sizeof memory);
    if (value->kind != JSON_TEXT || json_text(value, &decoded, &text) != STATUS_OK)
        return false;
    size_t start = scratch->len;
    (void)text_add_clean(scratch, text, CONTROL_MAX_REASON);
    MUST(!scratch->overflowed);
    *reason = slice_from(buf_slice(scratch), start);
    return true;
}

static enum control_fault read_fields(const struct json_object *object, struct buf *scratch,
                                      struct control *control)
{
    if (!read_stream(object, &control->stream))
        return CONTROL_BAD_STREAM;
    if (!read_numbers(object, control))
        return CONTROL_BAD_NUMBER;
    if (control->kind == CONTROL_SKIP && !read_reason(object, scratch, &control->reason))
        return CONTROL_BAD_REASON;
    return CONTROL_GOOD;
}

enum control_fault control_decode(slice header, struct buf *scratch, struct control *control)
{
    struct json_object object;
    if (header.len > CONTROL_MAX_BYTES)
        return CONTROL_TOO_BIG;
    if (json_read_object(header, &object, NULL) != STATUS_OK)
        return CONTROL_NOT_JSON;
    const struct json_value *fin = find(&object, SLICE("fin")), *skip = find(&object, SLICE("skip"));
    const struct json_value *said = fin != NULL ? fin : skip;
    if ((fin != NULL) == (skip != NULL) || said->kind != JSON_OBJECT)
        return CONTROL_NO_KIND;
    *control = (struct control){.kind = fin != NULL ? CONTROL_FIN : CONTROL_SKIP};
    struct json_object inner;
    json_members(said, &inner);
    return read_fields(&inner, scratch, control);
}
