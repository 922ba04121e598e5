/* SPDX-License-Identifier: Apache-2.0
 * text: what may stand in a text column: valid UTF-8 without NUL and C0 controls.
 *
 * Postgres refuses invalid UTF-8 and NUL (22021), so the collector cleans what it takes and the aggregator
 * cleans again what other producers wrote. Also the decoding of %XX. Pure, any thread. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

/* True when s is valid UTF-8 (no surrogates, no overlong forms) without NUL, C0 controls and DEL. Fast on
 * ASCII. */
bool text_is_clean(slice s);
/* Appends s with each invalid byte sequence as U+FFFD and controls dropped; at most max_len bytes of s's
 * cleaned form are added, cut at a character. Returns true when something was changed. */
bool text_add_clean(struct buf *out, slice s, size_t max_len);
/* Percent-decoding of one query or form component ('+' is a space when plus_is_space). A '%' without two hex
 * digits is MALFORMED. Appends to out. */
enum status text_add_percent_decoded(struct buf *out, slice s, bool plus_is_space) MUST_CHECK;

#endif
