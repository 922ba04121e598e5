/* SPDX-License-Identifier: Apache-2.0
 * sessions_trial: a session store and the model of it, led through the same random life: parts, closings,
 * batches that store the changes, restarts that replay them.
 *
 * After every step both must agree, or the process stops (MUST). The stored changes are kept in a list, as
 * the table would, and replayed again and again. Driven by a test with a seed and by a fuzzer with bytes. */
#ifndef TESTS_LIB_SESSIONS_TRIAL_H
#define TESTS_LIB_SESSIONS_TRIAL_H

#include "tests/lib/choice.h"

struct sessions_trial_rules {
    size_t steps;
    size_t max_open;
    uint64_t time_steps;   /* how far hits are spread: random_part's step_count */
    uint64_t replay_every; /* one batch in so many is checked by replaying everything */
};

struct sessions_trial_counts { /* what happened, so that a test can see that it tested something */
    size_t closed, evicted, forgotten, restarts, renewed;
};

struct sessions_trial_counts sessions_trial_run(struct choice *choice,
                                                const struct sessions_trial_rules *rules);

#endif
