/* SPDX-License-Identifier: Apache-2.0
 * sim_trace: what happens in a simulated world, told on stderr when somebody asked for it, and how a world
 * ends that broke a promise.
 *
 * trace_fail keeps its sentence where trace_kept points (memory that a parent process shares), says it on
 * stderr and aborts, as MUST does for a bug in the program itself. One thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_TRACE_H
#define TESTS_UNIT_AGGREGATOR_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

enum { TRACE_MAX_TEXT = 256 };

struct trace_end {
    uint64_t seed;             /* of the world under way */
    char text[TRACE_MAX_TEXT]; /* why it is bad; empty: it is not */
};

extern bool trace_is_on;
extern struct trace_end *trace_kept;

void trace_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void trace_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
