/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: the session store and its slow model, led by the input's bytes. */
#include "tests/lib/sessions_trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choice choice = choice_of_bytes(data, size);
    struct sessions_trial_rules rules = {
        .steps = 4000,
        .max_open = 1 + choice_below(&choice, 64),
        .time_steps = 4 + choice_below(&choice, 60),
        .replay_every = 1,
    };
    sessions_trial_run(&choice, &rules);
    return 0;
}
