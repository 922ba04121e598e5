/* SPDX-License-Identifier: Apache-2.0
 * sim_checks: what must hold in a simulated world; what does not ends it (trace_fail).
 *
 *   at each commit  no hit is stored twice, and none that is not in the log; stored sessions of a visitor are
 *                   further than the gap apart; an offset goes on from where the row stood, never back
 *   checked memory  what a claim holds in memory is what its stored changes say
 *   sum             hits stored = events of stored and open sessions and of strays = rolled-up hits
 *   rest            each hit that is in the log is stored; sessions are those of the set of hits; no stray
 *                   waits; the audit says what is missing, in the tables and in memory
 * The hits and sessions are compared with the log that was made, by other code than the program's. One
 * thread. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_CHECKS_H
#define TESTS_UNIT_AGGREGATOR_SIM_CHECKS_H

#include "aggregator/claim.h"
#include "tests/unit/aggregator/sim_topic.h"

/* By rows only: the offset's way is not looked at, so that a broken fence shows by what it does to the data.
 */
void checks_use(const struct topic *topic, bool by_rows_only); /* borrowed */
/* The server has lost commits: what was last seen of offsets means nothing any more. */
void checks_forget_offsets(const struct sim_postgres *postgres);

void checks_commit(const struct sim_postgres *postgres, sim_txn txn);
void checks_memory(const struct sim_postgres *postgres, const struct claim *claim);
void checks_sum(const struct sim_postgres *postgres);
/* claims: by partition, all of them, at rest. */
void checks_rest(const struct sim_postgres *postgres, const struct claim *const *claims);

#endif
