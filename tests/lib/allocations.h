/* SPDX-License-Identifier: Apache-2.0
 * allocations: how often a program asked for memory, so that a test can say that it stopped asking.
 *
 * Who links footfall_test_allocations has must_malloc and its kin wrapped by the linker: all that our own
 * code asks for. A library that takes an allocator is given the three functions below. One thread. */
#ifndef TESTS_LIB_ALLOCATIONS_H
#define TESTS_LIB_ALLOCATIONS_H

#include <stddef.h>

/* Since the program began; what was given back counts too. */
size_t allocations_count(void);

/* malloc and its kin, counted. */
void *allocations_malloc(size_t size);
void *allocations_calloc(size_t count, size_t size);
void *allocations_realloc(void *memory, size_t size);

#endif
