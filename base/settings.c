/* SPDX-License-Identifier: Apache-2.0
 * settings: see the header. */
#include "base/settings.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TEXT_BYTES = 4096, /* of a value, where the row does not say */
    MAX_LINE_BYTES = 8192, /* of a file */
    MAX_FILE_BYTES = 1024 * 1024,
    MAX_PASSED = 128,
    MAX_NAME_BYTES = 128, /* section.key */
};

struct settings {
    const struct setting_row *rows;
    size_t count;
    char *values; /* the program's struct */
    const char *passthrough;
    char **texts; /* by row: what a text value points to; NULL for the fallback */
    size_t passed_count;
    struct setting_pair passed[MAX_PASSED];
};

static char *copy_slice(slice s)
{
    char *copy = must_malloc(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

/* ---- Reading one value ---- */

struct unit {
    slice name;
    int64_t factor;
};

static const struct unit duration_units[] = {{{"ms", 2}, 1},      {{"s", 1}, 1000},     {{"min", 3}, 60000},
                                             {{"h", 1}, 3600000}, {{"d", 1}, 86400000}, {{0}, 0}};
static const struct unit size_units[] = {{{"", 0}, 1},
                                         {{"B", 1}, 1},
                                         {{"KiB", 3}, 1024},
                                         {{"MiB", 3}, 1024 * 1024},
                                         {{"GiB", 3}, 1024 * 1024 * 1024},
                                         {{0}, 0}};

/* "15s": digits, then one of the units. "0" needs none. */
static enum status read_with_unit(slice text, const struct unit *units, int64_t *value)
{
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    enum status status = slice_to_int64(slice_head(text, digits), 0, INT64_MAX, value);
    if (status != STATUS_OK)
        return status;
    slice unit = slice_trim(slice_from(text, digits));
    if (*value == 0 && unit.len == 0)
        return STATUS_OK;
    for (; units->factor != 0; units++)
        if (slice_equals(units->name, unit))
            return __builtin_mul_overflow(*value, units->factor, value) ? STATUS_RANGE : STATUS_OK;
    return STATUS_MALFORMED;
}

static enum status read_number(const struct setting_row *row, slice text, int64_t *value)
{
    enum status status = row->type == SETTING_DURATION ? read_with_unit(text, duration_units, value)
                         : row->type == SETTING_SIZE   ? read_with_unit(text, size_units, value)
                                                       : slice_to_int64(text, INT64_MIN, INT64_MAX, value);
    if (status == STATUS_OK && (*value < row->min || *value > row->max))
        return STATUS_RANGE;
    return status;
}

static enum status read_bool(slice text, bool *value)
{
    *value = slice_equals(text, SLICE("true"));
    return *value || slice_equals(text, SLICE("false")) ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_choice(const struct setting_row *row, slice text, int *value)
{
    slice rest = slice_of(row->choices), choice;
    for (int i = 0; slice_cut(&rest, '|', &choice); i++)
        if (slice_equals(choice, text)) {
            *value = i;
            return STATUS_OK;
        }
    return STATUS_MALFORMED;
}

static bool is_port(slice text)
{
    int64_t port;
    return slice_to_int64(text, 0, 65535, &port) == STATUS_OK;
}

/* host:port, [v6]:port, unix:/path or nothing. Whether it can be listened on is found out by listening. */
static enum status check_listen(slice text)
{
    if (text.len == 0)
        return STATUS_OK;
    if (slice_starts_with(text, SLICE("unix:")))
        return text.len > 6 && text.data[5] == '/' ? STATUS_OK : STATUS_MALFORMED;
    if (text.data[0] == '[') {
        size_t end = slice_find(text, ']');
        bool good =
            end > 1 && end + 1 < text.len && text.data[end + 1] == ':' && is_port(slice_from(text, end + 2));
        return good ? STATUS_OK : STATUS_MALFORMED;
    }
    size_t colon = slice_find(text, ':');
    return colon > 0 && colon < text.len && is_port(slice_from(text, colon + 1)) ? STATUS_OK
                                                                                 : STATUS_MALFORMED;
}

static bool is_text(const struct setting_row *row)
{
    return row->type == SETTING_TEXT || row->type == SETTING_SECRET || row->type == SETTING_LIST ||
           row->type == SETTING_LISTEN;
}

static enum status check_text(const struct setting_row *row, slice text)
{
    size_t max = row->max > 0 ? (size_t)row->max : MAX_TEXT_BYTES;
    if (text.len > max)
        return STATUS_TOO_BIG;
    return row->type == SETTING_LISTEN ? check_listen(text) : STATUS_OK;
}

static void keep_text(struct settings *settings, size_t row, slice text)
{
    free(settings->texts[row]);
    settings->texts[row] = copy_slice(text);
    *(const char **)(settings->values + settings->rows[row].offset) = settings->texts[row];
}

static enum status assign(struct settings *settings, size_t index, slice text)
{
    const struct setting_row *row = &settings->rows[index];
    char *at = settings->values + row->offset;
    enum status status;
    if (is_text(row)) {
        status = check_text(row, text);
        if (status == STATUS_OK)
            keep_text(settings, index, text);
    } else if (row->type == SETTING_BOOL) {
        bool value;
        if ((status = read_bool(text, &value)) == STATUS_OK)
            *(bool *)at = value;
    } else if (row->type == SETTING_CHOICE) {
        int value;
        if ((status = read_choice(row, text, &value)) == STATUS_OK)
            *(int *)at = value;
    } else {
        int64_t value;
        if ((status = read_number(row, text, &value)) == STATUS_OK)
            *(int64_t *)at = value;
    }
    return status;
}

/* ---- Saying what is wrong ---- */

static void add_amount(struct buf *out, const struct setting_row *row, int64_t value)
{
    const struct unit *units = row->type == SETTING_DURATION ? duration_units
                               : row->type == SETTING_SIZE   ? size_units + 1
                                                             : NULL;
    if (units == NULL || value == 0) {
        buf_add_int64(out, value);
        return;
    }
    const struct unit *best = units;
    for (; units->factor != 0; units++)
        if (value % units->factor == 0)
            best = units;
    buf_add_int64(out, value / best->factor);
    buf_add(out, best->name);
}

static const char *expected_form(const struct setting_row *row)
{
    switch (row->type) {
    case SETTING_BOOL:
        return "true or false";
    case SETTING_DURATION:
        return "a duration such as 250ms, 15s, 5min, 24h or 90d";
    case SETTING_SIZE:
        return "a size such as 4096, 64KiB, 16MiB or 8GiB";
    case SETTING_LISTEN:
        return "host:port, [v6]:port, unix:/path or nothing (off)";
    case SETTING_INT:
        return "a whole number";
    case SETTING_CHOICE:
        return row->choices;
    default:
        return "a shorter text";
    }
}

/* What would be right, in words. */
static void add_expected(struct buf *out, const struct setting_row *row)
{
    if (row->type == SETTING_CHOICE)
        buf_add(out, SLICE("one of "));
    buf_add(out, slice_of(expected_form(row)));
    if (is_text(row) && row->type != SETTING_LISTEN)
        buf_add_format(out, " (at most %lld bytes)", (long long)(row->max > 0 ? row->max : MAX_TEXT_BYTES));
    if (row->type == SETTING_INT || row->type == SETTING_DURATION || row->type == SETTING_SIZE) {
        buf_add(out, SLICE(" from "));
        add_amount(out, row, row->min);
        buf_add(out, SLICE(" to "));
        add_amount(out, row, row->max);
    }
}

static enum status refuse_value(const struct setting_row *row, const char *where, slice text,
                                enum status status, struct why *why)
{
    char memory[256];
    struct buf expected;
    buf_init(&expected, memory, sizeof memory);
    add_expected(&expected, row);
    int shown = text.len < 100 ? (int)text.len : 100;
    if (row->type == SETTING_SECRET)
        shown = 0;
    return why_say(why, status, "%s: %s.%s = \"%.*s\" is not right: it must be %.*s", where, row->section,
                   row->key, shown, text.data != NULL ? text.data : "", SLICE_ARGS(buf_slice(&expected)));
}

/* How many single-character edits lead from a to b (Levenshtein); names are short. */
static size_t distance(slice a, slice b)
{
    size_t row[MAX_NAME_BYTES + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t changed = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[b.len];
}

static size_t write_name(const struct setting_row *row, char out[MAX_NAME_BYTES])
{
    int len = snprintf(out, MAX_NAME_BYTES, "%s.%s", row->section, row->key);
    MUST(len > 0 && len < MAX_NAME_BYTES);
    return (size_t)len;
}

static enum status refuse_name(const struct settings *settings, const char *where, slice name,
                               struct why *why)
{
    char candidate[MAX_NAME_BYTES], nearest[MAX_NAME_BYTES] = "";
    size_t best = 4; /* farther is no typing error */
    if (name.len > MAX_NAME_BYTES)
        name.len = MAX_NAME_BYTES;
    for (size_t i = 0; i < settings->count; i++) {
        size_t len = write_name(&settings->rows[i], candidate);
        size_t edits = distance(name, (slice){candidate, len});
        if (edits < best) {
            best = edits;
            memcpy(nearest, candidate, len + 1);
        }
    }
    if (nearest[0] != '\0')
        return why_say(why, STATUS_NOT_FOUND, "%s: there is no setting %.*s; did you mean %s?", where,
                       SLICE_ARGS(name), nearest);
    return why_say(why, STATUS_NOT_FOUND, "%s: there is no setting %.*s; --print-config lists all", where,
                   SLICE_ARGS(name));
}

/* ---- Taking one assignment ---- */

static enum status pass(struct settings *settings, const char *where, slice key, slice value, struct why *why)
{
    if (key.len == 0 || key.len > MAX_NAME_BYTES || value.len > MAX_TEXT_BYTES)
        return why_say(why, STATUS_TOO_BIG, "%s: %s.%.*s is too long", where, settings->passthrough,
                       key.len < 100 ? (int)key.len : 100, key.data);
    for (size_t i = 0; i < settings->passed_count; i++)
        if (slice_equals(slice_of(settings->passed[i].key), key)) {
            free((char *)settings->passed[i].value);
            settings->passed[i].value = copy_slice(value);
            return STATUS_OK;
        }
    if (settings->passed_count == MAX_PASSED)
        return why_say(why, STATUS_FULL, "%s: section [%s] holds more than %d keys", where,
                       settings->passthrough, MAX_PASSED);
    settings->passed[settings->passed_count++] = (struct setting_pair){copy_slice(key), copy_slice(value)};
    return STATUS_OK;
}

static enum status take(struct settings *settings, const char *where, const struct setting_pair *name,
                        slice value, struct why *why)
{
    if (settings->passthrough != NULL && strcmp(name->key, settings->passthrough) == 0)
        return pass(settings, where, slice_of(name->value), value, why);
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting_row *row = &settings->rows[i];
        if (strcmp(row->section, name->key) != 0 || strcmp(row->key, name->value) != 0)
            continue;
        enum status status = assign(settings, i, value);
        return status == STATUS_OK ? STATUS_OK : refuse_value(row, where, value, status, why);
    }
    char full[2 * MAX_NAME_BYTES];
    snprintf(full, sizeof full, "%.120s.%.120s", name->key, name->value);
    return refuse_name(settings, where, slice_of(full), why);
}

/* ---- Files ---- */

struct reading {
    struct settings *settings;
    const char *path;
    slice rest; /* of the file's text */
    int line;   /* the one that inih is given */
    struct why *why;
    enum status status;
};

/* Debian's inih does not tell the line with the pair, so we give it the lines and count them. */
static char *next_line(char *out, int size, void *stream)
{
    struct reading *reading = stream;
    slice line;
    if (reading->rest.len == 0 || !slice_cut(&reading->rest, '\n', &line))
        return NULL;
    MUST(line.len < (size_t)size);
    memcpy(out, line.data, line.len);
    out[line.len] = '\0';
    reading->line++;
    return out;
}

static int on_pair(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    if (reading->status != STATUS_OK) /* the first error is the one that is said */
        return 0;
    char where[1024];
    snprintf(where, sizeof where, "%s:%d", reading->path, reading->line);
    struct setting_pair full = {section, name};
    reading->status = take(reading->settings, where, &full, slice_of(value), reading->why);
    return reading->status == STATUS_OK;
}

static enum status check_lines(const char *path, slice text, struct why *why)
{
    slice line;
    for (int number = 1; slice_cut(&text, '\n', &line); number++) {
        if (line.len > MAX_LINE_BYTES)
            return why_say(why, STATUS_TOO_BIG, "%s:%d: the line is longer than %d bytes", path, number,
                           MAX_LINE_BYTES);
        for (size_t i = 0; i < line.len; i++)
            if ((unsigned char)line.data[i] < ' ' && line.data[i] != '\t' && line.data[i] != '\r')
                return why_say(why, STATUS_MALFORMED, "%s:%d: the line holds a control character", path,
                               number);
    }
    return STATUS_OK;
}

/* What we want of inih is not its default: long lines, no continuation lines, ';' inside values. */
static void set_up_inih(void)
{
    ini_max_line = MAX_LINE_BYTES + 3;
    ini_use_stack = true;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_stop_on_first_error = true;
}

static enum status parse(struct settings *settings, const char *path, slice text, struct why *why)
{
    struct reading reading = {.settings = settings, .path = path, .rest = text, .why = why};
    set_up_inih();
    int line = ini_parse_stream(next_line, &reading, on_pair, &reading);
    if (reading.status != STATUS_OK)
        return reading.status;
    if (line > 0)
        return why_say(why, STATUS_MALFORMED,
                       "%s:%d: the line is neither [section], key = value, nor a # comment", path, line);
    return STATUS_OK;
}

static enum status read_whole(FILE *file, const char *path, char *memory, slice *text, struct why *why)
{
    size_t len = fread(memory, 1, MAX_FILE_BYTES + 1, file);
    if (ferror(file))
        return why_say(why, STATUS_UNAVAILABLE, "%s: cannot be read: %s", path, strerror(errno));
    if (len > MAX_FILE_BYTES)
        return why_say(why, STATUS_TOO_BIG, "%s: the file is larger than %d bytes", path, MAX_FILE_BYTES);
    *text = (slice){memory, len};
    return check_lines(path, *text, why);
}

enum status settings_read_file(struct settings *settings, const char *path, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, STATUS_NOT_FOUND, "%s: cannot be opened: %s", path, strerror(errno));
    char *memory = must_malloc(MAX_FILE_BYTES + 1);
    slice text;
    enum status status = read_whole(file, path, memory, &text, why);
    fclose(file);
    if (status == STATUS_OK)
        status = parse(settings, path, text, why);
    free(memory);
    return status;
}

/* ---- Environment and command line ---- */

static void write_variable(const struct setting_row *row, char out[MAX_NAME_BYTES + 16])
{
    int len = snprintf(out, MAX_NAME_BYTES + 16, "FOOTFALL_%s_%s", row->section, row->key);
    for (int i = 0; i < len; i++) {
        if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
        else if (out[i] == '.' || out[i] == '-')
            out[i] = '_';
    }
}

enum status settings_read_environment(struct settings *settings, char *const *environment, struct why *why)
{
    for (size_t i = 0; i < settings->count; i++) {
        char name[MAX_NAME_BYTES + 16];
        write_variable(&settings->rows[i], name);
        size_t len = strlen(name);
        for (char *const *entry = environment; *entry != NULL; entry++) {
            if (strncmp(*entry, name, len) != 0 || (*entry)[len] != '=')
                continue;
            slice value = slice_of(*entry + len + 1);
            enum status status = assign(settings, i, value);
            if (status != STATUS_OK)
                return refuse_value(&settings->rows[i], name, value, status, why);
        }
    }
    return STATUS_OK;
}

enum status settings_set(struct settings *settings, const char *assignment, struct why *why)
{
    slice rest = slice_of(assignment);
    size_t equals = slice_find(rest, '=');
    slice name = slice_trim(slice_head(rest, equals));
    size_t dot = slice_find(name, '.');
    if (equals == rest.len || dot == 0 || dot >= name.len - 1)
        return why_say(why, STATUS_MALFORMED, "--set %.200s: it must be section.key=value", assignment);
    char *section = copy_slice(slice_head(name, dot));
    char *key = copy_slice(slice_from(name, dot + 1));
    struct setting_pair full = {section, key};
    enum status status = take(settings, "--set", &full, slice_trim(slice_from(rest, equals + 1)), why);
    free(section);
    free(key);
    return status;
}

/* ---- Printing ---- */

static void print_value(const struct settings *settings, const struct setting_row *row, struct buf *out)
{
    const char *at = settings->values + row->offset;
    if (row->type == SETTING_SECRET)
        return;
    if (is_text(row)) {
        buf_add(out, slice_of(*(const char *const *)at));
    } else if (row->type == SETTING_BOOL) {
        buf_add(out, *(const bool *)at ? SLICE("true") : SLICE("false"));
    } else if (row->type == SETTING_CHOICE) {
        slice rest = slice_of(row->choices), choice = {NULL, 0};
        for (int i = 0; i <= *(const int *)at; i++)
            MUST(slice_cut(&rest, '|', &choice));
        buf_add(out, choice);
    } else {
        add_amount(out, row, *(const int64_t *)at);
    }
}

static void print_row(const struct settings *settings, const struct setting_row *row, struct buf *out)
{
    buf_add_format(out, "# %s", row->help);
    if (!is_text(row)) {
        buf_add(out, SLICE(" ("));
        add_expected(out, row);
        buf_add_char(out, ')');
    }
    bool is_hidden =
        row->type == SETTING_SECRET && (*(const char *const *)(settings->values + row->offset))[0] != '\0';
    buf_add_format(out, "%s\n%s =", is_hidden ? " (it is set; secrets are not printed)" : "", row->key);
    size_t before = out->len;
    buf_add_char(out, ' ');
    print_value(settings, row, out);
    if (out->len == before + 1)
        out->len = before;
    buf_add_char(out, '\n');
}

void settings_print(const struct settings *settings, struct buf *out)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting_row *row = &settings->rows[i];
        if (i == 0 || strcmp(row->section, settings->rows[i - 1].section) != 0)
            buf_add_format(out, "%s[%s]\n", i > 0 ? "\n" : "", row->section);
        print_row(settings, row, out);
    }
    if (settings->passthrough == NULL)
        return;
    buf_add_format(out, "\n# Passed on as it stands; values are not printed, since some are secrets.\n[%s]\n",
                   settings->passthrough);
    for (size_t i = 0; i < settings->passed_count; i++)
        buf_add_format(out, "# %s is set\n", settings->passed[i].key);
}

/* ---- The object ---- */

struct settings *settings_new(const struct setting_row *rows, size_t count, void *values,
                              const char *passthrough)
{
    struct settings *settings = must_calloc(1, sizeof *settings);
    settings->rows = rows;
    settings->count = count;
    settings->values = values;
    settings->passthrough = passthrough;
    settings->texts = must_calloc(count, sizeof *settings->texts);
    for (size_t i = 0; i < count; i++)
        MUST(assign(settings, i, slice_of(rows[i].fallback)) == STATUS_OK);
    return settings;
}

void settings_free(struct settings **settings)
{
    if (*settings == NULL)
        return;
    for (size_t i = 0; i < (*settings)->count; i++)
        free((*settings)->texts[i]);
    for (size_t i = 0; i < (*settings)->passed_count; i++) {
        free((char *)(*settings)->passed[i].key);
        free((char *)(*settings)->passed[i].value);
    }
    free((*settings)->texts);
    free(*settings);
    *settings = NULL;
}

size_t settings_passed_count(const struct settings *settings)
{
    return settings->passed_count;
}

struct setting_pair settings_passed(const struct settings *settings, size_t index)
{
    MUST(index < settings->passed_count);
    return settings->passed[index];
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
