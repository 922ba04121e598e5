/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/http/wheel, against a plain list of deadlines. */
#include "base/http/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { COUNT = 200, START_MS = 1000000 };

struct thing {
    struct wheel_entry entry;
    int64_t at_ms; /* what the model says; 0: not set */
};

static struct wheel wheel;
static struct thing things[COUNT];
static int64_t now_ms;
static size_t fired_count;

static void on_fire(struct wheel_entry *entry)
{
    struct thing *thing = (struct thing *)entry;
    assert_true(thing->at_ms > 0);
    assert_true(thing->at_ms <= now_ms); /* never before its time */
    assert_null(entry->next);
    thing->at_ms = 0;
    fired_count++;
    if (fired_count % 7 == 0) { /* fire may set and remove others */
        struct thing *other = &things[fired_count % COUNT];
        other->at_ms = now_ms + 350;
        wheel_set(&wheel, &other->entry, (mono_ms){other->at_ms});
    }
    if (fired_count % 11 == 0) {
        struct thing *other = &things[(fired_count * 3) % COUNT];
        other->at_ms = 0;
        wheel_remove(&wheel, &other->entry);
    }
}

static void advance(int64_t by_ms)
{
    now_ms += by_ms;
    wheel_advance(&wheel, (mono_ms){now_ms}, on_fire);
    for (size_t i = 0; i < COUNT; i++)
        if (things[i].at_ms > 0)
            assert_true(things[i].at_ms > now_ms - 2 * WHEEL_TICK_MS); /* and soon after it */
}

static void it_fires_like_a_list_of_deadlines(void **state)
{
    (void)state;
    srand(7);
    now_ms = START_MS;
    wheel_init(&wheel, (mono_ms){now_ms});
    for (int round = 0; round < 20000; round++) {
        struct thing *thing = &things[rand() % COUNT];
        switch (rand() % 8) {
        case 0:
            thing->at_ms = 0;
            wheel_remove(&wheel, &thing->entry);
            break;
        case 1:
            advance(rand() % 1000);
            break;
        case 2:
            if (round % 50 == 0)
                advance(100000); /* more than once round */
            break;
        case 3: /* beyond the horizon */
            thing->at_ms = now_ms + rand() % 100000;
            wheel_set(&wheel, &thing->entry, (mono_ms){thing->at_ms});
            break;
        default:
            thing->at_ms = now_ms + rand() % 15000;
            wheel_set(&wheel, &thing->entry, (mono_ms){thing->at_ms});
        }
    }
    assert_true(fired_count > 1000);
    for (size_t i = 0; i < COUNT; i++)
        wheel_remove(&wheel, &things[i].entry);
    assert_int_equal(wheel.count, 0);
}

/* What a request on a kept connection costs: nothing moves. */
static void moving_a_deadline_later_does_not_move_the_entry(void **state)
{
    struct wheel_entry entry = {0};
    (void)state;
    wheel_init(&wheel, (mono_ms){START_MS});
    wheel_set(&wheel, &entry, (mono_ms){START_MS + 1000});
    int64_t tick = entry.tick;
    wheel_set(&wheel, &entry, (mono_ms){START_MS + 9000});
    assert_int_equal(entry.tick, tick);
    wheel_set(&wheel, &entry, (mono_ms){START_MS + 500});
    assert_true(entry.tick < tick);
    wheel_remove(&wheel, &entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fires_like_a_list_of_deadlines),
        cmocka_unit_test(moving_a_deadline_later_does_not_move_the_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
