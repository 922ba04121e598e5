/* SPDX-License-Identifier: Apache-2.0
 * text: see the header. */
#include "base/text.h"

#include <string.h>

static const slice replacement = {"\xEF\xBF\xBD", 3}; /* U+FFFD */

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7F;
}

static bool is_continuation(slice s, size_t at)
{
    return at < s.len && ((unsigned char)s.data[at] & 0xC0) == 0x80;
}

/* The least and the greatest second byte that may follow a first one: rules out overlong forms, surrogates
 * and what lies above U+10FFFF (Unicode, table 3-7). */
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return (second & 0xC0) == 0x80;
    }
}

/* Length of the character at `at`, whose first byte is not ASCII; 0 when it is none, *bad_len bytes long. */
static size_t wide_length(slice s, size_t at, size_t *bad_len)
{
    unsigned char first = (unsigned char)s.data[at];
    size_t len = first >= 0xC2 && first <= 0xDF   ? 2
                 : first >= 0xE0 && first <= 0xEF ? 3
                 : first >= 0xF0 && first <= 0xF4 ? 4
                                                  : 0;
    *bad_len = 1;
    if (len == 0 || at + 1 >= s.len || !is_second(first, (unsigned char)s.data[at + 1]))
        return 0;
    for (size_t i = 2; i < len; i++) {
        *bad_len = i;
        if (!is_continuation(s, at + i))
            return 0;
    }
    return len;
}

/* How many bytes from `at` on are printable ASCII; eight at a time. */
static size_t plain_length(slice s, size_t at)
{
    size_t start = at;
    for (; at + 8 <= s.len; at += 8) {
        uint64_t eight;
        memcpy(&eight, s.data + at, 8);
        uint64_t is_low = (eight - UINT64_C(0x2020202020202020)) & ~eight; /* below 0x20 */
        uint64_t is_del = ((eight ^ UINT64_C(0x7F7F7F7F7F7F7F7F)) - UINT64_C(0x0101010101010101));
        if ((is_low | is_del | eight) & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < s.len && (unsigned char)s.data[at] < 0x80 && !is_control((unsigned char)s.data[at]))
        at++;
    return at - start;
}

bool text_is_clean(slice s)
{
    for (size_t at = plain_length(s, 0); at < s.len; at += plain_length(s, at)) {
        size_t bad_len;
        size_t len = (unsigned char)s.data[at] < 0x80 ? 0 : wide_length(s, at, &bad_len);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

size_t text_utf8_length(slice s)
{
    size_t at = 0;
    while (at < s.len) {
        size_t bad_len;
        size_t len = (unsigned char)s.data[at] < 0x80 ? 1 : wide_length(s, at, &bad_len);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}

size_t text_bad_length(slice s)
{
    size_t bad_len;
    wide_length(s, 0, &bad_len);
    return bad_len;
}

/* One character or one bad sequence at `at`: what it becomes goes into *piece; returns how far to go. */
static size_t clean_one(slice s, size_t at, slice *piece)
{
    *piece = (slice){NULL, 0};
    if (is_control((unsigned char)s.data[at]))
        return 1;
    size_t bad_len;
    size_t len = wide_length(s, at, &bad_len);
    *piece = len > 0 ? (slice){s.data + at, len} : replacement;
    return len > 0 ? len : bad_len;
}

bool text_add_clean(struct buf *out, slice s, size_t max_len)
{
    size_t room = max_len;
    bool changed = false;
    for (size_t at = 0; at < s.len;) {
        size_t plain = plain_length(s, at);
        slice piece = {s.data + at, plain < room ? plain : room};
        size_t step = plain;
        if (plain == 0) {
            step = clean_one(s, at, &piece);
            changed |= piece.data != s.data + at;
        }
        if (piece.len > room || (plain > 0 && piece.len < plain)) {
            buf_add(out, plain > 0 ? piece : (slice){NULL, 0});
            return true;
        }
        buf_add(out, piece);
        room -= piece.len;
        at += step;
    }
    return changed;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum status text_add_percent_decoded(struct buf *out, slice s, bool plus_is_space)
{
    for (size_t at = 0; at < s.len; at++) {
        char c = s.data[at];
        if (c == '%') {
            int high = at + 2 < s.len ? hex_value(s.data[at + 1]) : -1;
            int low = at + 2 < s.len ? hex_value(s.data[at + 2]) : -1;
            if (high < 0 || low < 0)
                return STATUS_MALFORMED;
            c = (char)(high * 16 + low);
            at += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        buf_add_char(out, c);
    }
    return STATUS_OK;
}
