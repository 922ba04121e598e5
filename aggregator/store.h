/* SPDX-License-Identifier: Apache-2.0
 * store: what the aggregator does in Postgres: claims, the batch transaction and its fence.
 *
 *   store_claim = claim row -> received streams later -> load open sessions -> struct claim
 *   store_write = new user agents, missing days (own transactions) -> begin -> fence_check -> received
 *                 -> strays taken -> stored sessions taken back -> merge -> hits -> closed sessions
 *                 -> open changes -> sums of rollups -> strays -> rejects -> fence_move -> commit,
 *                 and for `enriched.topic`: reached before begin, sent after hits, confirmed before commit
 *
 * Each is a list of named steps over one database connection, one operation at a time; the caller waits for
 * the callback before the next one (also of another kind). Safety is the partition's row: owner, next_offset
 * and version are checked under its lock first and again by the last statement; a COMMIT is never sent twice.
 * What can fail is told as one outcome; after anything but COMMITTED the caller throws away the claims of the
 * batch. Owns the database connection. Loop thread only. */
#ifndef AGGREGATOR_STORE_H
#define AGGREGATOR_STORE_H

#include "aggregator/batch.h"
#include "aggregator/claim.h"
#include "aggregator/merge.h"

struct enriched;
struct uv_loop_s;
struct store;

enum store_outcome {
    STORE_DONE,     /* committed; claimed */
    STORE_FENCED,   /* another owner, or somebody holds the row's lock: `partition` names the first one */
    STORE_RETRY,    /* connection, locks, serialization, server full or away: back off, throw away every claim
                       (they belong to one connection, which may be gone), claim again */
    STORE_BAD_DATA, /* SQLSTATE class 22: halve the batch */
    STORE_HALT,     /* class 23 or 42, changed cluster or partition count, ranges full: a person is needed, or
                       was and has not resumed the partition */
    STORE_UNDELIVERED, /* enriched.topic does not take the hits: as RETRY, though Postgres is well */
};

enum { STORE_REASON_MAX = 512 };

struct store_result {
    enum store_outcome outcome;
    int partition; /* FENCED, HALT where one can be named; else -1 */
    char sqlstate[6];
    char reason[STORE_REASON_MAX]; /* one line for the log, with the mend where there is one */
};

struct store_options {
    const char *conninfo;
    const char *topic;
    int64_t gap_ms;
    size_t max_open_sessions; /* a partition */
    int64_t retention_days;   /* older days may be dropped at any time; 0: none is */
    bool commits_lazily;      /* batches, never claims or halts: a crash of the server may take the last ones
                                 back, whoever claims then reads them again */
    /* Gets the new hits of each batch; NULL: nobody does. Borrowed; to be closed before the store. */
    struct enriched *enriched;
};

struct store *store_new(struct uv_loop_s *loop, const struct store_options *options);
/* When the broker was reached; compared with what the partitions' rows say. Copied. True: it said otherwise
 * before. */
bool store_set_cluster(struct store *store, const char *cluster_id, int partition_count);
void store_close(struct store **store, void (*on_closed)(void *context), void *context);
bool store_is_busy(const struct store *store);

/* Claims one partition: fresh owner token, state loaded. *claim is given to the callback's owner (NULL unless
 * DONE). A lock held by a stuck owner: its backend is ended and the claim tried again. Connects first when
 * there is no connection. */
typedef void store_claimed_fn(void *context, const struct store_result *result, struct claim *claim);
void store_claim(struct store *store, int partition, store_claimed_fn *on_claimed, void *context);

/* Writes one batch. claims: all that take part (messages, sessions due, strays), ascending by partition,
 * non-empty; borrowed until the callback. On DONE the claims' next_offset, version and stored_until are those
 * committed (the first two are set by the store, the last by merge). */
struct store_reject { /* a row of rejected_hits, of the partition under way */
    int64_t offset;
    wall_ms rejected_at;
};
struct store_retried { /* rows that are hits of this batch: they go in the same transaction */
    int partition;
    size_t count;
    struct store_reject *rows;
};
struct store_batch {
    struct batch *batch;
    struct merge *merge;
    struct claim *const *claims;
    size_t claim_count;
    const int64_t *quiet_ms;             /* by partition, see merge_time */
    const struct store_retried *retried; /* NULL: none */
};
typedef void store_written_fn(void *context, const struct store_result *result);
void store_write(struct store *store, const struct store_batch *batch, store_written_fn *on_written,
                 void *context);

/* Which of the held homes have strays waiting: sets has_strays in the claims. Nothing else may be under way.
 */
void store_peek_strays(struct store *store, struct claim *const *claims, size_t claim_count,
                       store_written_fn *on_peeked, void *context);

/* Keeps a halt in the partition's row, where every claim finds it until `resume` takes it away. FENCED: owner
 * is not the row's owner any more. reason is borrowed until the callback. */
struct store_halt {
    int partition;
    uuid owner;
    const char *reason;
};
void store_keep_halt(struct store *store, const struct store_halt *halt, store_written_fn *on_kept,
                     void *context);

/* The consumer group's name from footfall.deployment ("footfall-<uuid>"), into out (at least 64 bytes).
 * Blocking; start-up only. */
enum status store_group_read(const char *conninfo, char *out, size_t cap, struct why *why) MUST_CHECK;

#endif
