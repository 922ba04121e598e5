/* SPDX-License-Identifier: Apache-2.0
 * setting: one value of a settings table: from text to the program's struct and back.
 *
 * Called by settings, which knows where the text came from and owns it. Pure, any thread. What can fail: the
 * text does not fit the row; the problem is half a sentence ("must be true or false") that settings puts
 * after the name and the value. */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include "base/settings.h"

/* Stores the value of text at the row's offset in values; texts are borrowed as long as values are used.
 * Untouched on failure. */
enum status setting_store(const struct setting_row *row, const char *text, void *values,
                          struct why *problem) MUST_CHECK;
/* Whether a file can hold this text: clean UTF-8, short enough, nothing that reads as a comment. */
enum status setting_check_text(const char *text, size_t max_len, struct why *problem) MUST_CHECK;
/* Appends the value as setting_store reads it; nothing for a secret. */
void setting_add_value(struct buf *out, const struct setting_row *row, const void *values);
/* Appends what the row takes: "a duration from 1s to 1h". */
void setting_add_kind(struct buf *out, const struct setting_row *row);

#endif
