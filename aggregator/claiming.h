/* SPDX-License-Identifier: Apache-2.0
 * claiming: takes one partition's row in footfall.partitions and loads what belongs to it.
 *
 *   connect -> make the row -> own it (one transaction, lock_timeout) -> replay the open sessions -> holes
 * The row names the owner's backend. Nothing but its end frees a lock that is held inside COPY, so when the
 * lock cannot be had, that backend is ended, if it still is the one that the row names, and the claim starts
 * over. A lock that is left is somebody else's, as of a person with psql: FENCED. A row that is halted, or
 * that is about another cluster or number of partitions, is left as it is: HALT. Received sets are loaded
 * later, by the batches that name them. Owned by the store; loop thread. */
#ifndef AGGREGATOR_CLAIMING_H
#define AGGREGATOR_CLAIMING_H

#include "aggregator/steps.h"
#include "base/log.h"

enum { CLAIMING_CLUSTER_ID_MAX = 127 };

struct claiming_cluster { /* what the broker said of itself and the topic */
    char id[CLAIMING_CLUSTER_ID_MAX + 1];
    int partition_count; /* 0: not known yet */
};

struct claiming {
    struct steps *steps; /* borrowed, as the next two */
    const struct store_options *options;
    const struct claiming_cluster *cluster;
    struct log log;

    /* The claim under way. */
    int partition;
    int attempts;
    uuid owner;
    char partition_text[12];
    char partition_count_text[12];
    char owner_text[UUID_TEXT_LEN + 1];
    struct claim *claim;
    int64_t version; /* of the change replayed last, and which of that version it is; -1: none yet */
    int32_t ordinal;
    char version_text[24];
    char ordinal_text[12];
    store_claimed_fn *on_claimed;
    void *context;
};

void claiming_init(struct claiming *claiming, struct steps *steps, const struct store_options *options,
                   const struct claiming_cluster *cluster);
/* Throws away a claim under way, without its callback. */
void claiming_fini(struct claiming *claiming);
void claiming_start(struct claiming *claiming, int partition, store_claimed_fn *on_claimed, void *context);

#endif
