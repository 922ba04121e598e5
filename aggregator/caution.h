/* SPDX-License-Identifier: Apache-2.0
 * caution: what is held against the place service, so that it is left alone when asking is useless or
 * unwelcome.
 *
 * locator -> caution_find_hindrance, then caution_admit before each request and caution_note after it.
 * Failures and slowness open the breaker; 429 is heeded for as long as the service says; a key that is
 * refused (or credit used up: the service has one code for both) until the day of the budget ends; a request
 * that the plan does not have, for ever. caution_init, as after a reload, forgets it all. Each is logged
 * once, here. A value; loop thread. */
#ifndef AGGREGATOR_CAUTION_H
#define AGGREGATOR_CAUTION_H

#include "aggregator/answer.h"
#include "aggregator/breaker.h"
#include "aggregator/fetcher.h"
#include "base/log.h"

enum { CAUTION_SLOW_MS = 500 }; /* nobody waits for an answer longer than that: it counts as a failure */

struct caution {
    struct log log;
    struct breaker breaker;
    mono_ms silent_until;
    const char *silence; /* why, until then */
};

void caution_init(struct caution *caution);
/* Why the service must not be asked now, one clause for a person; NULL: it may be. Constant text. */
const char *caution_find_hindrance(const struct caution *caution, mono_ms now);
/* There is no hindrance, and a request follows. */
void caution_admit(struct caution *caution, mono_ms now);
/* kind is what answer_read said of it, when it was answered. */
void caution_note(struct caution *caution, enum answer_kind kind, const struct fetch_reply *reply,
                  mono_ms day_ends);

#endif
