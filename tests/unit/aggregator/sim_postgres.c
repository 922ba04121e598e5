/* SPDX-License-Identifier: Apache-2.0
 * sim_postgres: see the header. */
#include "tests/unit/aggregator/sim_postgres.h"

#include <stdlib.h>
#include <string.h>

enum { START_ROWS = 256, CHUNK_BYTES = 64 * 1024, MAX_TEXT_BYTES = 64 * 1024 * 1024 };

void sim_init(struct sim_postgres *postgres)
{
    for (size_t i = 0; i < SIM_TABLE_COUNT; i++) {
        struct sim_table *table = &postgres->tables[i];
        table->count = 0;
        memset(table->newest, 0, sizeof table->newest);
    }
    if (postgres->texts == NULL)
        postgres->texts = arena_new(CHUNK_BYTES, MAX_TEXT_BYTES);
    arena_clear(postgres->texts);
    postgres->txn_count = 1;
    postgres->commit_count = 0;
    memset(postgres->locks, 0, sizeof postgres->locks);
    postgres->backend_count = 0;
}

void sim_fini(struct sim_postgres *postgres)
{
    for (size_t i = 0; i < SIM_TABLE_COUNT; i++)
        free(postgres->tables[i].rows);
    free(postgres->txns);
    arena_free(&postgres->texts);
    *postgres = (struct sim_postgres){.txn_count = 0};
}

/* ---- Transactions ---- */

sim_txn sim_begin(struct sim_postgres *postgres)
{
    if (postgres->txn_count >= postgres->txn_cap) {
        postgres->txn_cap = postgres->txn_cap == 0 ? START_ROWS : 2 * postgres->txn_cap;
        postgres->txns = must_realloc(postgres->txns, postgres->txn_cap * sizeof *postgres->txns);
    }
    postgres->txns[postgres->txn_count] =
        (struct sim_transaction){.state = SIM_RUNNING, .is_flushed = !postgres->commits_late};
    return (sim_txn)postgres->txn_count++;
}

static void unlock(struct sim_postgres *postgres, sim_txn txn)
{
    for (size_t i = 0; i < SIM_PARTITIONS; i++)
        if (postgres->locks[i] == txn)
            postgres->locks[i] = 0;
}

void sim_commit(struct sim_postgres *postgres, sim_txn txn)
{
    MUST(sim_is_running(postgres, txn));
    postgres->txns[txn].state = SIM_COMMITTED;
    postgres->txns[txn].commit = ++postgres->commit_count;
    unlock(postgres, txn);
    postgres->on_commit(postgres, txn);
}

void sim_abort(struct sim_postgres *postgres, sim_txn txn)
{
    if (txn == 0)
        return;
    MUST(sim_is_running(postgres, txn));
    postgres->txns[txn].state = SIM_ABORTED;
    unlock(postgres, txn);
}

bool sim_is_running(const struct sim_postgres *postgres, sim_txn txn)
{
    return txn != 0 && postgres->txns[txn].state == SIM_RUNNING;
}

/* ---- Backends, and what a server loses ---- */

size_t sim_connect(struct sim_postgres *postgres, int pid, mono_ms now)
{
    size_t number = postgres->backend_count;
    MUST(number < SIM_BACKENDS);
    postgres->backend_count++;
    postgres->backends[number] = (struct sim_backend){.is_alive = true, .pid = pid, .active_at = now};
    return number;
}

void sim_end_backend(struct sim_postgres *postgres, size_t backend)
{
    struct sim_backend *ended = &postgres->backends[backend];
    sim_abort(postgres, ended->txn);
    ended->txn = 0;
    ended->is_alive = false;
}

void sim_lose_commits(struct sim_postgres *postgres, size_t kept)
{
    for (sim_txn txn = 1; txn < postgres->txn_count; txn++) {
        struct sim_transaction *lost = &postgres->txns[txn];
        MUST(lost->state != SIM_RUNNING);
        if (lost->state == SIM_COMMITTED && lost->commit > kept)
            lost->state = SIM_ABORTED;
    }
    postgres->commit_count = kept;
}

size_t sim_flushed(const struct sim_postgres *postgres)
{
    size_t flushed = 0;
    for (sim_txn txn = 1; txn < postgres->txn_count; txn++) {
        const struct sim_transaction *one = &postgres->txns[txn];
        if (one->state == SIM_COMMITTED && one->is_flushed && one->commit > flushed)
            flushed = one->commit;
    }
    return flushed;
}

/* ---- Rows ---- */

static bool is_done(const struct sim_postgres *postgres, sim_txn by, sim_txn seen_by)
{
    return by != 0 && (by == seen_by || postgres->txns[by].state == SIM_COMMITTED);
}

