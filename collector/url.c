/* SPDX-License-Identifier: Apache-2.0
 * url: see the header. */
#include "collector/url.h"

#include "base/word.h"
#include "proto/hit.h"

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

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static bool has_blank(slice s)
{
    size_t at = 0;
    for (; at + WORD_BYTES <= s.len; at += WORD_BYTES) {
        uint64_t word = word_load(s.data + at);
        if (word_mark_below(word, ' ' + 1) | word_mark_equal(word, 0x7f))
            return true;
    }
    while (at < s.len && !is_blank(s.data[at]))
        at++;
    return at < s.len;
}

/* A port may be left out behind its colon. User information and backslashes stand in no host and no port. */
static enum status read_authority(slice authority, struct buf *scratch, slice *host)
{
    if (authority.len > 0 && authority.data[authority.len - 1] == ':')
        authority.len--;
    return hit_host_canonical(authority, scratch, host);
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
