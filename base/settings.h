/* SPDX-License-Identifier: Apache-2.0
 * settings: a program's settings from one table of rows: defaults < file < FOOTFALL_<SECTION>_<KEY> < --set.
 *
 * A row says section, key, type, where the value goes, default, range, help. From the same rows come the
 * checks, the error sentences (with file and line), --print-config (a commented file that loads again;
 * secrets masked as empty with a comment) and the documentation. Files are read by inih: `[section]`, `key =
 * value`, comments on lines of their own. Unknown sections or keys, and a key given twice, are errors. One
 * section may be passed through as it stands (`[rdkafka]`): its keys are kept in a list for librdkafka. Text
 * values are owned by the settings object until settings_free. Start-up only; one thread. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/buf.h"

enum setting_type {
    SETTING_TEXT,     /* const char * */
    SETTING_SECRET,   /* const char *, never printed */
    SETTING_BOOL,     /* bool: true, false */
    SETTING_INT,      /* int64_t in [min, max] */
    SETTING_DURATION, /* int64_t ms: 250ms 15s 5min 24h 90d */
    SETTING_SIZE,     /* int64_t bytes: 64KiB 8GiB, plain = bytes */
    SETTING_CHOICE,   /* int: index in choices, separated by '|' */
    SETTING_LIST,     /* const char *, comma separated; see settings_list_next */
    SETTING_LISTEN,   /* const char *: host:port, [v6]:port or unix:/path; empty = off */
};

struct setting_row {
    const char *section;
    const char *key;
    enum setting_type type;
    size_t offset; /* of the value in the program's own struct */
    const char *fallback;
    /* SETTING_INT, _DURATION (ms), _SIZE (bytes): the range, both 0 for anything from 0 up. Texts: max is the
     * most bytes (0: 4096), min 1 says that it must not be empty. */
    int64_t min, max;
    const char *choices;
    const char *help; /* one sentence, printed as a comment */
};

struct setting_pair { /* one key of the passed-through section */
    const char *key;
    const char *value;
};

struct settings;

/* values: the program's struct, filled with all defaults at once. passthrough: a section name or NULL. */
struct settings *settings_new(const struct setting_row *rows, size_t count, void *values,
                              const char *passthrough);
void settings_free(struct settings **settings);
enum status settings_read_file(struct settings *settings, const char *path, struct why *why) MUST_CHECK;
/* FOOTFALL_HTTP_LISTEN and so on, for the rows there are (and FOOTFALL_RDKAFKA_… is not taken: use --set). */
enum status settings_read_environment(struct settings *settings, char *const *environment,
                                      struct why *why) MUST_CHECK;
/* "section.key=value" */
enum status settings_set(struct settings *settings, const char *assignment, struct why *why) MUST_CHECK;
void settings_print(const struct settings *settings, struct buf *out);
size_t settings_passed_count(const struct settings *settings);
struct setting_pair settings_passed(const struct settings *settings, size_t index);
/* Walks a SETTING_LIST: *rest starts as slice_of(list); items are trimmed, empty ones skipped. */
bool settings_list_next(slice *rest, slice *item);

#endif
