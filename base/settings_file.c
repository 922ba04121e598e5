/* SPDX-License-Identifier: Apache-2.0
 * See settings_file.h. */
#include "base/settings_file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reading {
    FILE *file;
    const char *path;
    int line;
    enum status status; /* the first thing that went wrong */
    settings_file_fn *take;
    void *context;
    struct why *why;
};

static void refuse(struct reading *reading, enum status status, const char *problem)
{
    reading->status = why_say(reading->why, status, "%s:%d: %s", reading->path, reading->line, problem);
}

static bool is_control(int c)
{
    return (c < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
}

/* Reads up to the end of the line, which is not kept; false when nothing is left. Blanks before it go, for
 * inih takes an indented line for the rest of the one above. */
static bool read_bytes(struct reading *reading, char *line, int max_len)
{
    int c, len = 0;
    while ((c = getc(reading->file)) != EOF && c != '\n') {
        if (is_control(c))
            refuse(reading, STATUS_MALFORMED, "this line holds a control character");
        else if (len == max_len)
            refuse(reading, STATUS_TOO_BIG, "this line is longer than 16 KiB");
        else if (len > 0 || (c != ' ' && c != '\t'))
            line[len++] = (char)c;
        if (reading->status != STATUS_OK)
            return false;
    }
    line[len] = '\0';
    return c != EOF || len > 0;
}

static void cut_blanks(char *line)
{
    size_t len = strlen(line);
    while (len > 0 && strchr(" \t\r", line[len - 1]))
        len--;
    line[len] = '\0';
}

static bool is_comment(const char *line)
{
    return line[0] == '#' || line[0] == ';';
}

/* What inih would drop in silence. */
static void check_line(struct reading *reading, const char *line)
{
    size_t len = strlen(line);
    if (is_comment(line))
        return;
    if (line[0] == '[' && (len < 3 || strchr(line, ']') != line + len - 1))
        refuse(reading, STATUS_MALFORMED, "a section stands alone on its line: [name]");
    else if (strstr(line, " ;") || strstr(line, "\t;"))
        refuse(reading, STATUS_MALFORMED, "a comment stands on a line of its own");
}

/* Called by inih for each line, as fgets would be. */
static char *read_line(char *line, int size, void *stream)
{
    struct reading *reading = stream;
    if (reading->status != STATUS_OK)
        return NULL;
    if (reading->line++ == SETTINGS_FILE_MAX_LINES)
        refuse(reading, STATUS_TOO_BIG, "a settings file has at most 10,000 lines");
    if (reading->status != STATUS_OK || !read_bytes(reading, line, size - 1))
        return NULL;
    cut_blanks(line);
    check_line(reading, line);
    return reading->status == STATUS_OK ? line : NULL;
}

/* Called by inih for each key; 0 makes it note the line, which we have noted already. */
static int on_entry(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    struct settings_file_entry entry = {reading->path, reading->line, section, key, value};
    if (reading->status == STATUS_OK)
        reading->status = reading->take(reading->context, &entry, reading->why);
    return reading->status == STATUS_OK;
}

/* wrong_line: the first line that inih could not read, or that on_entry refused; 0 for none. */
static enum status conclude(struct reading *reading, int wrong_line)
{
    if (ferror(reading->file))
        return why_say(reading->why, STATUS_UNAVAILABLE, "%s: cannot be read: %s", reading->path,
                       strerror(errno));
    if (wrong_line > 0 && (reading->status == STATUS_OK || wrong_line < reading->line)) {
        reading->line = wrong_line;
        refuse(reading, STATUS_MALFORMED, "expected [section], key = value, or a comment after #");
    }
    return reading->status;
}

enum status settings_file_read(const char *path, settings_file_fn *take, void *context, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return why_say(why, STATUS_UNAVAILABLE, "%s: cannot be opened: %s", path, strerror(errno));
    struct reading reading = {
        .file = file, .path = path, .status = STATUS_OK, .take = take, .context = context, .why = why};
    ini_max_line = SETTINGS_FILE_MAX_LINE_BYTES + 3; /* inih wants room for CR, LF and NUL */
    int wrong_line = ini_parse_stream(read_line, &reading, on_entry, &reading);
    enum status status = conclude(&reading, wrong_line);
    fclose(file);
    return status;
}
