/* SPDX-License-Identifier: Apache-2.0
 * flights: see the header. */
#include "collector/flights.h"

#include <stdlib.h>

struct flights {
    uint32_t max;
    uint32_t touched;
    uint32_t count;
    uint32_t first_free; /* chained by next */
    struct flight pool[];
};

struct flights *flights_new(uint32_t max)
{
    MUST(max > 0 && max < NO_TICKET);
    struct flights *flights = must_calloc(1, sizeof(*flights) + max * sizeof(struct flight));
    flights->max = max;
    flights->first_free = NO_TICKET;
    return flights;
}

void flights_free(struct flights **flights)
{
    free(*flights);
    *flights = NULL;
}

uint32_t flights_take(struct flights *flights)
{
    uint32_t ticket = flights->first_free;
    if (ticket != NO_TICKET)
        flights->first_free = flights->pool[ticket].next;
    else if (flights->touched < flights->max)
        ticket = flights->touched++;
    else
        return NO_TICKET;
    flights->pool[ticket] = (struct flight){.next = NO_TICKET};
    flights->count++;
    return ticket;
}

void flights_give_back(struct flights *flights, uint32_t ticket)
{
    struct flight *flight = flights_at(flights, ticket);
    MUST(flights->count > 0);
    flight->state = FLIGHT_FREE;
    flight->next = flights->first_free;
    flights->first_free = ticket;
    flights->count--;
}

struct flight *flights_at(const struct flights *flights, uint32_t ticket)
{
    MUST(ticket < flights->touched);
    return (struct flight *)&flights->pool[ticket];
}

uint32_t flights_count(const struct flights *flights)
{
    return flights->count;
}

uint32_t flights_max(const struct flights *flights)
{
    return flights->max;
}

uint32_t flights_touched(const struct flights *flights)
{
    return flights->touched;
}