bool sim_sees(const struct sim_postgres *postgres, const struct sim_row *row, sim_txn txn)
{
    return is_done(postgres, row->made, txn) && !is_done(postgres, row->ended, txn);
}

struct sim_row *sim_next(const struct sim_postgres *postgres, enum sim_kind kind, int chain, sim_txn txn,
                         const struct sim_row *row)
{
    const struct sim_table *table = &postgres->tables[kind];
    uint32_t at = row != NULL ? row->older : table->newest[chain];
    while (at != 0 && !sim_sees(postgres, &table->rows[at - 1], txn))
        at = table->rows[at - 1].older;
    return at != 0 ? &table->rows[at - 1] : NULL;
}

struct sim_row *sim_find_place(const struct sim_postgres *postgres, int partition, sim_txn txn)
{
    return sim_next(postgres, SIM_PLACES, partition, txn, NULL);
}

/* By the stream that both kinds of row begin with. */
static bool is_of_stream(const struct sim_row *row, const struct hit_stream *stream)
{
    const struct hit_stream *own = &row->as.set.stream;
    return own->partition == stream->partition && uuid_equals(own->boot, stream->boot);
}

struct sim_row *sim_find_stream(const struct sim_postgres *postgres, enum sim_kind kind, int partition,
                                sim_txn txn, const struct hit_stream *stream)
{
    struct sim_row *row = NULL;
    while ((row = sim_next(postgres, kind, partition, txn, row)) != NULL && !is_of_stream(row, stream))
        continue;
    return row;
}

static int order_of_changes(const void *a, const void *b)
{
    const struct sim_change *left = &(*(struct sim_row *const *)a)->as.change;
    const struct sim_change *right = &(*(struct sim_row *const *)b)->as.change;
    if (left->version != right->version)
        return left->version < right->version ? -1 : 1;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

size_t sim_find_changes(const struct sim_postgres *postgres, int partition, sim_txn txn,
                        struct sim_row **changes)
{
    size_t count = 0;
    struct sim_row *row = NULL;
    while ((row = sim_next(postgres, SIM_CHANGES, partition, txn, row)) != NULL) {
        MUST(count < SIM_MAX_CHANGES);
        changes[count++] = row;
    }
    qsort(changes, count, sizeof *changes, order_of_changes);
    return count;
}

int sim_chain_of_visitor(const struct session *session)
{
    const uint8_t *ip = session->ip.bytes;
    return (int)((ip[7] + ip[15] + 4u * ip[0] + 3 * session->host.len) % SIM_CHAINS);
}

struct sim_row *sim_add(struct sim_postgres *postgres, enum sim_kind kind, int chain, sim_txn txn)
{
    struct sim_table *table = &postgres->tables[kind];
    MUST(chain >= 0 && chain < SIM_CHAINS && sim_is_running(postgres, txn));
    if (table->count == table->cap) {
        table->cap = table->cap == 0 ? START_ROWS : 2 * table->cap;
        table->rows = must_realloc(table->rows, table->cap * sizeof *table->rows);
    }
    struct sim_row *row = &table->rows[table->count++];
    *row = (struct sim_row){.made = txn, .older = table->newest[chain], .partition = chain};
    table->newest[chain] = (uint32_t)table->count;
    return row;
}

void sim_replace_place(struct sim_postgres *postgres, struct sim_row *row, const struct sim_place *place)
{
    sim_txn txn = sim_begin(postgres);
    int partition = row->partition;
    row->ended = txn;
    sim_add(postgres, SIM_PLACES, partition, txn)->as.place = *place;
    sim_commit(postgres, txn);
}

bool sim_is_contested(const struct sim_postgres *postgres, const struct sim_row *row, sim_txn txn)
{
    return row->ended != txn && sim_is_running(postgres, row->ended);
}

bool sim_stream_is_contested(const struct sim_postgres *postgres, enum sim_kind kind, int partition,
                             sim_txn txn, const struct hit_stream *stream)
{
    const struct sim_table *table = &postgres->tables[kind];
    for (uint32_t at = table->newest[partition]; at != 0; at = table->rows[at - 1].older) {
        const struct sim_row *row = &table->rows[at - 1];
        bool is_anothers = row->made != txn && sim_is_running(postgres, row->made);
        bool is_seen = sim_sees(postgres, row, txn);
        if (is_of_stream(row, stream) && (is_anothers || (is_seen && sim_is_contested(postgres, row, txn))))
            return true;
    }
    return false;
}

bool sim_lock(struct sim_postgres *postgres, int partition, sim_txn txn)
{
    sim_txn *lock = &postgres->locks[partition];
    if (postgres->locks_no_row)
        return true;
    if (*lock != 0 && *lock != txn)
        return false;
    *lock = txn;
    return true;
}
