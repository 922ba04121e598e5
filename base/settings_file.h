/* SPDX-License-Identifier: Apache-2.0
 * settings_file: the lines of a settings file, read by inih, checked before inih sees them.
 *
 * Called by settings. inih cuts long lines, joins indented ones and drops what stands after " ;": here each
 * of these is an error with its line, or cannot happen. Limits: lines of 16 KiB, 10,000 lines. Start-up only.
 * The only file with ini.h is settings_file.c. */
#ifndef BASE_SETTINGS_FILE_H
#define BASE_SETTINGS_FILE_H

#include "base/status.h"

enum { SETTINGS_FILE_MAX_LINE_BYTES = 16 * 1024, SETTINGS_FILE_MAX_LINES = 10000 };

struct settings_file_entry {
    const char *path;
    int line;
    const char *section; /* "" before the first one */
    const char *key;
    const char *value;
};

/* Takes one entry, whose texts are borrowed until it returns; anything but STATUS_OK (with *why) ends the
 * reading. */
typedef enum status settings_file_fn(void *context, const struct settings_file_entry *entry, struct why *why);

/* UNAVAILABLE: the file cannot be read; MALFORMED, TOO_BIG: a line is wrong; else what take
 * says. */
enum status settings_file_read(const char *path, settings_file_fn *take, void *context,
                               struct why *why) MUST_CHECK;

#endif
