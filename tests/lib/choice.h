/* SPDX-License-Identifier: Apache-2.0
 * choice: where a test takes its decisions from: a seeded generator, or the bytes of a fuzzer.
 *
 * The same trial is then a random test, whose seed is printed when it fails, and a fuzz target. Bytes that
 * are used up give 0 for ever and choice_is_over. One thread. */
#ifndef TESTS_LIB_CHOICE_H
#define TESTS_LIB_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choice {
    uint64_t state;
    const uint8_t *bytes; /* NULL: seeded */
    size_t len;
};

struct choice choice_seeded(uint64_t seed);
struct choice choice_of_bytes(const uint8_t *bytes, size_t len); /* borrows them */
uint64_t choice_below(struct choice *choice, uint64_t limit);    /* 0 … limit - 1 */
bool choice_one_in(struct choice *choice, uint64_t count);
bool choice_is_over(const struct choice *choice); /* never, when seeded */
/* Any order is as likely; moves `count` members of `size` bytes (at most 512). */
void choice_shuffle(struct choice *choice, void *members, size_t count, size_t size);

#endif
