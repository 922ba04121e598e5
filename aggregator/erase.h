/* SPDX-License-Identifier: Apache-2.0
 * erase: `footfall-aggregator erase ADDR`: takes one visitor's IP address out of all that Postgres holds.
 *
 *   look   without locks, however long it takes: at which times the hits of the address are, day by day; which
 *          rejects name it (mention.h)
 *   erase  in one transaction: locks all rows of footfall.partitions in order, so that no batch is under way;
 *          removes what was found and what came since, takes the partitions from their owners; commits
 * What came since is found by the times of its sessions: a batch stores both at once. So owners wait for as long
 * as it takes to delete, not to search. They are fenced, since they hold open sessions of the address in memory,
 * and reload what is left. When nothing is found nobody is fenced. A partition that is claimed for the first
 * time meanwhile is not locked: then all of it is done anew. Sessions go before hits, as backfill changes them.
 * Received numbers stay, so what was erased does not come back from Kafka. Whatever ends it, all or nothing is
 * done, and it may be run again. Needs the owner's rights. Blocks; prints its progress on stderr; commands only. */
#ifndef AGGREGATOR_ERASE_H
#define AGGREGATOR_ERASE_H

#include "base/address.h"
#include "base/clock.h"

enum { ERASE_MAX_TOPICS = 16, ERASE_MAX_TOPIC_TEXT = 249 };

enum erase_place { /* where it stood */
                   ERASE_HITS,
                   ERASE_SESSIONS,
                   ERASE_OPEN,
                   ERASE_STRAYS,
                   ERASE_REJECTS,
                   ERASE_LOCATIONS,
                   ERASE_PLACES,
};
extern const char *const erase_tables[ERASE_PLACES];

struct erase_report {
    char moment[TIMESTAMP_TEXT_LEN + 1]; /* what was stored before is gone */
    int64_t removed[ERASE_PLACES];       /* rows, by table */
    int64_t total;
    size_t topic_count; /* that the database knows */
    char topics[ERASE_MAX_TOPICS][ERASE_MAX_TOPIC_TEXT + 1];
};

/* AGAIN: somebody holds a partition, or is at the same rows again and again; UNAVAILABLE: Postgres does not
 * answer; DENIED: a right is missing. Nothing is changed then, unless the COMMIT has no answer, which *why
 * says. */
enum status erase_run(const char *conninfo, ip_address ip, struct erase_report *report,
                      struct why *why) MUST_CHECK;

#endif
