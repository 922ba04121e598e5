/* SPDX-License-Identifier: Apache-2.0
 * sim_database: aggregator/database and what aggregator/result reads of libpq, in front of a simulated server.
 *
 * The linker wraps the functions of database.h, seven of libpq's, both clocks and the sources of randomness
 * (CMakeLists.txt), so the store and all that it is made of run as they are. A statement waits until its
 * worker has a turn; its answer may be kept for a later one, or never come. What database.h says holds here:
 * a callback is never called before the call returns; without a connection the answer is DATABASE_LOST. One
 * thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_DATABASE_H
#define TESTS_UNIT_AGGREGATOR_SIM_DATABASE_H

#include "aggregator/database.h"
#include "tests/lib/choice.h"
#include "tests/unit/aggregator/sim_postgres.h"

/* What all connections lead to, and the time and the chance of its world. */
struct sim_net {
    struct sim_postgres postgres;
    struct choice choice;
    wall_ms wall;
    mono_ms mono;
    size_t waits; /* how often a statement waited for a lock */
};
void sim_database_use(struct sim_net *net); /* borrowed until the next use */
/* The connection of the store that was made last. */
struct database *sim_database_newest(void);

/* A new world: there is no connection, and nothing is under way (MUST). */
void sim_database_begin(struct database *database);

enum sim_fault {
    SIM_NO_FAULT,
    SIM_CUT_BEFORE, /* the connection breaks, the statement never arrived */
    SIM_CUT_AFTER,  /* it was carried out, and nobody hears of it */
    SIM_LATE        /* it is carried out, the answer is read in another turn */
};
/* Lets the statement under way happen, if there is one and nothing holds it up. */
void sim_database_turn(struct database *database, enum sim_fault fault);
bool sim_database_is_committing(const struct database *database);
/* As idle_in_transaction_session_timeout has it: frees what nobody goes on with, but for who is in a COPY. */
void sim_database_end_idle(void);
/* The connection breaks; what is under way is answered so in the next turn. The backend goes on, with its
 * locks, when the server does not notice; a pooler always does. */
void sim_database_cut(struct database *database, bool is_noticed);
/* The server is another one, or started anew. A pooler keeps a connection that is in no transaction, with a
 * backend of the new server behind it, whose number may be the old one's. */
void sim_database_move_server(struct database *database, bool has_pooler);

#endif
