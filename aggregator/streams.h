/* SPDX-License-Identifier: Apache-2.0
 * streams: carries received sets and what was said of streams between the claims and footfall.received and
 * footfall.audit.
 *
 * Both are loaded when a batch first names their stream, and written back in the transaction that stores the
 * hits. Fills statements and reads their answers; sends nothing. One object is reused; loop thread. */
#ifndef AGGREGATOR_STREAMS_H
#define AGGREGATOR_STREAMS_H

#include "aggregator/batch.h"
#include "aggregator/fence.h"

/* Adds each stream that the batch names and that is not loaded to its claim, empty. True: *statement asks for
 * what is stored of them. */
bool streams_ask(const struct fence_claims *held, const struct batch *batch, struct arrays *arrays,
                 struct database_statement *statement);
/* MALFORMED: a row of *partition holds no readable set. */
enum status streams_read(const struct fence_claims *held, const struct pg_result *result,
                         int *partition) MUST_CHECK;
/* True: *statement writes the sets that merge changed. scratch holds one set's text. */
bool streams_save(const struct fence_claims *held, struct buf *scratch, struct arrays *arrays,
                  struct database_statement *statement);
/* The same for what was said, and what is missing by that. In health there is nothing to write. */
bool streams_save_audit(const struct fence_claims *held, struct buf *scratch, struct arrays *arrays,
                        struct database_statement *statement);

#endif
