/* SPDX-License-Identifier: Apache-2.0
 * resume: `footfall-aggregator resume PARTITION [--accept-loss]`: a person lets a halted partition go on.
 *
 * resume_run locks the partition's row, compares it with what the broker says of the log, and in the same
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
    struct loss_log log; /* of the partition, asked for just now */
};

/* Says in *said what was done. CONFLICT: nothing was, and what stands in the way and mends it. */
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
                                   struct why *said);

#endif
