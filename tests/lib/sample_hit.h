/* SPDX-License-Identifier: Apache-2.0
 * sample_hit: any hit that a collector may send, for tests.
 *
 * Texts are clean and within their limits, of all lengths up to the longest, and hold quotes, backslashes and
 * characters of one to four bytes. The hit borrows from the sample. One thread. */
#ifndef TESTS_LIB_SAMPLE_HIT_H
#define TESTS_LIB_SAMPLE_HIT_H

#include "proto/hit.h"
#include "tests/lib/choice.h"

struct sample_hit {
    struct hit hit;
    struct buf texts;
    char memory[32 * 1024];
};

void sample_hit_choose(struct sample_hit *sample, struct choice *choice);
bool hits_are_equal(const struct hit *a, const struct hit *b);

#endif
