/* SPDX-License-Identifier: Apache-2.0
 * status: see the header. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *status_text(enum status status)
{
    static const char *const texts[] = {
#define X(name, text) text,
        STATUS_LIST(X)
#undef X
    };
    MUST((unsigned)status < sizeof texts / sizeof texts[0]);
    return texts[status];
}

enum status why_say(struct why *why, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    why->status = status;
    return status;
}

void must_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, condition);
    abort();
}

void *must_malloc(unsigned long size)
{
    void *memory = malloc(size > 0 ? size : 1);
    MUST(memory != NULL);
    return memory;
}

void *must_calloc(unsigned long count, unsigned long size)
{
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    MUST(memory != NULL);
    return memory;
}

void *must_realloc(void *memory, unsigned long size)
{
    void *moved = realloc(memory, size > 0 ? size : 1);
    MUST(moved != NULL);
    return moved;
}
