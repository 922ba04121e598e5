/* SPDX-License-Identifier: Apache-2.0
 * json_scan: the steps that both readers of JSON share: over white space, through texts, across escapes.
 *
 * Used by json_check.c (believes nothing) and json.c (walks checked text). Inline where the hot path spends
 * its time: eight bytes at once. Pure, any thread. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/slice.h"
#include "base/word.h"

enum { JSON_UNICODE_ESCAPE_LEN = 6, JSON_NOT_AN_ESCAPE = -1 }; /* \uXXXX */

/* The code point of the \uXXXX or pair of them at *at, and moves past it; JSON_NOT_AN_ESCAPE when it is
 * broken or half a pair. */
int32_t json_read_unicode(const char **at, const char *end);
/* What the letter after a backslash stands for; 0 for none of them. */
char json_unescape(char letter);

static inline const char *json_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* A quote, a backslash, or (when strict) a control, DEL among them, or not ASCII. */
static inline uint64_t json_mark_special(uint64_t word, bool strict)
{
    uint64_t marks = word_mark_equal(word, '"') | word_mark_equal(word, '\\');
    return strict ? marks | word_mark_unprintable(word) : marks;
}

static inline bool json_is_special(unsigned char c, bool strict)
{
    return c == '"' || c == '\\' || (strict && (c < 0x20 || c >= 0x7F));
}

/* The first quote or backslash (when strict, also control or byte that is not ASCII), or end. */
static inline const char *json_find_special(const char *at, const char *end, bool strict)
{
    for (; end - at >= WORD_BYTES; at += WORD_BYTES) {
        uint64_t marks = json_mark_special(word_load(at), strict);
        if (marks)
            return at + word_first(marks);
    }
    while (at < end && !json_is_special((unsigned char)*at, strict))
        at++;
    return at;
}

#endif
