/* SPDX-License-Identifier: Apache-2.0
 * wheel: see the header. */
#include "base/http/wheel.h"

static struct wheel_entry *find_slot(struct wheel *wheel, int64_t tick)
{
    return &wheel->slots[(uint64_t)tick % WHEEL_SLOTS];
}

void wheel_init(struct wheel *wheel, mono_ms now)
{
    wheel->tick = now.ms / WHEEL_TICK_MS;
    wheel->count = 0;
    for (int i = 0; i < WHEEL_SLOTS; i++)
        wheel->slots[i].previous = wheel->slots[i].next = &wheel->slots[i];
}

static void link_entry(struct wheel *wheel, struct wheel_entry *entry)
{
    int64_t tick = entry->at.ms / WHEEL_TICK_MS + 1; /* the first one that is not before it */
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    if (tick >= wheel->tick + WHEEL_SLOTS)
        tick = wheel->tick + WHEEL_SLOTS - 1;
    struct wheel_entry *slot = find_slot(wheel, tick);
    entry->tick = tick;
    entry->previous = slot->previous;
    entry->next = slot;
    slot->previous->next = entry;
    slot->previous = entry;
    wheel->count++;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, mono_ms at)
{
    entry->at = at;
    if (entry->next && entry->tick * WHEEL_TICK_MS <= at.ms)
        return; /* comes round in time to be put back */
    wheel_remove(wheel, entry);
    link_entry(wheel, entry);
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    if (!entry->next)
        return;
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    entry->previous = entry->next = NULL;
    wheel->count--;
}

/* Every entry of a slot leaves it: what is not due yet stands in a later slot afterwards. */
static void fire_slot(struct wheel *wheel, struct wheel_entry *slot, mono_ms now, wheel_fn *fire)
{
    while (slot->next != slot) {
        struct wheel_entry *entry = slot->next;
        wheel_remove(wheel, entry);
        if (entry->at.ms <= now.ms)
            fire(entry);
        else
            link_entry(wheel, entry);
    }
}

void wheel_advance(struct wheel *wheel, mono_ms now, wheel_fn *fire)
{
    int64_t last = now.ms / WHEEL_TICK_MS;
    if (wheel->tick < last - WHEEL_SLOTS)
        wheel->tick = last - WHEEL_SLOTS; /* once round is all there is */
    while (wheel->tick < last) {
        wheel->tick++;
        fire_slot(wheel, find_slot(wheel, wheel->tick), now, fire);
    }
}
