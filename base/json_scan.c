/* SPDX-License-Identifier: Apache-2.0
 * See json_scan.h. */
#include "base/json_scan.h"

#include "base/hex.h"

/* The UTF-16 unit of the \uXXXX that stands here, or JSON_NOT_AN_ESCAPE. */
static int32_t read_unit(const char *at, const char *end)
{
    if (end - at < JSON_UNICODE_ESCAPE_LEN || at[0] != '\\' || at[1] != 'u')
        return JSON_NOT_AN_ESCAPE;
    int32_t unit = 0;
    for (int i = 2; i < JSON_UNICODE_ESCAPE_LEN; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return JSON_NOT_AN_ESCAPE;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

int32_t json_read_unicode(const char **at, const char *end)
{
    int32_t unit = read_unit(*at, end);
    if (unit == JSON_NOT_AN_ESCAPE || is_low_surrogate(unit))
        return JSON_NOT_AN_ESCAPE;
    if (!is_high_surrogate(unit)) {
        *at += JSON_UNICODE_ESCAPE_LEN;
        return unit;
    }
    int32_t low = read_unit(*at + JSON_UNICODE_ESCAPE_LEN, end);
    if (low == JSON_NOT_AN_ESCAPE || !is_low_surrogate(low))
        return JSON_NOT_AN_ESCAPE;
    *at += 2 * JSON_UNICODE_ESCAPE_LEN;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

char json_unescape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}
