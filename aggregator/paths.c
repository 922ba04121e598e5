/* SPDX-License-Identifier: Apache-2.0
 * paths: see the header. */
#include "aggregator/paths.h"

#include <string.h>

/* Kinds of characters at which a part of a URL ends; or-ed. */
enum { COLON = 1, SLASH = 2, QUERY = 4 /* or fragment */ };

static const unsigned char kinds[256] = {[':'] = COLON, ['/'] = SLASH, ['?'] = QUERY, ['#'] = QUERY};

/* Length of the longest head without characters of these kinds. */
static size_t span_until(slice text, unsigned stops)
{
    size_t len = 0;
    while (len < text.len && (kinds[(unsigned char)text.data[len]] & stops) == 0)
        len++;
    return len;
}

static bool is_first_of_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

static slice cut_characters(slice text)
{
    if (text.len <= PATHS_MAX_CHARS)
        return text;
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        if (is_first_of_character(text.data[i]) && ++count > PATHS_MAX_CHARS)
            return slice_head(text, i);
    return text;
}

static slice skip_scheme(slice url)
{
    size_t len = span_until(url, COLON | SLASH | QUERY);
    return len > 0 && len < url.len && url.data[len] == ':' ? slice_from(url, len + 1) : url;
}

slice paths_page(slice url)
{
    slice rest = skip_scheme(url);
    if (slice_starts_with(rest, SLICE("//"))) {
        rest = slice_from(rest, 2);
        rest = slice_from(rest, span_until(rest, SLASH | QUERY));
    }
    slice path = slice_head(rest, span_until(rest, QUERY));
    return path.len > 0 ? cut_characters(path) : SLICE("/");
}

static slice skip_user(slice authority)
{
    const char *at = authority.len > 0 ? memrchr(authority.data, '@', authority.len) : NULL;
    return at != NULL ? slice_from(authority, (size_t)(at - authority.data) + 1) : authority;
}

static slice without_port(slice authority)
{
    size_t len = authority.len;
    while (len > 0 && authority.data[len - 1] >= '0' && authority.data[len - 1] <= '9')
        len--;
    return len > 0 && authority.data[len - 1] == ':' ? slice_head(authority, len - 1) : authority;
}

slice paths_host(slice referrer)
{
    slice rest = skip_scheme(referrer);
    bool has_scheme = rest.len < referrer.len && slice_starts_with(rest, SLICE("//"));
    rest = has_scheme ? slice_from(rest, 2) : referrer;
    return cut_characters(without_port(skip_user(slice_head(rest, span_until(rest, SLASH | QUERY)))));
}
