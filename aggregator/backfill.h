/* SPDX-License-Identifier: Apache-2.0
 * backfill: the command `footfall-aggregator backfill-geo [--since TIME]`: gives rows that were stored with the
 * place of an MMDB file, or with none, the place that ip2location.io says, as for the time while it was away.
 *
 * It walks through the hits hour by hour, asks of BACKFILL_ADDRESSES at once as the running program does (the
 * same table, the same budget), and changes hits and stored sessions of an hour in one transaction. An address
 * with an open session is left for the next run, as is one whose sessions an aggregator changes at that
 * moment. It ends when the service must not be asked any more and says where to go on. Blocks; returns an exit
 * code; prints its progress. */
#ifndef AGGREGATOR_BACKFILL_H
#define AGGREGATOR_BACKFILL_H

#include "aggregator/configuration.h"

enum { BACKFILL_ADDRESSES = 64, BACKFILL_DEFAULT_DAYS = 30, BACKFILL_MAX_DAYS = 3653 };

/* since: a date, or a time as in event_time; empty: BACKFILL_DEFAULT_DAYS ago. At most BACKFILL_MAX_DAYS ago, as each
 * hour costs a statement. */
int backfill_run(const struct configuration *configuration, const char *since);

#endif
