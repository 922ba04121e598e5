/* SPDX-License-Identifier: Apache-2.0
 * status: how our functions say how it went, and how a bug stops the process.
 *
 * Three kinds of failure: a bug or out of memory stops at once (MUST); the outside world returns a status; a
 * start-up function also fills `struct why` with one sentence for the person at the terminal, and only main
 * prints it. Who decides what a status means logs it once and counts it once. Any thread. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define STATUS_LIST(X)                                                                                       \
    X(OK, "ok")                                                                                              \
    X(AGAIN, "not yet")                                                                                      \
    X(FULL, "full")                                                                                          \
    X(TOO_BIG, "too big")                                                                                    \
    X(MALFORMED, "malformed")                                                                                \
    X(MISSING, "missing")                                                                                    \
    X(RANGE, "out of range")                                                                                 \
    X(NOT_FOUND, "not found")                                                                                \
    X(DENIED, "denied")                                                                                      \
    X(TIMEOUT, "timed out")                                                                                  \
    X(UNAVAILABLE, "unavailable")                                                                            \
    X(CONFLICT, "conflict")                                                                                  \
    X(STOPPING, "stopping")

enum status {
#define X(name, text) STATUS_##name,
    STATUS_LIST(X)
#undef X
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* The text of a status, for logs. */
const char *status_text(enum status status);

/* One full sentence that says why a program cannot start: the setting, its value and the mend. The status is
 * for callers of functions that return a pointer. */
struct why {
    char text[512];
    enum status status;
};

/* Fills *why (printf style, cut at its size) and returns the given status, so that callers can `return
 * why_say(…)`. */
enum status why_say(struct why *why, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Stops the process when a condition that only a bug (or lack of memory) can break does not hold. Always
 * compiled in. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0))                                                               \
            must_failed(#condition, __FILE__, __LINE__);                                                     \
    } while (0)

_Noreturn void must_failed(const char *condition, const char *file, int line);

/* malloc, calloc and realloc that stop the process when memory is out: every size in this project is capped.
 */
void *must_malloc(unsigned long size) __attribute__((malloc));
void *must_calloc(unsigned long count, unsigned long size) __attribute__((malloc));
void *must_realloc(void *memory, unsigned long size);

#endif
