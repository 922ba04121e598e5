/* SPDX-License-Identifier: Apache-2.0
 * log: see the header. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

enum {
    MAX_LINE_BYTES = 2048,
    MAX_VALUE_BYTES = 256,
    QUIET_MS = 10000, /* lines of one kind are at least so far apart */
    MAX_KINDS = 128,  /* remembered; the one written longest ago makes room */
    MAX_KIND_BYTES = 128,
};

/* Lines of one part, labels, event and level. */
struct kind {
    char name[MAX_KIND_BYTES];
    mono_ms written_at;
    int64_t held_back;
};

static enum log_level least_level = LOG_INFO;
static log_sink_fn *sink;
static struct kind kinds[MAX_KINDS];
static size_t kind_count;

struct log log_new(const char *part)
{
    return (struct log){.part = part};
}

struct log log_with(const struct log *parent, const char *format, ...)
{
    struct log log = *parent;
    size_t len = strlen(log.labels);
    if (len > 0 && len + 1 < sizeof log.labels)
        log.labels[len++] = ' ';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(log.labels + len, sizeof log.labels - len, format, arguments);
    va_end(arguments);
    return log;
}

void log_set_level(enum log_level level)
{
    least_level = level;
}

void log_set_sink(log_sink_fn *new_sink)
{
    sink = new_sink;
    kind_count = 0;
}

static const char *level_text(enum log_level level)
{
    static const char *const texts[] = {"debug", "info", "warning", "error"};
    return texts[level];
}

static struct kind *kind_of(const char *name)
{
    struct kind *oldest = &kinds[0];
    for (size_t i = 0; i < kind_count; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
        if (kinds[i].written_at.ms < oldest->written_at.ms)
            oldest = &kinds[i];
    }
    struct kind *kind = kind_count < MAX_KINDS ? &kinds[kind_count++] : oldest;
    *kind = (struct kind){.written_at = {INT64_MIN / 2}};
    snprintf(kind->name, sizeof kind->name, "%s", name);
    return kind;
}

/* False: such a line was written a moment ago; it is counted instead. */
static bool may_write(const struct log *log, enum log_level level, const char *event, int64_t *repeated)
{
    char name[MAX_KIND_BYTES];
    snprintf(name, sizeof name, "%s|%s|%s|%d", log->part, log->labels, event, (int)level);
    struct kind *kind = kind_of(name);
    mono_ms now = mono_now();
    if (now.ms - kind->written_at.ms < QUIET_MS) {
        kind->held_back++;
        return false;
    }
    *repeated = kind->held_back;
    kind->held_back = 0;
    kind->written_at = now;
    return true;
}

/* Characters that change how a terminal shows what follows: the bidi controls U+200E, U+200F, U+202A-E,
 * U+2066-9, and C1 controls (U+0080-9F). All are of two or three bytes. */
static size_t forging_length(slice s)
{
    const unsigned char *at = (const unsigned char *)s.data;
    if (s.len >= 2 && at[0] == 0xC2 && at[1] < 0xA0)
        return 2;
    if (s.len < 3 || at[0] != 0xE2)
        return 0;
    bool is_bidi = (at[1] == 0x80 && (at[2] == 0x8E || at[2] == 0x8F || (at[2] >= 0xAA && at[2] <= 0xAE))) ||
                   (at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9);
    return is_bidi ? 3 : 0;
}

static void add_hex(struct buf *out, slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_add_format(out, "\\x%02x", (unsigned char)bytes.data[i]);
}

/* Quoted, and nothing in it can end the quotes, the line or the reader's trust. */
static void add_value(struct buf *out, slice s)
{
    bool is_cut = s.len > MAX_VALUE_BYTES;
    if (is_cut)
        s.len = MAX_VALUE_BYTES;
    buf_add_char(out, '"');
    while (s.len > 0) {
        unsigned char c = (unsigned char)s.data[0];
        size_t valid = text_utf8_length(slice_head(s, s.len < 4 ? s.len : 4));
        size_t bad = c < 0x20 || c == 0x7F ? 1 : valid == 0 ? text_bad_length(s) : forging_length(s);
        if (bad > 0)
            add_hex(out, slice_head(s, bad));
        else if (c == '"' || c == '\\')
            buf_add_bytes(out, (char[]){'\\', (char)c}, 2);
        else
            buf_add_char(out, (char)c); /* the rest of a wide character follows as it stands */
        size_t step = bad > 0 ? bad : 1;
        while (bad == 0 && step < s.len && ((unsigned char)s.data[step] & 0xC0) == 0x80)
            buf_add_char(out, s.data[step++]);
        s = slice_from(s, step);
    }
    buf_add(out, is_cut ? SLICE("…\"") : SLICE("\""));
}

static void write_out(slice line)
{
    if (sink != NULL) {
        sink(line);
        return;
    }
    /* One write a line: lines of several processes on one descriptor do not mix. A full pipe loses it. */
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written;
}

static void begin_line(struct buf *line, const struct log *log, enum log_level level, const char *event)
{
    char time[TIMESTAMP_TEXT_LEN];
    timestamp_write(wall_now(), time);
    buf_add_format(line, "time=%.*s level=%s part=%s", TIMESTAMP_TEXT_LEN, time, level_text(level),
                   log->part);
    if (log->labels[0] != '\0')
        buf_add_format(line, " %s", log->labels);
    buf_add_format(line, " event=%s", event);
}

void log_line(const struct log *log, enum log_level level, const char *event, const char *format, ...)
{
    int64_t repeated;
    if (level < least_level || !may_write(log, level, event, &repeated))
        return;
    char text[MAX_VALUE_BYTES * 2];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t text_len = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;

    char memory[MAX_LINE_BYTES];
    struct buf line;
    buf_init(&line, memory, sizeof memory);
    begin_line(&line, log, level, event);
    if (repeated > 0)
        buf_add_format(&line, " repeated=%lld", (long long)repeated);
    buf_add(&line, SLICE(" text="));
    add_value(&line, (slice){text, text_len});
    buf_add_char(&line, '\n');
    MUST(!line.overflowed);
    write_out(buf_slice(&line));
}
