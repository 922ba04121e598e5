/* SPDX-License-Identifier: Apache-2.0
 * resume: `footfall-aggregator resume PARTITION [--accept-loss]`: a person lets a halted partition go on.
 *
 * resume_run locks the partition's row, then asks the broker for its log (a log that was asked for before
 * would seem to end too early when a batch was stored meanwhile), compares the two, and in the same
 * transaction ends the halt, moves the offset when a loss is accepted, writes that to footfall.losses, and
 * takes the row from its owner: whatever somebody had under way for it is fenced. Aggregators look at halted
 * partitions every few seconds, so nothing need be restarted. Without --accept-loss nothing is ever given
 * up. Blocks; commands only. */
#ifndef AGGREGATOR_RESUME_H
#define AGGREGATOR_RESUME_H

#include "aggregator/topic.h"

struct resume_order { /* all borrowed */
    const char *topic;
    int partition;
    bool accepts_loss;
    const struct topic_facts *facts;
    bool (*ask_log)(void *context, int partition, struct loss_log *log); /* false: no answer */
    void *context;
};

/* Says in *said what was done. CONFLICT: nothing was, and what stands in the way and mends it. UNAVAILABLE:
 * nothing was, since Postgres or the broker does not answer. */
enum status resume_run(const char *conninfo, const struct resume_order *order, struct why *said) MUST_CHECK;

/* ---- The decision: pure ---- */

struct resume_row { /* of footfall.partitions */
    int64_t next_offset;
    bool is_halted;
    const char *cluster_id; /* empty: never claimed */
    int partition_count;    /* 0: never claimed */
};

struct resume_verdict {
    bool may_go_on;
    struct loss loss; /* that is accepted by going on */
};
/* Says in *said what is to be done, or why it is not. */
struct resume_verdict resume_judge(const struct resume_order *order, const struct resume_row *row,
                                   const struct loss_log *log, struct why *said);

#endif
