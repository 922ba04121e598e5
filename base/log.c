/* SPDX-License-Identifier: Apache-2.0
 * See log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

enum {
    MAX_TEXT_BYTES = 1024,                     /* before escaping; see log.h */
    MAX_LINE_BYTES = 4 * MAX_TEXT_BYTES + 512, /* \xNN is four bytes; the head has its own words */
    QUIET_MS = 10000,
    MAX_KNOWN = 128, /* (context, event, level) that are held back at a time; far more than programs have */
};

/* A kind of line that was written lately. */
struct known {
    const char *part; /* NULL: free */
    const char *event;
    char labels[sizeof(((struct log *)0)->labels)];
    enum log_level level;
    mono_ms written; /* when last */
    int64_t held;    /* how many were not written since */
};

static struct known known[MAX_KNOWN];
static enum log_level lowest_level = LOG_INFO;
static log_sink_fn *sink;

void log_set_level(enum log_level level)
{
    lowest_level = level;
}

void log_set_sink(log_sink_fn *new_sink)
{
    sink = new_sink;
    memset(known, 0, sizeof(known));
}

struct log log_new(const char *part)
{
    return (struct log){.part = part};
}

/* Labels stand outside quotes: what could end one, or the line, becomes a question mark. */
static void clean_labels(char *labels)
{
    for (char *c = labels; *c; c++) {
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    }
}

struct log log_with(const struct log *parent, const char *format, ...)
{
    struct log log = *parent;
    size_t len = strlen(log.labels);
    if (len > 0 && len + 1 < sizeof(log.labels))
        log.labels[len++] = ' ';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(log.labels + len, sizeof(log.labels) - len, format, arguments);
    va_end(arguments);
    clean_labels(log.labels);
    return log;
}

/* ---- repeats ---- */

static bool is_kind(const struct known *kind, const struct log *log, enum log_level level, const char *event)
{
    return kind->part && kind->level == level && strcmp(kind->event, event) == 0 &&
           strcmp(kind->part, log->part) == 0 && strcmp(kind->labels, log->labels) == 0;
}

/* The kind of this line; when it is new it takes the place of the one that was written longest ago. */
static struct known *find_kind(const struct log *log, enum log_level level, const char *event, bool *is_new)
{
    struct known *oldest = &known[0];
    *is_new = false;
    for (size_t i = 0; i < MAX_KNOWN; i++) {
        if (is_kind(&known[i], log, level, event))
            return &known[i];
        if (!known[i].part || (oldest->part && known[i].written.ms < oldest->written.ms))
            oldest = &known[i];
    }
    *is_new = true;
    return oldest;
}

/* ---- the line ---- */

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* Characters that change how a terminal shows what stands around them: C1 controls, line and paragraph
 * separators, and those that change the direction of writing. */
static bool is_deceptive(uint32_t code_point)
{
    return (code_point >= 0x80 && code_point <= 0x9f) || code_point == 0x61c || code_point == 0x200e ||
           code_point == 0x200f || (code_point >= 0x2028 && code_point <= 0x202e) ||
           (code_point >= 0x2066 && code_point <= 0x2069);
}

/* Adds what stands at `at`, escaped where it must be; gives its length there. */
static size_t add_character(struct buf *line, const char *at, size_t len)
{
    unsigned char c = (unsigned char)*at;
    if (c == '"' || c == '\\') {
        buf_add_format(line, "\\%c", c);
        return 1;
    }
    size_t character_len = utf8_character_len(at, len);
    if (character_len == 0 || c < 0x20 || c == 0x7f) {
        buf_add_format(line, "\\x%02x", c);
        return 1;
    }
    uint32_t code_point = utf8_code_point(at, character_len);
    if (is_deceptive(code_point))
        buf_add_format(line, "\\u%04x", code_point);
    else
        buf_add_bytes(line, at, character_len);
    return character_len;
}

static void add_text(struct buf *line, slice text)
{
    buf_add(line, SLICE(" text=\""));
    for (size_t at = 0; at < text.len;)
        at += add_character(line, text.data + at, text.len - at);
    buf_add(line, SLICE("\""));
}

static void add_head(struct buf *line, const char *part, const char *labels, enum log_level level)
{
    char time[TIMESTAMP_TEXT_LEN];
    timestamp_write(wall_now(), time);
    buf_add(line, SLICE("time="));
    buf_add_bytes(line, time, sizeof(time));
    buf_add_format(line, " level=%s part=%s", level_names[level], part);
    if (labels[0])
        buf_add_format(line, " %s", labels);
}

static void write_line(struct buf *line)
{
    buf_add_char(line, '\n');
    MUST(!line->overflowed);
    if (sink) {
        sink(buf_slice(line));
        return;
    }
    /* One write a line, so that lines of several processes do not mix; a log that nobody takes is no reason
     * to stop, so the result is not looked at. */
    ssize_t written = write(STDERR_FILENO, line->data, line->len);
    (void)written;
}

/* A kind loses its place: what it held back is said now, for no line of its own may come. */
static void say_held(const struct known *kind)
{
    char memory[MAX_LINE_BYTES];
    struct buf line;
    buf_init(&line, memory, sizeof(memory));
    add_head(&line, kind->part, kind->labels, kind->level);
    buf_add_format(&line, " event=%s repeated=%lld", kind->event, (long long)kind->held);
    write_line(&line);
}

static void say(const struct log *log, enum log_level level, const char *event, int64_t held, slice text)
{
    char memory[MAX_LINE_BYTES];
    struct buf line;
    buf_init(&line, memory, sizeof(memory));
    add_head(&line, log->part, log->labels, level);
    buf_add_format(&line, " event=%s", event);
    if (held > 0)
        buf_add_format(&line, " repeated=%lld", (long long)held);
    add_text(&line, text);
    write_line(&line);
}

/* Whether the line is due; *held: how many of its kind were held back before it. */
static bool is_due(const struct log *log, enum log_level level, const char *event, int64_t *held)
{
    bool is_new;
    mono_ms now = mono_now();
    struct known *kind = find_kind(log, level, event, &is_new);
    if (!is_new && now.ms - kind->written.ms < QUIET_MS) {
        kind->held++;
        return false;
    }
    if (is_new) {
        if (kind->part && kind->held > 0)
            say_held(kind);
        *kind = (struct known){.part = log->part, .event = event, .level = level};
        memcpy(kind->labels, log->labels, sizeof(kind->labels));
    }
    *held = kind->held;
    kind->held = 0;
    kind->written = now;
    return true;
}

void log_line(const struct log *log, enum log_level level, const char *event, const char *format, ...)
{
    int64_t held = 0;
    if (level < lowest_level || !is_due(log, level, event, &held))
        return;
    char text[MAX_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    MUST(len >= 0);
    size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    say(log, level, event, held, (slice){text, kept});
}
