/* SPDX-License-Identifier: Apache-2.0
 * sim_world: a simulated world, made from a number: what is in it, what goes wrong in it, and how it comes to
 * rest.
 *
 *   world_set_up, world_run as often as one likes, world_tear_down
 * One log, one server, three workers; what there is to see of them is in the header of test_simulation.c.
 * world_run ends with every check passed, or does not return (trace_fail, MUST). One at a time, one thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_WORLD_H
#define TESTS_UNIT_AGGREGATOR_SIM_WORLD_H

#include "tests/unit/aggregator/sim_statements.h"
#include "tests/unit/aggregator/sim_worker.h"

enum { MUTANT_MAX_EDITS = 4 };
struct mutant { /* what is taken out of a world */
    const char *name;
    struct sim_edit edits[MUTANT_MAX_EDITS]; /* of the program's SQL */
    bool locks_no_row;
    bool keeps_strays;
    bool is_seen_by_offsets; /* the rows do not show it */
};

struct world_faults {
    size_t cuts, late, frozen, rebalances, crashes, failovers, restores, pooled, rewinds, expired, resumes;
};
struct world_counts { /* of all worlds since world_set_up */
    struct worker_counts work;
    struct world_faults faults;
    size_t waits;
};

void world_set_up(const struct mutant *mutant); /* borrowed; NULL: nothing is taken out */
void world_tear_down(void);
void world_run(uint64_t seed);
struct world_counts world_count(void);
void world_print(const struct world_counts *counts);

#endif
