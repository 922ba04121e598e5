/* SPDX-License-Identifier: Apache-2.0
 * See settings.h. A value comes from somewhere (struct origin), is found among the rows, stored by its row
 * (setting.c), and its text kept as long as the settings live. */
#include "base/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/setting.h"
#include "base/settings_file.h"

enum {
    MAX_PASSED = 256,        /* librdkafka has about 200 properties */
    MAX_PASSED_LEN = 4096,   /* of a passed value */
    MAX_NAME_LEN = 96,       /* "section.key"; longer names are no names of ours */
    MAX_SHOWN_VALUE_LEN = 96 /* in an error sentence */
};

struct source { /* of one row */
    char *text; /* owned; NULL: the row's fallback */
    int line;   /* of the file that set it; 0: none */
};

struct passed {
    char *key, *value; /* owned */
    int line;
};

struct settings {
    const struct setting_row *rows;
    size_t count;
    void *values;
    const char *passthrough; /* NULL: none */
    struct source *sources;  /* one a row */
    struct passed passed[MAX_PASSED];
    size_t passed_count;
};

/* Where a value was written: a file and its line, an environment variable, or --set. */
struct origin {
    const char *name;
    int line;
};

struct assignment {
    struct origin origin;
    const char *section, *key, *value;
};

static char *copy_text(slice text)
{
    char *copy = must_malloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

struct settings *settings_new(const struct setting_row *rows, size_t count, void *values,
                              const char *passthrough)
{
    struct settings *settings = must_calloc(1, sizeof(*settings));
    settings->rows = rows;
    settings->count = count;
    settings->values = values;
    settings->passthrough = passthrough;
    settings->sources = must_calloc(count + 1, sizeof(settings->sources[0]));
    for (size_t i = 0; i < count; i++) {
        struct why problem;
        MUST(setting_store(&rows[i], rows[i].fallback, values, &problem) == STATUS_OK);
    }
    return settings;
}

void settings_free(struct settings **settings)
{
    if (!*settings)
        return;
    for (size_t i = 0; i < (*settings)->count; i++)
        free((*settings)->sources[i].text);
    for (size_t i = 0; i < (*settings)->passed_count; i++) {
        free((*settings)->passed[i].key);
        free((*settings)->passed[i].value);
    }
    free((*settings)->sources);
    free(*settings);
    *settings = NULL;
}

/* ---- sentences ---- */

static const char *write_origin(const struct origin *origin, char out[256])
{
    if (origin->line > 0)
        snprintf(out, 256, "%s:%d", origin->name, origin->line);
    else
        snprintf(out, 256, "%s", origin->name);
    return out;
}

/* As much of a value as a sentence shows; what a terminal could act on is replaced. */
static const char *write_shown(const char *value, char out[MAX_SHOWN_VALUE_LEN + 4])
{
    size_t len = strnlen(value, MAX_SHOWN_VALUE_LEN);
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)value[i] < 0x20 || value[i] == 0x7f ? '?' : value[i];
    strcpy(out + len, value[len] ? "..." : "");
    return out;
}

static enum status refuse(const struct assignment *assignment, bool is_secret, enum status status,
                          const char *problem, struct why *why)
{
    char origin[256], shown[MAX_SHOWN_VALUE_LEN + 4];
    return why_say(why, status, "%s: %s.%s = %s: %s", write_origin(&assignment->origin, origin),
                   assignment->section, assignment->key,
                   is_secret ? "(not shown)" : write_shown(assignment->value, shown), problem);
}

/* ---- names ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many characters must be changed, added or taken away (Levenshtein), for names up to MAX_NAME_LEN. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_NAME_LEN + 1], len = strlen(b);
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = smallest(changed, row[j] + 1, diagonal + 1);
        }
    }
    return row[len];
}

static bool write_name(char out[MAX_NAME_LEN + 1], const char *section, const char *key)
{
    return snprintf(out, MAX_NAME_LEN + 1, "%s.%s", section, key) <= MAX_NAME_LEN;
}

/* The row whose name is most like this one; NULL when none is near. */
static const struct setting_row *find_nearest(const struct settings *settings, const char *wanted)
{
    const struct setting_row *nearest = NULL;
    size_t least = strlen(wanted) / 3 + 1;
    for (size_t i = 0; i < settings->count; i++) {
        char name[MAX_NAME_LEN + 1];
        MUST(write_name(name, settings->rows[i].section, settings->rows[i].key));
        size_t changes = distance(wanted, name);
        if (changes < least) {
            least = changes;
            nearest = &settings->rows[i];
        }
    }
    return nearest;
}

