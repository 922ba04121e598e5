/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/chains: all members are found while the table grows, and no step moves many. */
#include "aggregator/chains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

enum { MEMBERS = 200000, MAX_MOVED = 40 };

static uint64_t hashes[MEMBERS + 1];
static uint32_t next[MEMBERS + 1];

static void link_member(struct chains *chains, uint32_t number)
{
    uint32_t *head = chains_at(chains, hashes[number]);
    next[number] = *head;
    *head = number;
}

/* Gives how many were linked anew. */
static int split(struct chains *chains)
{
    int moved = 0;
    uint32_t number = chains_split(chains);
    for (uint32_t after; number != 0; number = after) {
        after = next[number];
        link_member(chains, number);
        moved++;
    }
    return moved;
}

static bool has_member(const struct chains *chains, uint32_t number)
{
    uint32_t at = *chains_at(chains, hashes[number]);
    while (at != 0 && at != number)
        at = next[at];
    return at != 0;
}

static void growing_moves_a_few_members_at_a_time(void **state)
{
    (void)state;
    struct choice choice = choice_seeded(1);
    struct chains chains;
    size_t moved_sum = 0;
    chains_init(&chains);
    for (uint32_t number = 1; number <= MEMBERS; number++) {
        hashes[number] = choice_below(&choice, UINT64_MAX);
        if (number > chains.count) {
            int moved = split(&chains);
            assert_true(moved <= MAX_MOVED);
            moved_sum += (size_t)moved;
        }
        link_member(&chains, number);
        assert_true(has_member(&chains, 1 + (uint32_t)choice_below(&choice, number)));
    }
    assert_int_equal(chains.count, MEMBERS);
    assert_true(moved_sum < 3UL * MEMBERS);
    for (uint32_t number = 1; number <= MEMBERS; number++)
        assert_true(has_member(&chains, number));
    chains_fini(&chains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_moves_a_few_members_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
