/* SPDX-License-Identifier: Apache-2.0
 * headers: see the header. */
#include "collector/headers.h"

#include "base/http/http.h"
#include "base/json.h"
#include "proto/hit.h"

enum {
    KEPT_COUNT = HEADER_USER_AGENT,
    LONGEST_NAME = 18,
    MAX_ESCAPED_BYTES = 6, /* of one byte: \u00xx */
};

/* Lower case, as they are written. */
static const slice names[HEADER_COUNT] = {
    [HEADER_DNT] = SLICE("dnt"),
    [HEADER_SEC_GPC] = SLICE("sec-gpc"),
    [HEADER_SEC_CH_UA] = SLICE("sec-ch-ua"),
    [HEADER_SEC_PURPOSE] = SLICE("sec-purpose"),
    [HEADER_SEC_FETCH_DEST] = SLICE("sec-fetch-dest"),
    [HEADER_SEC_FETCH_MODE] = SLICE("sec-fetch-mode"),
    [HEADER_SEC_FETCH_SITE] = SLICE("sec-fetch-site"),
    [HEADER_ACCEPT_LANGUAGE] = SLICE("accept-language"),
    [HEADER_SEC_CH_UA_MODEL] = SLICE("sec-ch-ua-model"),
    [HEADER_SEC_CH_UA_MOBILE] = SLICE("sec-ch-ua-mobile"),
    [HEADER_SEC_CH_UA_PLATFORM] = SLICE("sec-ch-ua-platform"),
    [HEADER_USER_AGENT] = SLICE("user-agent"),
};

/* Where the names of a length begin, and how many they are: most fields of a request are told by that. */
static const struct {
    uint8_t first, count;
} of_length[LONGEST_NAME + 1] = {
    [3] = {HEADER_DNT, 1},
    [7] = {HEADER_SEC_GPC, 1},
    [9] = {HEADER_SEC_CH_UA, 1},
    [10] = {HEADER_USER_AGENT, 1},
    [11] = {HEADER_SEC_PURPOSE, 1},
    [14] = {HEADER_SEC_FETCH_DEST, 3},
    [15] = {HEADER_ACCEPT_LANGUAGE, 2},
    [16] = {HEADER_SEC_CH_UA_MOBILE, 1},
    [18] = {HEADER_SEC_CH_UA_PLATFORM, 1},
};

/* HEADER_COUNT when we do not ask for it. */
static size_t find_header(slice name)
{
    if (name.len > LONGEST_NAME)
        return HEADER_COUNT;
    size_t first = of_length[name.len].first, end = first + of_length[name.len].count;
    for (size_t header = first; header < end; header++)
        if (slice_equals_nocase(names[header], name))
            return header;
    return HEADER_COUNT;
}

void headers_read(const struct http_request *request, struct headers *headers)
{
    *headers = (struct headers){.values = {{NULL, 0}}};
    for (size_t i = 0; i < request->field_count; i++) {
        size_t header = find_header(request->fields[i].name);
        if (header < HEADER_COUNT && headers->values[header].len == 0)
            headers->values[header] = request->fields[i].value;
    }
}

static void add_member(struct buf *out, char before, slice name, slice value)
{
    buf_add_char(out, before);
    buf_add_char(out, '"');
    buf_add(out, name);
    buf_add_bytes(out, "\":", 2);
    json_add_text(out, value);
}

void headers_write(const struct headers *headers, struct buf *out)
{
    size_t start = out->len;
    char before = '{';
    for (size_t header = 0; header < KEPT_COUNT; header++) {
        slice value = headers->values[header];
        size_t worst = names[header].len + MAX_ESCAPED_BYTES * value.len + sizeof(",\"\":\"\"}");
        if (value.len == 0 || out->len - start + worst > HIT_MAX_HEADERS)
            continue;
        add_member(out, before, names[header], value);
        before = ',';
    }
    buf_add(out, before == ',' ? SLICE("}") : SLICE("{}"));
}

uint32_t headers_flags(const struct headers *headers)
{
    uint32_t flags = 0;
    if (slice_starts_with(headers->values[HEADER_SEC_PURPOSE], SLICE("prefetch")))
        flags |= HIT_FLAG_PREFETCH;
    if (slice_equals(headers->values[HEADER_SEC_GPC], SLICE("1")) ||
        slice_equals(headers->values[HEADER_DNT], SLICE("1")))
        flags |= HIT_FLAG_PRIVACY;
    return flags;
}
