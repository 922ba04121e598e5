/* SPDX-License-Identifier: Apache-2.0
 * choice: see the header. */
#include "tests/lib/choice.h"

#include <string.h>

#include "base/status.h"

struct choice choice_seeded(uint64_t seed)
{
    return (struct choice){.state = seed};
}

struct choice choice_of_bytes(const uint8_t *bytes, size_t len)
{
    static const uint8_t none;
    return (struct choice){.bytes = bytes != NULL ? bytes : &none, .len = len};
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

static uint64_t next_bytes(struct choice *choice, uint64_t limit)
{
    uint64_t value = 0;
    for (uint64_t rest = limit - 1; rest > 0; rest >>= 8) {
        value <<= 8;
        if (choice->len > 0) {
            value |= *choice->bytes++;
            choice->len--;
        }
    }
    return value;
}

uint64_t choice_below(struct choice *choice, uint64_t limit)
{
    MUST(limit > 0);
    uint64_t value = choice->bytes != NULL ? next_bytes(choice, limit) : next_random(&choice->state);
    return value % limit;
}

bool choice_one_in(struct choice *choice, uint64_t count)
{
    return choice_below(choice, count) == 0;
}

bool choice_is_over(const struct choice *choice)
{
    return choice->bytes != NULL && choice->len == 0;
}

void choice_shuffle(struct choice *choice, void *members, size_t count, size_t size)
{
    char spare[512];
    char *at = members;
    MUST(size <= sizeof spare);
    for (size_t i = count; i > 1; i--) {
        size_t other = choice_below(choice, i);
        memcpy(spare, at + (i - 1) * size, size);
        memcpy(at + (i - 1) * size, at + other * size, size);
        memcpy(at + other * size, spare, size);
    }
}
