/* SPDX-License-Identifier: Apache-2.0
 * merge_oracle: which sessions a set of hits makes, the slow and obvious way: sort, walk, sum up.
 *
 * Shares only the comparison of keys with what is tested. Pure. */
#ifndef TESTS_UNIT_AGGREGATOR_MERGE_ORACLE_H
#define TESTS_UNIT_AGGREGATOR_MERGE_ORACLE_H

#include "aggregator/session.h"

/* hits: each a session of one event; they are sorted. Gives the number of sessions in out, in the order of
 * session_order. */
size_t oracle_list(struct session *hits, size_t hit_count, int64_t gap_ms, struct session *out);

#endif
