/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/flights and numbering. */
#include "collector/flights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collector/numbering.h"

static void tickets_are_unique_and_come_again(void **state)
{
    enum { MAX = 100 };
    bool is_taken[MAX] = {false};
    uint32_t taken = 0;
    (void)state;
    srand(5);
    struct flights *flights = flights_new(MAX);
    for (int round = 0; round < 20000; round++) {
        if (rand() % 2) {
            uint32_t ticket = flights_take(flights);
            if (taken == MAX) {
                assert_int_equal(ticket, NO_TICKET);
                continue;
            }
            assert_true(ticket < MAX && !is_taken[ticket]);
            assert_int_equal(flights_at(flights, ticket)->next, NO_TICKET);
            is_taken[ticket] = true;
            taken++;
        } else {
            uint32_t ticket = (uint32_t)rand() % MAX;
            if (!is_taken[ticket])
                continue;
            flights_give_back(flights, ticket);
            is_taken[ticket] = false;
            taken--;
        }
        assert_int_equal(flights_count(flights), taken);
    }
    flights_free(&flights);
}

static void numbers_are_dense_and_end_with_the_stream(void **state)
{
    struct hit hit = {.seq = 0};
    (void)state;
    struct numbering *numbering = numbering_new(3);
    for (int64_t seq = 1; seq <= 5; seq++) {
        numbering_fill(numbering, 2, &hit);
        numbering_fill(numbering, 2, &hit); /* not accepted: the number is given again */
        assert_true(hit.has_stream);
        assert_int_equal(hit.seq, seq);
        assert_int_equal(hit.stream.partition, 2);
        numbering_confirm(numbering, 2);
    }
    uuid boot = hit.stream.boot;
    numbering_fill(numbering, 0, &hit);
    assert_int_equal(hit.seq, 1);
    assert_true(uuid_equals(hit.stream.boot, boot));
    numbering_renew(numbering);
    numbering_fill(numbering, 2, &hit);
    assert_int_equal(hit.seq, 1);
    assert_false(uuid_equals(hit.stream.boot, boot));
    numbering_free(&numbering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_are_unique_and_come_again),
        cmocka_unit_test(numbers_are_dense_and_end_with_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
