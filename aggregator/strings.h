/* SPDX-License-Identifier: Apache-2.0
 * strings: texts that many sessions share (hosts, pages, places), each kept once and counted by its users.
 *
 * A text is a 4-byte id; equal texts have equal ids. Owned by one session store. Id 0 is the empty text and
 * is never counted. Loop thread only; memory is bounded by what the sessions name. */
#ifndef AGGREGATOR_STRINGS_H
#define AGGREGATOR_STRINGS_H

#include "base/slice.h"

typedef uint32_t string_id;
struct strings;

struct strings *strings_new(void);
void strings_free(struct strings **strings);
string_id strings_add(struct strings *strings,
                      slice text); /* one use more; must be given back by strings_remove */
void strings_remove(struct strings *strings, string_id id); /* one use less; the last one frees the text */
slice strings_text(const struct strings *strings, string_id id); /* borrowed until its last use is removed */
size_t strings_used_bytes(const struct strings *strings);

#endif
