/* SPDX-License-Identifier: Apache-2.0
 * strings: texts that many sessions share (hosts, pages, places), each kept once and counted by its users.
 *
 * A text is a 4-byte id; equal texts have equal ids. Owned by one session store. Id 0 is the empty text and
 * is never counted. The hash is seeded, so that a visitor cannot choose collisions. Memory of texts that are
 * gone is used again for texts of like length, so a steady load allocates nothing; it is bounded by what was
 * in use at once. Loop thread only. */
#ifndef AGGREGATOR_STRINGS_H
#define AGGREGATOR_STRINGS_H

#include "base/slice.h"

enum { STRINGS_MAX_LEN = 16384 };

typedef uint32_t string_id;
struct strings;

struct strings *strings_new(void);
void strings_free(struct strings **strings); /* accepts NULL, leaves NULL */
/* One use more; must be given back by strings_remove. At most STRINGS_MAX_LEN bytes (MUST). */
string_id strings_add(struct strings *strings, slice text);
/* The id of a text in use; 0 when nobody uses it. */
string_id strings_find(const struct strings *strings, slice text);
void strings_remove(struct strings *strings, string_id id); /* one use less; the last one frees the text */
slice strings_text(const struct strings *strings, string_id id); /* borrowed until its last use is removed */
size_t strings_count(const struct strings *strings);
size_t strings_used_bytes(
    const struct strings *strings); /* of the texts in use, in the blocks that hold them */

#endif