static enum status refuse_name(const struct settings *settings, const struct assignment *assignment,
                               struct why *why)
{
    char origin[256], name[MAX_NAME_LEN + 1];
    write_origin(&assignment->origin, origin);
    if (!assignment->section[0])
        return why_say(why, STATUS_MALFORMED, "%s: %.96s stands before the first [section]", origin,
                       assignment->key);
    bool is_short = write_name(name, assignment->section, assignment->key);
    const struct setting_row *nearest = is_short ? find_nearest(settings, name) : NULL;
    if (!nearest)
        return why_say(why, STATUS_NOT_FOUND, "%s: there is no setting %s; --print-config lists them", origin,
                       name);
    return why_say(why, STATUS_NOT_FOUND, "%s: there is no setting %s; did you mean %s.%s?", origin, name,
                   nearest->section, nearest->key);
}

static size_t find_row(const struct settings *settings, const char *section, const char *key)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->rows[i].section, section) == 0 && strcmp(settings->rows[i].key, key) == 0)
            return i;
    }
    return settings->count;
}

/* ---- taking a value ---- */

/* Within one file a second line for the same thing is a mistake that would else go unseen. */
static enum status check_once(const struct assignment *assignment, bool is_secret, int *line, struct why *why)
{
    char problem[64];
    if (assignment->origin.line > 0 && *line > 0) {
        snprintf(problem, sizeof(problem), "is set already in line %d; keep one of them", *line);
        return refuse(assignment, is_secret, STATUS_CONFLICT, problem, why);
    }
    *line = assignment->origin.line;
    return STATUS_OK;
}

static enum status take_row(struct settings *settings, size_t index, const struct assignment *assignment,
                            struct why *why)
{
    const struct setting_row *row = &settings->rows[index];
    struct source *source = &settings->sources[index];
    struct why problem;
    enum status status = check_once(assignment, row->type == SETTING_SECRET, &source->line, why);
    if (status != STATUS_OK)
        return status;
    char *text = copy_text(slice_trim(slice_of(assignment->value)));
    status = setting_store(row, text, settings->values, &problem);
    if (status != STATUS_OK) {
        free(text);
        return refuse(assignment, row->type == SETTING_SECRET, status, problem.text, why);
    }
    free(source->text);
    source->text = text;
    return STATUS_OK;
}

/* librdkafka's sasl.password, ssl.key.pem and the like. */
static bool is_secret_key(const char *key)
{
    return strstr(key, "password") || strstr(key, "secret") || strstr(key, "pem");
}

static struct passed *find_passed(struct settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->passed_count; i++) {
        if (strcmp(settings->passed[i].key, key) == 0)
            return &settings->passed[i];
    }
    return NULL;
}

static struct passed *add_passed(struct settings *settings, const char *key)
{
    if (settings->passed_count == MAX_PASSED)
        return NULL;
    struct passed *passed = &settings->passed[settings->passed_count++];
    *passed = (struct passed){.key = copy_text(slice_of(key)), .value = copy_text(SLICE(""))};
    return passed;
}

static enum status take_passed(struct settings *settings, const struct assignment *assignment,
                               struct why *why)
{
    struct why problem;
    bool is_secret = is_secret_key(assignment->key);
    enum status status = setting_check_text(assignment->value, MAX_PASSED_LEN, &problem);
    if (status != STATUS_OK)
        return refuse(assignment, is_secret, status, problem.text, why);
    struct passed *passed = find_passed(settings, assignment->key);
    if (!passed)
        passed = add_passed(settings, assignment->key);
    if (!passed)
        return refuse(assignment, is_secret, STATUS_FULL, "the section has more than 256 keys", why);
    status = check_once(assignment, is_secret, &passed->line, why);
    if (status != STATUS_OK)
        return status;
    free(passed->value);
    passed->value = copy_text(slice_trim(slice_of(assignment->value)));
    return STATUS_OK;
}

static enum status take(struct settings *settings, const struct assignment *assignment, struct why *why)
{
    if (settings->passthrough && strcmp(assignment->section, settings->passthrough) == 0)
        return take_passed(settings, assignment, why);
    size_t index = find_row(settings, assignment->section, assignment->key);
    if (index == settings->count)
        return refuse_name(settings, assignment, why);
    return take_row(settings, index, assignment, why);
}

/* ---- the three sources ---- */

static enum status take_entry(void *context, const struct settings_file_entry *entry, struct why *why)
{
    struct assignment assignment = {{entry->path, entry->line}, entry->section, entry->key, entry->value};
    return take(context, &assignment, why);
}

