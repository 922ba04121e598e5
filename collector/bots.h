/* SPDX-License-Identifier: Apache-2.0
 * bots: does a user agent call itself a robot?
 *
 * A short list of words that robots use of themselves, looked for anywhere, case-insensitively, in one pass.
 * Only a signal (HIT_FLAG_BOT_AGENT): nothing is dropped because of it. Pure, any thread. */
#ifndef COLLECTOR_BOTS_H
#define COLLECTOR_BOTS_H

#include "base/slice.h"

bool bots_is_named(slice user_agent);

#endif
