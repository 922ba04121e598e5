/* SPDX-License-Identifier: Apache-2.0
 * See utf8.h. */
#include "base/utf8.h"

#include <stdbool.h>

#include "base/status.h"

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* What the lead byte announces, and the range of the second byte, which is where overlong forms, surrogates
 * and values above U+10FFFF show (Unicode, table 3-7). */
struct lead {
    unsigned char len, second_min, second_max;
};

static struct lead read_lead(unsigned char c)
{
    if (c >= 0xc2 && c <= 0xdf)
        return (struct lead){2, 0x80, 0xbf};
    if (c >= 0xe0 && c <= 0xef)
        return (struct lead){3, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
    if (c >= 0xf0 && c <= 0xf4)
        return (struct lead){4, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* How many bytes from the start belong together: all that the lead announces, or those before the first that
 * does not fit. */
static size_t count_fitting(const unsigned char *at, size_t len, struct lead lead)
{
    if (lead.len == 0 || len < 2 || at[1] < lead.second_min || at[1] > lead.second_max)
        return 1;
    size_t fitting = 2;
    while (fitting < lead.len && fitting < len && is_continuation(at[fitting]))
        fitting++;
    return fitting;
}

size_t utf8_character_len(const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (at[0] < 0x80)
        return 1;
    struct lead lead = read_lead(at[0]);
    return lead.len > 0 && count_fitting(at, len, lead) == lead.len ? lead.len : 0;
}

size_t utf8_invalid_len(const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    return count_fitting(at, len, read_lead(at[0]));
}

uint32_t utf8_code_point(const char *bytes, size_t len)
{
    static const unsigned char lead_mask[UTF8_MAX_LEN + 1] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    MUST(len >= 1 && len <= UTF8_MAX_LEN);
    uint32_t code_point = (unsigned char)bytes[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++)
        code_point = code_point << 6 | ((unsigned char)bytes[i] & 0x3f);
    return code_point;
}

static char continuation(uint32_t bits)
{
    return (char)(0x80 | (bits & 0x3f));
}

size_t utf8_write(uint32_t code_point, char out[UTF8_MAX_LEN])
{
    MUST(code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff));
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0 | code_point >> 6);
        out[1] = continuation(code_point);
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0 | code_point >> 12);
        out[1] = continuation(code_point >> 6);
        out[2] = continuation(code_point);
        return 3;
    }
    out[0] = (char)(0xf0 | code_point >> 18);
    out[1] = continuation(code_point >> 12);
    out[2] = continuation(code_point >> 6);
    out[3] = continuation(code_point);
    return 4;
}
