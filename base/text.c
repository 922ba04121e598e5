/* SPDX-License-Identifier: Apache-2.0
 * text: see the header. */
#include "base/text.h"

#include "base/hex.h"
#include "base/utf8.h"
#include "base/word.h"

static const slice replacement = {"\xEF\xBF\xBD", 3}; /* U+FFFD */

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7F;
}

/* How many bytes from `at` on are printable ASCII. */
static size_t plain_length(slice s, size_t at)
{
    size_t start = at;
    for (; at + WORD_BYTES <= s.len; at += WORD_BYTES) {
        uint64_t word = word_load(s.data + at);
        uint64_t marks = word_mark_below(word, 0x20) | word_mark_equal(word, 0x7F) | word_mark_high(word);
        if (marks)
            return at + word_first(marks) - start;
    }
    while (at < s.len && (unsigned char)s.data[at] < 0x80 && !is_control((unsigned char)s.data[at]))
        at++;
    return at - start;
}

bool text_is_clean(slice s)
{
    for (size_t at = plain_length(s, 0); at < s.len; at += plain_length(s, at)) {
        if (is_control((unsigned char)s.data[at]))
            return false;
        size_t len = utf8_character_len(s.data + at, s.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

/* One character or one bad sequence at `at`: what it becomes goes into *piece; returns how far to go. */
static size_t clean_one(slice s, size_t at, slice *piece)
{
    *piece = (slice){NULL, 0};
    if (is_control((unsigned char)s.data[at]))
        return 1;
    size_t len = utf8_character_len(s.data + at, s.len - at);
    *piece = len > 0 ? (slice){s.data + at, len} : replacement;
    return len > 0 ? len : utf8_invalid_len(s.data + at, s.len - at);
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
