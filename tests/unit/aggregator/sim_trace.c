/* SPDX-License-Identifier: Apache-2.0
 * sim_trace: see the header. */
#include "tests/unit/aggregator/sim_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct trace_end own_end;
bool trace_is_on;
struct trace_end *trace_kept = &own_end;

void trace_say(const char *format, ...)
{
    va_list arguments;
    if (!trace_is_on)
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void trace_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trace_kept->text, sizeof trace_kept->text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "world %llu: %s\n", (unsigned long long)trace_kept->seed, trace_kept->text);
    abort();
}
