/* SPDX-License-Identifier: Apache-2.0
 * headers: see the header. */
#include "collector/headers.h"

#include "base/http/http.h"
#include "base/json.h"
#include "proto/hit.h"

/* Lower case, as they are written. */
static const slice kept[] = {
    SLICE("accept-language"), SLICE("dnt"),
    SLICE("sec-ch-ua"),       SLICE("sec-ch-ua-mobile"),
    SLICE("sec-ch-ua-model"), SLICE("sec-ch-ua-platform"),
    SLICE("sec-fetch-dest"),  SLICE("sec-fetch-mode"),
    SLICE("sec-fetch-site"),  SLICE("sec-gpc"),
    SLICE("sec-purpose"),
};
enum { KEPT_COUNT = sizeof(kept) / sizeof(kept[0]), MAX_ESCAPED_BYTES = 6 /* of one byte: \u00xx */ };

/* KEPT_COUNT when it is not kept. */
static size_t find_kept(slice name)
{
    size_t i = 0;
    char first = name.len > 0 ? (char)(name.data[0] | 0x20) : '\0';
    if (first != 's' && first != 'a' && first != 'd') /* most are told by one letter */
        return KEPT_COUNT;
    while (i < KEPT_COUNT && !slice_equals_nocase(kept[i], name))
        i++;
    return i;
}

static void add_member(struct buf *out, char before, slice name, slice value)
{
    buf_add_char(out, before);
    buf_add_char(out, '"');
    buf_add(out, name);
    buf_add_bytes(out, "\":", 2);
    json_add_text(out, value);
}

void headers_write(const struct http_request *request, struct buf *out)
{
    unsigned written = 0; /* one bit a name */
    size_t start = out->len;
    for (size_t i = 0; i < request->field_count; i++) {
        slice value = request->fields[i].value;
        size_t which = find_kept(request->fields[i].name);
        if (which == KEPT_COUNT || written & (1u << which) || value.len == 0)
            continue;
        size_t worst = kept[which].len + MAX_ESCAPED_BYTES * value.len + sizeof(",\"\":\"\"}");
        if (out->len - start + worst > HIT_MAX_HEADERS)
            continue;
        add_member(out, written ? ',' : '{', kept[which], value);
        written |= 1u << which;
    }
    buf_add(out, written ? SLICE("}") : SLICE("{}"));
}

uint32_t headers_flags(const struct http_request *request)
{
    uint32_t flags = 0;
    if (slice_starts_with(http_field(request, SLICE("sec-purpose")), SLICE("prefetch")))
        flags |= HIT_FLAG_PREFETCH;
    if (slice_equals(http_field(request, SLICE("sec-gpc")), SLICE("1")) ||
        slice_equals(http_field(request, SLICE("dnt")), SLICE("1")))
        flags |= HIT_FLAG_PRIVACY;
    return flags;
}
