/* SPDX-License-Identifier: Apache-2.0
 * hex: the value of a hexadecimal digit, either case. For uuid, percent-decoding and JSON escapes. Pure, any
 * thread. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdint.h>

extern const uint8_t hex_values_and_one[256]; /* 0: no digit */

/* 0 to 15, or -1. */
static inline int hex_value(char c)
{
    return hex_values_and_one[(unsigned char)c] - 1;
}

#endif
