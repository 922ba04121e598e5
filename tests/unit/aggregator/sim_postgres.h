/* SPDX-License-Identifier: Apache-2.0
 * sim_postgres: the server side of a simulated Postgres: the tables that the aggregator keeps, transactions
 * that others see once they are committed, row locks, backends, and what a server may lose.
 *
 *   sim_statements runs the program's own SQL on it; sim_database is a connection to it
 * Every row remembers the transaction that made it and the one that ended it, so READ COMMITTED is one
 * question (sim_sees), a rollback is one word, and a failover or a restore that loses the last commits is a
 * rollback of these. Whoever changes or locks a row of footfall.partitions keeps it locked until his
 * transaction ends. One world at a time, one thread; memory is kept for the next world. */
#ifndef TESTS_UNIT_AGGREGATOR_SIM_POSTGRES_H
#define TESTS_UNIT_AGGREGATOR_SIM_POSTGRES_H

#include "aggregator/session.h"
#include "base/arena.h"
#include "base/uuid.h"
#include "proto/hit.h"

enum { SIM_PARTITIONS = 3, SIM_CHAINS = 16, SIM_BACKENDS = 256, SIM_PIDS = 2, SIM_MAX_CHANGES = 4096 };

typedef uint32_t sim_txn; /* 0: none */

enum sim_kind {
    SIM_PLACES, /* footfall.partitions */
    SIM_SETS,   /* footfall.received */
    SIM_AUDIT,
    SIM_CHANGES, /* of open sessions, one by one */
    SIM_STRAYS,
    SIM_SESSIONS,
    SIM_HITS,
    SIM_SUMS,
    SIM_TABLE_COUNT
};

struct sim_place {
    int64_t next_offset, version;
    uuid owner; /* zero: NULL */
    int owner_pid;
    size_t owner_backend; /* stands for owner_started: tells backends of one pid apart */
    bool has_stored_until;
    wall_ms stored_until;
    slice halt_reason;  /* data NULL: it is not halted */
    int64_t moved_from; /* what the batch took for next_offset: of no column, for checks */
};

struct sim_set {
    struct hit_stream stream;
    slice ranges;
};

struct sim_audit {
    struct hit_stream stream;
    slice skipped;
    bool is_ended;
    int64_t last, missing;
    wall_ms ended;
};

struct sim_change {
    int64_t version;
    int32_t ordinal;
    struct session value;
};

struct sim_row {
    sim_txn made, ended;
    uint32_t older; /* of the same chain; position + 1 */
    int partition;  /* or home */
    union {
        struct sim_place place;
        struct sim_set set;
        struct sim_audit audit;
        struct sim_change change;
        struct session session; /* stored, or a stray */
        int64_t number;         /* offset of a hit, sum of hits */
    } as;
};

struct sim_table { /* rows in chains: of one partition, or of visitors of one hash */
    size_t count;
    size_t cap;
    struct sim_row *rows;
    uint32_t newest[SIM_CHAINS]; /* position + 1 */
};

enum sim_state { SIM_RUNNING, SIM_COMMITTED, SIM_ABORTED };
struct sim_transaction {
    enum sim_state state;
    bool is_flushed; /* synchronous_commit */
    size_t commit;   /* 1, 2, 3 … */
};

struct sim_backend {
    bool is_alive;
    bool is_in_copy; /* so that no timeout of the server ends it */
    int pid;
    sim_txn txn; /* 0: none under way */
    mono_ms active_at;
};

struct sim_postgres {
    struct sim_table tables[SIM_TABLE_COUNT];
    size_t txn_count, txn_cap;
    struct sim_transaction *txns; /* by sim_txn; 0 is unused */
    size_t commit_count;
    sim_txn locks[SIM_PARTITIONS];
    size_t backend_count;
    struct sim_backend backends[SIM_BACKENDS];
    struct arena *texts;
    /* Of the world. */
    bool commits_late;                                                   /* synchronous_commit = off */
    bool locks_no_row;                                                   /* a mutant */
    void (*on_commit)(const struct sim_postgres *postgres, sim_txn txn); /* just committed */
};

void sim_init(struct sim_postgres *postgres); /* zeroed before the first time */
void sim_fini(struct sim_postgres *postgres);

sim_txn sim_begin(struct sim_postgres *postgres);
void sim_commit(struct sim_postgres *postgres, sim_txn txn);
void sim_abort(struct sim_postgres *postgres, sim_txn txn); /* 0: nothing */
bool sim_is_running(const struct sim_postgres *postgres, sim_txn txn);

/* A new backend; which one. Those that are gone are not numbered anew within a world. */
size_t sim_connect(struct sim_postgres *postgres, int pid, mono_ms now);
void sim_end_backend(struct sim_postgres *postgres, size_t backend);
/* Commits after this one never happened; whatever ran is rolled back. */
void sim_lose_commits(struct sim_postgres *postgres, size_t kept);
/* The last commit that a crash of the server cannot lose. */
size_t sim_flushed(const struct sim_postgres *postgres);

/* txn 0: what is committed. */
bool sim_sees(const struct sim_postgres *postgres, const struct sim_row *row, sim_txn txn);
/* Walks a chain from its newest row; row NULL begins. Only those that are seen. */
struct sim_row *sim_next(const struct sim_postgres *postgres, enum sim_kind kind, int chain, sim_txn txn,
                         const struct sim_row *row);
/* The row of footfall.partitions; NULL: there is none. */
struct sim_row *sim_find_place(const struct sim_postgres *postgres, int partition, sim_txn txn);
/* The row of a stream in SIM_SETS or SIM_AUDIT; NULL: there is none. */
struct sim_row *sim_find_stream(const struct sim_postgres *postgres, enum sim_kind kind, int partition,
                                sim_txn txn, const struct hit_stream *stream);
/* Changes of a partition, at most SIM_MAX_CHANGES, in the order of (version, ordinal). */
size_t sim_find_changes(const struct sim_postgres *postgres, int partition, sim_txn txn,
                        struct sim_row **changes);
int sim_chain_of_visitor(const struct session *session);

/* Good until the next sim_add to this table. */
struct sim_row *sim_add(struct sim_postgres *postgres, enum sim_kind kind, int chain, sim_txn txn);
/* Another value of the row, in a transaction of its own that is committed at once. */
void sim_replace_place(struct sim_postgres *postgres, struct sim_row *row, const struct sim_place *place);
/* Somebody else's transaction has ended the row and may yet be rolled back. */
bool sim_is_contested(const struct sim_postgres *postgres, const struct sim_row *row, sim_txn txn);
/* The same of a row of the stream that somebody else's transaction has made or ended. */
bool sim_stream_is_contested(const struct sim_postgres *postgres, enum sim_kind kind, int partition,
                             sim_txn txn, const struct hit_stream *stream);
/* False: somebody else has the lock. */
bool sim_lock(struct sim_postgres *postgres, int partition, sim_txn txn);

#endif
