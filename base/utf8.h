/* SPDX-License-Identifier: Apache-2.0
 * utf8: one character of UTF-8 at a time, checked.
 *
 * Used by text and json, which must agree on what is valid: no overlong forms, no surrogates, nothing above
 * U+10FFFF (RFC 3629). Pure, any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX_LEN = 4 };

/* The length of the valid character at the start of these bytes (len >= 1); 0 when there is none. NUL is one.
 */
size_t utf8_character_len(const char *bytes, size_t len);
/* The length of the invalid sequence at the start of these bytes (len >= 1): Unicode's maximal subpart, which
 * stands for one U+FFFD. */
size_t utf8_invalid_len(const char *bytes, size_t len);
/* The code point of a valid character of that length. */
uint32_t utf8_code_point(const char *bytes, size_t len);
/* Writes a code point that is no surrogate and at most U+10FFFF (MUST); returns its length. */
size_t utf8_write(uint32_t code_point, char out[UTF8_MAX_LEN]);

#endif
