/* SPDX-License-Identifier: Apache-2.0
 * url: see the header. */
#include "collector/url.h"

#include "proto/hit.h"

enum { MAX_PORT = 65535, MAX_PORT_DIGITS = 5 };

static bool take_scheme(slice *rest)
{
    static const slice schemes[] = {SLICE("https://"), SLICE("http://")};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = schemes[i].len;
        if (rest->len >= len && slice_equals_nocase(slice_head(*rest, len), schemes[i])) {
            *rest = slice_from(*rest, len);
            return true;
        }
    }
    return false;
}

static size_t authority_len(slice s)
{
    size_t len = 0;
    while (len < s.len && s.data[len] != '/' && s.data[len] != '?' && s.data[len] != '#')
        len++;
    return len;
}

static bool has_blank(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] <= ' ' || s.data[i] == 0x7f)
            return true;
    return false;
}

/* After the host; an IPv6 literal holds colons of its own. */
static slice port_part(slice authority)
{
    size_t start = 0;
    if (authority.len > 0 && authority.data[0] == '[')
        start = slice_find(authority, ']');
    slice rest = slice_from(authority, start);
    return slice_from(rest, slice_find(rest, ':'));
}

static bool port_is_good(slice part)
{
    int64_t port;
    if (part.len <= 1) /* "host" or "host:" */
        return true;
    return part.len - 1 <= MAX_PORT_DIGITS && part.data[1] != '-' &&
           slice_to_int64(slice_from(part, 1), 0, MAX_PORT, &port) == STATUS_OK;
}

/* User information and backslashes are no part of a host or a port: the two checks refuse them. */
static enum status read_authority(slice authority, struct buf *scratch, slice *host)
{
    slice port = port_part(authority);
    if (!port_is_good(port))
        return STATUS_MALFORMED;
    return hit_host_canonical(slice_head(authority, authority.len - port.len), scratch, host);
}

enum status url_host(slice url, struct buf *scratch, slice *host)
{
    slice rest = url;
    if (has_blank(url) || !take_scheme(&rest))
        return STATUS_MALFORMED;
    return read_authority(slice_head(rest, authority_len(rest)), scratch, host);
}

enum status url_origin_host(slice origin, struct buf *scratch, slice *host)
{
    slice rest = origin;
    if (has_blank(origin) || !take_scheme(&rest) || authority_len(rest) != rest.len)
        return STATUS_MALFORMED;
    return read_authority(rest, scratch, host);
}
