/* SPDX-License-Identifier: Apache-2.0
 * word: eight bytes of a text looked at together, for the loops that see every byte of a request.
 *
 * A mark is bit 7 of a byte's place. The subtractions may also mark bytes behind one that is rightly marked,
 * so only the first mark of a word counts. Inline on purpose. Pure, any thread. */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WORD_BYTES = 8 };

static inline uint64_t word_repeat(unsigned char c)
{
    return UINT64_C(0x0101010101010101) * c;
}

static inline uint64_t word_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word); /* the first byte is the lowest, so that the lowest mark is the first */
}

/* Bytes that are not ASCII. */
static inline uint64_t word_mark_high(uint64_t word)
{
    return word & word_repeat(0x80);
}

/* Bytes below limit (<= 0x80). */
static inline uint64_t word_mark_below(uint64_t word, unsigned char limit)
{
    return (word - word_repeat(limit)) & ~word & word_repeat(0x80);
}

/* Bytes that are no printable ASCII: controls, DEL among them, and what is not ASCII. */
static inline uint64_t word_mark_unprintable(uint64_t word)
{
    return ((word - word_repeat(0x20)) | word | (word + word_repeat(1))) & word_repeat(0x80);
}

/* Bytes that are c (ASCII). */
static inline uint64_t word_mark_equal(uint64_t word, unsigned char c)
{
    return ((word ^ word_repeat(c)) - word_repeat(1)) & ~word & word_repeat(0x80);
}

/* How many bytes stand before the first mark; there must be one. */
static inline size_t word_first(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

#endif
