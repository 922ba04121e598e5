/* SPDX-License-Identifier: Apache-2.0
 * mention: see the header. */
#include "aggregator/mention.h"

#include <string.h>

/* The longest IPv6 text, and a colon before and behind it. */
enum { RUN_MAX = IP_TEXT_MAX + 2 };

enum { ESCAPE_LEN = 6 }; /* \u003a */

/* ---- Characters, as JSON escapes them ---- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The ASCII character that stands in \u00hh; NUL: it is another one. */
static char read_escape(slice text)
{
    if (text.len < ESCAPE_LEN || !slice_starts_with(text, SLICE("\\u00")))
        return '\0';
    int high = digit_of(text.data[4]), low = digit_of(text.data[5]);
    return high >= 0 && high < 8 && low >= 0 ? (char)(high * 16 + low) : '\0';
}

/* The first character, which is taken off. NUL stands for whatever is no part of an address. */
static char next_char(slice *rest)
{
    size_t len = 1;
    char c = rest->data[0];
    if (c == '\\') { /* the letter behind it is none of the text: \f, \b */
        c = read_escape(*rest);
        len = c != '\0' ? ESCAPE_LEN : 2;
    }
    *rest = slice_from(*rest, len < rest->len ? len : rest->len);
    return digit_of(c) >= 0 || c == ':' || c == '.' ? c : '\0';
}

/* ---- Runs ---- */

static bool is_address(slice text, ip_address ip)
{
    ip_address read;
    return ip_read(text, &read) == STATUS_OK && ip_equals(read, ip);
}

static bool is_decimal(char c)
{
    return c >= '0' && c <= '9';
}

/* ip_read does not take leading zeros. */
static bool is_v4_address(slice piece, ip_address ip)
{
    char plain[RUN_MAX];
    size_t len = 0;
    for (size_t i = 0; i < piece.len && len < sizeof plain; i++) {
        bool is_first = len == 0 || plain[len - 1] == '.';
        bool is_zero_before = is_first && piece.data[i] == '0' && i + 1 < piece.len;
        if (!is_zero_before || !is_decimal(piece.data[i + 1]))
            plain[len++] = piece.data[i];
    }
    return is_address((slice){plain, len}, ip);
}

/* As at the end of a sentence. */
static slice without_dots(slice text)
{
    while (text.len > 0 && text.data[0] == '.')
        text = slice_from(text, 1);
    while (text.len > 0 && text.data[text.len - 1] == '.')
        text.len--;
    return text;
}

/* One with a colon before or behind it, as in "from:2001:db8::1". */
static slice without_single_colons(slice run)
{
    if (run.len > 1 && run.data[0] == ':' && run.data[1] != ':')
        run = slice_from(run, 1);
    if (run.len > 1 && run.data[run.len - 1] == ':' && run.data[run.len - 2] != ':')
        run.len--;
    return run;
}

/* What stands between colons may be IPv4 with a port, or behind the words ::ffff. */
static bool names_in_pieces(slice run, ip_address ip)
{
    slice piece;
    while (slice_cut(&run, ':', &piece))
        if (is_v4_address(without_dots(piece), ip))
            return true;
    return false;
}

static bool names(slice run, ip_address ip)
{
    run = without_dots(run);
    return run.len > 0 &&
           (is_address(without_single_colons(run), ip) || (ip_is_v4(ip) && names_in_pieces(run, ip)));
}

bool mention_has(slice bytes, ip_address ip)
{
    char run[RUN_MAX];
    size_t len = 0; /* of the run, which may be longer than what is kept of it */
    while (bytes.len > 0) {
        char c = next_char(&bytes);
        if (c != '\0' && len < sizeof run)
            run[len] = c;
        len = c != '\0' ? len + 1 : len;
        if (c != '\0' && bytes.len > 0)
            continue;
        if (len > 0 && len <= sizeof run && names((slice){run, len}, ip))
            return true;
        len = 0;
    }
    return false;
}
