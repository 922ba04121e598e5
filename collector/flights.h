/* SPDX-License-Identifier: Apache-2.0
 * flights: the hits on their way to Kafka and the requests that wait for them; a pool of fixed size.
 *
 * Each has a number, its ticket, which travels through the producer in place of a pointer. A request that
 * repeats the id of a hit on its way takes a ticket of its own and is chained to that hit's. Memory is
 * touched only as far as it was ever needed. Owner: the intake. Loop thread only; allocates once. */
#ifndef COLLECTOR_FLIGHTS_H
#define COLLECTOR_FLIGHTS_H

#include "base/uuid.h"

struct http_request;
struct flights;

enum { NO_TICKET = UINT32_MAX };

enum flight_state { FLIGHT_FREE, FLIGHT_SENT, FLIGHT_WAITING /* for another one's delivery */ };

struct flight {
    enum flight_state state;
    uint32_t generation; /* of the producer that took it */
    uint32_t next;       /* who else waits for this delivery; NO_TICKET at the end */
    bool has_given_id;
    uuid id;
    struct http_request *request; /* NULL: nobody waits */
};

struct flights *flights_new(uint32_t max);
void flights_free(struct flights **flights); /* accepts NULL */
/* NO_TICKET when all are taken. The flight is zero but for next. */
uint32_t flights_take(struct flights *flights);
void flights_give_back(struct flights *flights, uint32_t ticket);
/* A ticket below flights_touched. Valid until flights_free: the pool never moves. */
struct flight *flights_at(const struct flights *flights, uint32_t ticket);
uint32_t flights_count(const struct flights *flights);
uint32_t flights_max(const struct flights *flights);
/* Tickets ever used are 0 … this - 1. */
uint32_t flights_touched(const struct flights *flights);

#endif
