/* SPDX-License-Identifier: Apache-2.0
 * hit: see the header. */
#include "proto/hit.h"

#include <string.h>

/* ---- Names and texts ---- */

slice hit_field_label(enum hit_field field)
{
    static const slice labels[] = {
#define X(name, text, max_len) [HIT_FIELD_##name] = {",\"" text "\":", sizeof(",\"" text "\":") - 1},
        HIT_FIELD_LIST(X)
#undef X
    };
    MUST((size_t)field < HIT_FIELD_COUNT);
    return labels[field];
}

slice hit_field_name(enum hit_field field)
{
    static const slice names[] = {
#define X(name, text, max_len) [HIT_FIELD_##name] = {text, sizeof(text) - 1},
        HIT_FIELD_LIST(X)
#undef X
    };
    MUST((size_t)field < HIT_FIELD_COUNT);
    return names[field];
}

size_t hit_field_max_len(enum hit_field field)
{
    static const size_t lens[] = {
#define X(name, text, max_len) [HIT_FIELD_##name] = (max_len),
        HIT_FIELD_LIST(X)
#undef X
    };
    MUST((size_t)field < HIT_FIELD_COUNT);
    return lens[field];
}

slice hit_source_text(enum hit_source source)
{
    static const slice texts[] = {
        [HIT_BEACON] = {"beacon", 6}, [HIT_PIXEL] = {"pixel", 5}, [HIT_MIRROR] = {"mirror", 6},
        [HIT_LOG] = {"log", 3},       [HIT_API] = {"api", 3},     [HIT_OTHER] = {"other", 5},
    };
    MUST((size_t)source < sizeof texts / sizeof texts[0]);
    return texts[source];
}

slice hit_fault_text(enum hit_fault fault)
{
    static const char *const texts[] = {
        [HIT_GOOD] = "good",
        [HIT_TOO_BIG] = "the value is larger than 96 KiB",
        [HIT_NOT_JSON] = "the value is not one JSON object",
        [HIT_NO_IP] = "ip is missing or no address",
        [HIT_NO_HOST] = "host is missing or no host name",
        [HIT_NO_URL] = "url is missing or empty",
        [HIT_NO_TIME] = "event_time is missing or no time",
        [HIT_BAD_FIELD] = "a field has the wrong type or is out of range",
        [HIT_NEWER_VERSION] = "v is newer than this program",
    };
    MUST((size_t)fault < sizeof texts / sizeof texts[0]);
    return slice_of(texts[fault]);
}

/* ---- Streams ---- */

size_t hit_stream_write(const struct hit_stream *stream, char out[HIT_STREAM_TEXT_MAX])
{
    uuid_write_hex(stream->boot, out);
    out[UUID_HEX_LEN] = '-';
    struct buf number;
    buf_init(&number, out + UUID_HEX_LEN + 1, HIT_STREAM_TEXT_MAX - UUID_HEX_LEN - 1);
    buf_add_int64(&number, stream->partition);
    MUST(!number.overflowed);
    return UUID_HEX_LEN + 1 + number.len;
}

enum status hit_stream_read(slice text, struct hit_stream *stream)
{
    struct hit_stream out;
    int64_t partition;
    if (text.len < UUID_HEX_LEN + 2 || text.len > HIT_STREAM_TEXT_MAX || text.data[UUID_HEX_LEN] != '-' ||
        uuid_read(slice_head(text, UUID_HEX_LEN), &out.boot) != STATUS_OK)
        return STATUS_MALFORMED;
    slice number = slice_from(text, UUID_HEX_LEN + 1);
    bool has_leading_zero = number.len > 1 && number.data[0] == '0';
    if (has_leading_zero || slice_to_int64(number, 0, INT32_MAX, &partition) != STATUS_OK)
        return STATUS_MALFORMED;
    out.partition = (int)partition;
    *stream = out;
    return STATUS_OK;
}

/* ---- Hosts ---- */

/* In lower case, as hosts are written; 0 when it may not stand in one. */
static char host_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return c;
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : '\0';
}

/* Labels of letters, digits, '-' and '_', 1 to 63 long, no '-' at either end. */
static bool copy_labels(slice name, char *out)
{
    size_t start = 0; /* of the label */
    for (size_t i = 0; i <= name.len; i++) {
        bool is_end = i == name.len || name.data[i] == '.';
        if (is_end && (i == start || i - start > 63 || out[start] == '-' || out[i - 1] == '-'))
            return false;
        if (i == name.len)
            return true;
        out[i] = is_end ? '.' : host_char(name.data[i]);
        if (out[i] == '\0')
            return false;
        if (is_end)
            start = i + 1;
    }
    return true;
}

static bool is_port(slice text)
{
    int64_t port;
    return text.len <= 5 && slice_to_int64(text, 0, 65535, &port) == STATUS_OK && text.data[0] != '-';
}

/* "[v6]" or "[v6]:port": the canonical text of the address in brackets. */
static enum status canonical_v6(slice host, struct buf *out)
{
    size_t end = slice_find(host, ']');
    ip_address ip;
    char text[IP_TEXT_MAX];
    if (end == host.len || ip_read(slice_from(slice_head(host, end), 1), &ip) != STATUS_OK)
        return STATUS_MALFORMED;
    slice rest = slice_from(host, end + 1);
    if (rest.len > 0 && (rest.data[0] != ':' || !is_port(slice_from(rest, 1))))
        return STATUS_MALFORMED;
    size_t len = ip_write(ip, text);
    if (!ip_is_v4(ip))
        buf_add_char(out, '[');
    buf_add_bytes(out, text, len);
    if (!ip_is_v4(ip))
        buf_add_char(out, ']');
    return STATUS_OK;
}

static enum status canonical_name(slice host, struct buf *out)
{
    size_t colon = slice_find(host, ':');
    if (colon < host.len && !is_port(slice_from(host, colon + 1)))
        return STATUS_MALFORMED;
    host = slice_head(host, colon);
    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    char *room = host.len > 0 && host.len <= HIT_MAX_HOST ? buf_reserve(out, host.len) : NULL;
    if (room == NULL)
        return STATUS_MALFORMED;
    if (!copy_labels(host, room))
        return STATUS_MALFORMED;
    buf_commit(out, host.len);
    return STATUS_OK;
}

enum status hit_host_canonical(slice host, struct buf *out, slice *canonical)
{
    size_t start = out->len;
    enum status status =
        host.len > 0 && host.data[0] == '[' ? canonical_v6(host, out) : canonical_name(host, out);
    if (status != STATUS_OK || out->overflowed)
        return STATUS_MALFORMED;
    *canonical = slice_from(buf_slice(out), start);
    return STATUS_OK;
}
