/* SPDX-License-Identifier: Apache-2.0
 * allocations: see the header. */
#include "tests/lib/allocations.h"

#include <stdlib.h>

void *__real_must_malloc(unsigned long size);
void *__real_must_calloc(unsigned long count, unsigned long size);
void *__real_must_realloc(void *memory, unsigned long size);
void *__wrap_must_malloc(unsigned long size);
void *__wrap_must_calloc(unsigned long count, unsigned long size);
void *__wrap_must_realloc(void *memory, unsigned long size);

static size_t asked_count;

size_t allocations_count(void)
{
    return asked_count;
}

void *__wrap_must_malloc(unsigned long size)
{
    asked_count++;
    return __real_must_malloc(size);
}

void *__wrap_must_calloc(unsigned long count, unsigned long size)
{
    asked_count++;
    return __real_must_calloc(count, size);
}

void *__wrap_must_realloc(void *memory, unsigned long size)
{
    asked_count++;
    return __real_must_realloc(memory, size);
}

void *allocations_malloc(size_t size)
{
    asked_count++;
    return malloc(size);
}

void *allocations_calloc(size_t count, size_t size)
{
    asked_count++;
    return calloc(count, size);
}

void *allocations_realloc(void *memory, size_t size)
{
    asked_count++;
    return realloc(memory, size);
}
