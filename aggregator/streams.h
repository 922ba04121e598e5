/* SPDX-License-Identifier: Apache-2.0
 * streams: carries received sets between the claims and footfall.received.
 *
 * A set is loaded when a batch first names its stream, and written back in the transaction that stores the
 * hits. Fills statements and reads their answers; sends nothing. One object is reused; loop thread. */
#ifndef AGGREGATOR_STREAMS_H
#define AGGREGATOR_STREAMS_H

#include "aggregator/batch.h"
#include "aggregator/fence.h"

/* Adds an empty set to the claims for each stream that the batch names and that is not loaded. True:
 * *statement asks for what was received of them. */
bool streams_ask(const struct fence_claims *held, const struct batch *batch, struct arrays *arrays,
                 struct database_statement *statement);
/* MALFORMED: *partition's row holds no readable set. */
enum status streams_read(const struct fence_claims *held, const struct pg_result *result,
                         int *partition) MUST_CHECK;
/* True: *statement writes the sets that merge changed. scratch holds one set's text. */
bool streams_save(const struct fence_claims *held, struct buf *scratch, struct arrays *arrays,
                  struct database_statement *statement);

#endif
