/* SPDX-License-Identifier: Apache-2.0
 * strict: see the header. */
#include "base/http/strict.h"

#include <string.h>

/* --- the request line --- */

static bool is_token(slice s)
{
    static const char separators[] = "\"(),/:;<=>?@[\\]{}";
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] > '~' || strchr(separators, s.data[i]))
            return false;
    return s.len > 0;
}

static struct refusal read_method(slice name, enum http_method *method)
{
    if (slice_equals(name, SLICE("POST")))
        *method = HTTP_POST;
    else if (slice_equals(name, SLICE("GET")))
        *method = HTTP_GET;
    else if (slice_equals(name, SLICE("HEAD")))
        *method = HTTP_HEAD;
    else if (slice_equals(name, SLICE("OPTIONS")))
        *method = HTTP_OPTIONS;
    else if (slice_equals(name, SLICE("CONNECT")) || slice_equals(name, SLICE("PRI")) || !is_token(name))
        return REFUSE(400, "not a request of HTTP/1");
    else
        return REFUSE(405, "method not supported");
    return NOT_REFUSED;
}

static struct refusal check_target(slice target, const struct http_limits *limits)
{
    if (target.len > (size_t)limits->max_url_bytes)
        return REFUSE(414, "the URL is too long");
    if (target.len == 0 || target.data[0] != '/')
        return REFUSE(400, "the request target must be a path");
    for (size_t i = 0; i < target.len; i++)
        if (target.data[i] <= ' ' || target.data[i] > '~' || target.data[i] == '#')
            return REFUSE(400, "the URL holds a byte that must be percent-encoded");
    return NOT_REFUSED;
}

struct refusal strict_read_line(slice line, const struct http_limits *limits, struct request_line *out)
{
    slice rest = line;
    slice method = {0}, target = {0};
    if (!slice_cut(&rest, ' ', &method) || !slice_cut(&rest, ' ', &target) || rest.data == NULL)
        return REFUSE(400, "not a request of HTTP/1");
    out->is_http10 = slice_equals(rest, SLICE("HTTP/1.0"));
    if (!out->is_http10 && !slice_equals(rest, SLICE("HTTP/1.1")))
        return REFUSE(400, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    struct refusal refusal = read_method(method, &out->method);
    if (!refusal.status)
        refusal = check_target(target, limits);
    if (refusal.status)
        return refusal;
    out->path = slice_head(target, slice_find(target, '?'));
    out->query = out->path.len < target.len ? slice_from(target, out->path.len + 1) : (slice){0};
    return NOT_REFUSED;
}

/* --- the fields --- */

static struct refusal check_host(slice value)
{
    static const char other[] = ".-_:[]%";
    if (value.len == 0)
        return REFUSE(400, "empty Host");
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && (c == '\0' || !strchr(other, c)))
            return REFUSE(400, "Host is not a host and port");
    }
    return NOT_REFUSED;
}

static struct refusal read_length(slice value, const struct http_limits *limits, size_t *body_bytes)
{
    int64_t bytes;
    if (slice_to_int64(value, 0, INT64_MAX, &bytes) || value.data[0] == '-')
        return REFUSE(400, "Content-Length is not a number");
    if (bytes > limits->max_body_bytes)
        return REFUSE(413, "the body is too large");
    *body_bytes = (size_t)bytes;
    return NOT_REFUSED;
}

/* The fields that we have rules for, in the order in which they are judged. No two names are of one length,
 * so the length finds the row (0 stands for none there: it is compared in full and does not match). */
enum ruled_field { TRANSFER_ENCODING, UPGRADE, HOST, CONTENT_LENGTH, CONTENT_ENCODING, EXPECT, RULE_COUNT };

static const struct rule {
    slice name;
    size_t min_count, max_count;
    struct refusal otherwise;
} rules[RULE_COUNT] = {
    [TRANSFER_ENCODING] = {SLICE("transfer-encoding"), 0, 0, {411, SLICE("send Content-Length instead")}},
    [UPGRADE] = {SLICE("upgrade"), 0, 0, {400, SLICE("no upgrades here")}},
    [HOST] = {SLICE("host"), 1, 1, {400, SLICE("exactly one Host is needed")}},
    [CONTENT_LENGTH] = {SLICE("content-length"), 0, 1, {400, SLICE("more than one Content-Length")}},
    [CONTENT_ENCODING] = {SLICE("content-encoding"), 0, 0, {415, SLICE("send the body as it is")}},
    [EXPECT] = {SLICE("expect"), 0, 0, {417, SLICE("send the body at once")}},
};

enum { LONGEST_RULED_NAME = 17 };
static const uint8_t rule_of_length[LONGEST_RULED_NAME + 1] = {
    [4] = HOST,
    [6] = EXPECT,
    [7] = UPGRADE,
    [14] = CONTENT_LENGTH,
    [16] = CONTENT_ENCODING,
    [17] = TRANSFER_ENCODING,
};

struct refusal strict_check_fields(const struct http_field *fields, size_t count,
                                   const struct http_limits *limits, size_t *body_bytes)
{
    const struct http_field *found[RULE_COUNT] = {0};
    size_t counts[RULE_COUNT] = {0};
    for (const struct http_field *field = fields; field < fields + count; field++) {
        if (field->name.len > LONGEST_RULED_NAME)
            continue;
        size_t rule = rule_of_length[field->name.len];
        if (!slice_equals_nocase(field->name, rules[rule].name))
            continue;
        found[rule] = field;
        counts[rule]++;
    }
    for (size_t rule = 0; rule < RULE_COUNT; rule++)
        if (counts[rule] < rules[rule].min_count || counts[rule] > rules[rule].max_count)
            return rules[rule].otherwise;
    *body_bytes = 0;
    struct refusal refusal = check_host(found[HOST]->value);
    if (!refusal.status && found[CONTENT_LENGTH])
        refusal = read_length(found[CONTENT_LENGTH]->value, limits, body_bytes);
    return refusal;
}
