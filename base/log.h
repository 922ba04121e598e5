/* SPDX-License-Identifier: Apache-2.0
 * log: one line an event on stderr, `time=… level=… part=… event=… key=value…`, for people and machines
 * alike.
 *
 * A context (which part, which partition …) is made once and given with every line. Lines of the same
 * context, event and level are written at most once in 10 s; what was held back is summed and said as
 * repeated=N on the next one. The text is escaped (C0, C1, DEL, bidi controls, what is not UTF-8) and cut at
 * 1 KiB, so no input can forge a line. Parts and events are words that live as long as the program. Loop
 * thread; never blocks for long, never fails. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log {
    const char *part; /* "publisher", "store" */
    char labels[64];  /* "partition=3", may be empty */
};

struct log log_new(const char *part);
struct log log_with(const struct log *parent, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_set_level(enum log_level level);

/* event is a short fixed word ("broker_down"); the rest is one sentence for the operator in text="…". */
void log_line(const struct log *log, enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define log_debug(log, ...)   log_line(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...)    log_line(log, LOG_INFO, __VA_ARGS__)
#define log_warning(log, ...) log_line(log, LOG_WARNING, __VA_ARGS__)
#define log_error(log, ...)   log_line(log, LOG_ERROR, __VA_ARGS__)

/* Tests read lines here instead of stderr; NULL restores stderr. */
typedef void log_sink_fn(slice line);
void log_set_sink(log_sink_fn *sink);

#endif