enum status settings_read_file(struct settings *settings, const char *path, struct why *why)
{
    for (size_t i = 0; i < settings->count; i++)
        settings->sources[i].line = 0;
    for (size_t i = 0; i < settings->passed_count; i++)
        settings->passed[i].line = 0;
    return settings_file_read(path, take_entry, settings, why);
}

/* "FOOTFALL_HTTP_LISTEN" */
static void write_variable(char out[MAX_NAME_LEN + 16], const struct setting_row *row)
{
    int len = snprintf(out, MAX_NAME_LEN + 16, "FOOTFALL_%s_%s", row->section, row->key);
    MUST(len < MAX_NAME_LEN + 16);
    for (char *c = out; *c; c++)
        *c = *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static const char *find_variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    }
    return NULL;
}

enum status settings_read_environment(struct settings *settings, char *const *environment, struct why *why)
{
    for (size_t i = 0; i < settings->count; i++) {
        char name[MAX_NAME_LEN + 16];
        const struct setting_row *row = &settings->rows[i];
        write_variable(name, row);
        const char *value = find_variable(environment, name);
        if (!value)
            continue;
        struct assignment assignment = {{name, 0}, row->section, row->key, value};
        enum status status = take_row(settings, i, &assignment, why);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status settings_set(struct settings *settings, const char *assignment, struct why *why)
{
    slice value = slice_of(assignment), section, key;
    if (!slice_cut(&value, '=', &key) || !value.data || !slice_cut(&key, '.', &section) || !key.data)
        return why_say(why, STATUS_MALFORMED, "--set %.96s: expected section.key=value", assignment);
    char *section_text = copy_text(slice_trim(section));
    char *key_text = copy_text(slice_trim(key));
    struct assignment parts = {{"--set", 0}, section_text, key_text, value.data};
    enum status status = take(settings, &parts, why);
    free(section_text);
    free(key_text);
    return status;
}

/* ---- printing ---- */

/* `key =` alone when there is nothing to say, so that no line ends in a space. */
static void print_pair(const char *key, slice value, struct buf *out)
{
    buf_add_format(out, "%s =%s", key, value.len > 0 ? " " : "");
    buf_add(out, value);
    buf_add_char(out, '\n');
}

static void print_row(const struct settings *settings, size_t index, struct buf *out)
{
    char memory[SETTINGS_FILE_MAX_LINE_BYTES];
    struct buf value;
    const struct setting_row *row = &settings->rows[index];
    const char *text = settings->sources[index].text;
    buf_add_format(out, "\n# %s\n# ", row->help);
    setting_add_kind(out, row);
    if (row->fallback[0])
        buf_add_format(out, "; default %s", row->fallback);
    buf_add_char(out, '\n');
    if (row->type == SETTING_SECRET && text && text[0])
        buf_add(out, SLICE("# It is set, and not shown here.\n"));
    buf_init(&value, memory, sizeof(memory));
    setting_add_value(&value, row, settings->values);
    print_pair(row->key, buf_slice(&value), out);
}

static void print_passed(const struct passed *passed, struct buf *out)
{
    if (is_secret_key(passed->key))
        buf_add_format(out, "# %s is set, and not shown here.\n", passed->key);
    else
        print_pair(passed->key, slice_of(passed->value), out);
}

void settings_print(const struct settings *settings, struct buf *out)
{
    const char *section = "";
    buf_add(out, SLICE("# Settings in force. A comment stands on a line of its own, after '#'.\n"
                       "# Precedence: defaults, this file, FOOTFALL_<SECTION>_<KEY> in the environment, "
                       "--set section.key=value.\n"));
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->rows[i].section, section) != 0)
            buf_add_format(out, "\n[%s]\n", settings->rows[i].section);
        section = settings->rows[i].section;
        print_row(settings, i, out);
    }
    if (!settings->passthrough)
        return;
    buf_add_format(out, "\n[%s]\n# Each key of this section is passed on as it stands.\n",
                   settings->passthrough);
    for (size_t i = 0; i < settings->passed_count; i++)
        print_passed(&settings->passed[i], out);
}

size_t settings_passed_count(const struct settings *settings)
{
    return settings->passed_count;
}

struct setting_pair settings_passed(const struct settings *settings, size_t index)
{
    MUST(index < settings->passed_count);
    return (struct setting_pair){settings->passed[index].key, settings->passed[index].value};
}

bool settings_list_next(slice *rest, slice *item)
{
    while (slice_cut(rest, ',', item)) {
        *item = slice_trim(*item);
        if (item->len > 0)
            return true;
    }
    return false;
}
