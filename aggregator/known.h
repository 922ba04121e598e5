/* SPDX-License-Identifier: Apache-2.0
 * known: a bounded memory of numbers for which something was already done, so that it is not asked again.
 *
 * Forgetting is always allowed: the thing is then done once more, in vain. So a full memory forgets all.
 * Pure, one thread. */
#ifndef AGGREGATOR_KNOWN_H
#define AGGREGATOR_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known;

struct known *known_new(size_t max_count);
void known_free(struct known **known);
bool known_has(const struct known *known, int64_t number);
void known_add(struct known *known, int64_t number);
void known_clear(struct known *known);

#endif
