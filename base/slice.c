/* SPDX-License-Identifier: Apache-2.0
 * slice: see the header. */
#include "base/slice.h"

#include <string.h>

#include "base/word.h"

slice slice_of(const char *text)
{
    return text != NULL ? (slice){text, strlen(text)} : (slice){NULL, 0};
}

bool slice_equals(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Eight bytes at once: a difference is harmless where it is the bit between two cases of a letter. */
static bool are_eight_alike(const char *a, const char *b)
{
    uint64_t x = word_load(a), differing = x ^ word_load(b), small = x | word_repeat(0x20);
    uint64_t from_a = (small | word_repeat(0x80)) - word_repeat('a'); /* bit 7: 'a' or more */
    uint64_t to_z = word_repeat('z' + 0x80) - (small & word_repeat(0x7f));
    uint64_t letters = from_a & to_z & ~x & word_repeat(0x80);
    return (differing & ~(letters >> 2)) == 0;
}

bool slice_equals_nocase(slice a, slice b)
{
    size_t i = 0;
    if (a.len != b.len)
        return false;
    if (a.len >= WORD_BYTES) {
        for (; a.len - i > WORD_BYTES; i += WORD_BYTES)
            if (!are_eight_alike(a.data + i, b.data + i))
                return false;
        i = a.len - WORD_BYTES; /* the last eight, some of them for the second time */
        return are_eight_alike(a.data + i, b.data + i);
    }
    while (i < a.len && lower(a.data[i]) == lower(b.data[i]))
        i++;
    return i == a.len;
}

int slice_compare(slice a, slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.data, b.data, shared) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(slice s, slice prefix)
{
    return s.len >= prefix.len && slice_equals(slice_head(s, prefix.len), prefix);
}

bool slice_ends_with(slice s, slice suffix)
{
    return s.len >= suffix.len && slice_equals(slice_from(s, s.len - suffix.len), suffix);
}

size_t slice_find(slice s, char c)
{
    const char *at = s.len > 0 ? memchr(s.data, c, s.len) : NULL;
    return at != NULL ? (size_t)(at - s.data) : s.len;
}

slice slice_from(slice s, size_t start)
{
    MUST(start <= s.len);
    return start > 0 ? (slice){s.data + start, s.len - start} : s;
}

slice slice_head(slice s, size_t len)
{
    MUST(len <= s.len);
    return (slice){s.data, len};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

slice slice_trim(slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_from(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool slice_cut(slice *rest, char separator, slice *piece)
{
    if (rest->data == NULL)
        return false;
    size_t at = slice_find(*rest, separator);
    *piece = slice_head(*rest, at);
    *rest = at < rest->len ? slice_from(*rest, at + 1) : (slice){NULL, 0};
    return true;
}

/* The digits as a negative number: it reaches one further than a positive one. */
static enum status read_negated(slice digits, int64_t *negated)
{
    if (digits.len == 0)
        return STATUS_MALFORMED;
    bool overflows = false;
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return STATUS_MALFORMED;
        overflows |= __builtin_mul_overflow(value, 10, &value);
        overflows |= __builtin_sub_overflow(value, digits.data[i] - '0', &value);
    }
    *negated = value;
    return overflows ? STATUS_RANGE : STATUS_OK;
}

enum status slice_to_int64(slice s, int64_t min, int64_t max, int64_t *value)
{
    bool is_negative = s.len > 0 && s.data[0] == '-';
    int64_t number;
    enum status status = read_negated(is_negative ? slice_from(s, 1) : s, &number);
    if (status != STATUS_OK)
        return status;
    if (!is_negative && __builtin_sub_overflow((int64_t)0, number, &number))
        return STATUS_RANGE;
    if (number < min || number > max)
        return STATUS_RANGE;
    *value = number;
    return STATUS_OK;
}
