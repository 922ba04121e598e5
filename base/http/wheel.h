/* SPDX-License-Identifier: Apache-2.0
 * wheel: deadlines of many things for the price of one timer.
 *
 * A ring of lists, one per tick. Setting a deadline is a few stores; moving one later, as every request on a
 * kept connection does, is one store, because an entry that comes round too early is just put back. The owner
 * calls wheel_advance about every WHEEL_TICK_MS; a deadline fires within two ticks after its time, never
 * before. Entries live in the caller's structs. One thread, no allocation, pure: the time is given. */
#ifndef BASE_HTTP_WHEEL_H
#define BASE_HTTP_WHEEL_H

#include "base/clock.h"

enum { WHEEL_TICK_MS = 100, WHEEL_SLOTS = 256 };

struct wheel_entry {
    struct wheel_entry *previous, *next; /* NULL: not in the wheel */
    int64_t tick;                        /* of the slot it stands in */
    mono_ms at;                          /* its deadline */
};

struct wheel {
    int64_t tick; /* all up to here have been fired */
    size_t count;
    struct wheel_entry slots[WHEEL_SLOTS]; /* heads of rings */
};

typedef void wheel_fn(struct wheel_entry *entry);

void wheel_init(struct wheel *wheel, mono_ms now);
/* Adds an entry or moves its deadline. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, mono_ms at);
/* Harmless for an entry that is not in the wheel. */
void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);
/* Takes each entry whose time has come out of the wheel and gives it to fire, which may set and remove any
 * entry. */
void wheel_advance(struct wheel *wheel, mono_ms now, wheel_fn *fire);

#endif
