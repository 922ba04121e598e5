/* SPDX-License-Identifier: Apache-2.0
 * agents: which user agents are known to be in the dictionary table, and the statement that adds others.
 *
 * Writing asks before each batch; the statement is a transaction of its own, so that two programs that add
 * the same text never wait for each other's batch. Owned by the store; loop thread. Bounded: a flood of
 * made-up agents makes it forget, which costs time and nothing else. */
#ifndef AGGREGATOR_AGENTS_H
#define AGGREGATOR_AGENTS_H

#include "aggregator/arrays.h"
#include "aggregator/batch.h"
#include "aggregator/known.h"

enum { AGENTS_MAX_KNOWN = 65536 };

/* True: *statement adds those of the batch that are not known. */
bool agents_ask(const struct known *known, const struct batch *batch, struct arrays *arrays,
                struct database_statement *statement);
/* The statement was done. */
void agents_note_added(struct known *known, const struct batch *batch);

#endif
