/* SPDX-License-Identifier: Apache-2.0
 * simulated_store: see the header. */
#include "tests/unit/aggregator/simulated_store.h"

#include <string.h>

#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/tuples.h"

enum { GAP_MS = 300000 };

void sim_init(struct sim_store *store)
{
    memset(store, 0, sizeof *store);
    for (int i = 0; i < SIM_PARTITIONS; i++)
        store->partitions[i] = (struct sim_partition){.next_offset = -2, .stored_until = {INT64_MIN}};
    memcpy(store->new_partitions, store->partitions, sizeof store->partitions);
}

static void table_add(struct sim_table *table, int partition, int64_t version, const struct session *value)
{
    MUST(table->count < SIM_MAX_ROWS);
    table->rows[table->count++] =
        (struct sim_row){.partition = partition, .version = version, .value = pooled(value)};
}

static void table_commit(struct sim_table *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++)
        if (!table->rows[i].is_deleted)
            table->rows[kept++] = table->rows[i];
    table->count = table->committed = kept;
}

static void table_abort(struct sim_table *table)
{
    table->count = table->committed;
    for (size_t i = 0; i < table->count; i++)
        table->rows[i].is_deleted = false;
}

/* ---- Claim ---- */

struct claim *sim_claim(struct sim_store *store, int partition, uuid owner, size_t max_open, mono_ms now)
{
    struct sim_partition *row = &store->partitions[partition];
    row->owner = owner;
    store->new_partitions[partition] = *row;
    struct claim *claim = claim_new(partition, GAP_MS, max_open);
    claim->owner = owner;
    claim->next_offset = row->next_offset;
    claim->version = row->version;
    claim->stored_until = row->stored_until;
    for (size_t i = 0; i < store->changes.count; i++)
        if (store->changes.rows[i].partition == partition)
            sessions_replay(claim->sessions, &store->changes.rows[i].value, now);
    return claim;
}

/* ---- Received sets ---- */

bool sim_holds(const struct sim_store *store, const struct claim *claim)
{
    const struct sim_partition *row = &store->partitions[claim->partition];
    return uuid_equals(row->owner, claim->owner) && row->next_offset == claim->next_offset &&
           row->version == claim->version;
}

static struct sim_set *find_set(struct sim_store *store, int partition, const struct hit_stream *stream)
{
    for (size_t i = 0; i < store->set_count; i++) {
        struct sim_set *set = &store->sets[i];
        if (set->partition == partition && set->stream.partition == stream->partition &&
            uuid_equals(set->stream.boot, stream->boot))
            return set;
    }
    MUST(store->set_count < SIM_MAX_SETS);
    struct sim_set *made = &store->sets[store->set_count++];
    *made = (struct sim_set){.partition = partition, .stream = *stream, .text = "{}"};
    return made;
}

void sim_load_streams(struct sim_store *store, struct claim *const *claims, const struct batch *batch)
{
    for (size_t i = 0; i < batch->hit_count; i++) {
        const struct batch_hit *hit = &batch->hits[i];
        struct claim *claim = claims[0];
        for (size_t at = 1; claim->partition != hit->at.partition; at++)
            claim = claims[at];
        if (!hit->has_stream || claim_stream_find(claim, &hit->stream) != NULL)
            continue;
        struct received set = {.count = 0};
        const char *text = find_set(store, claim->partition, &hit->stream)->text;
        MUST(received_read(slice_of(text), &set) == STATUS_OK);
        claim_stream_add(claim, &hit->stream, set);
    }
}

void sim_save_streams(struct sim_store *store, struct claim *claim)
{
    size_t cursor = 0;
    struct claim_stream *stream;
    while ((stream = claim_stream_next(claim, &cursor)) != NULL) {
        struct buf text;
        if (!stream->changed)
            continue;
        buf_init(&text, find_set(store, claim->partition, &stream->stream)->new_text, SIM_SET_BYTES);
        received_write(&stream->set, &text);
        buf_add_char(&text, '\0');
        MUST(!text.overflowed);
        stream->changed = false;
    }
}

/* ---- Rows taken ---- */

void sim_take_strays(struct sim_store *store, const struct claim *claim, struct merge *merge)
{
    for (size_t i = 0; i < store->strays.committed; i++) {
        struct sim_row *row = &store->strays.rows[i];
        if (row->partition != claim->partition)
            continue;
        row->is_deleted = true;
        merge_take_stray(merge, claim->partition, &row->value);
    }
}

static bool is_asked_for(const struct merge_lookup *lookup, const struct session *row)
{
    return ip_equals(row->ip, lookup->ip) && slice_equals(row->host, lookup->host) &&
           row->start.ms <= lookup->to.ms && row->last.ms + GAP_MS >= lookup->from.ms;
}

/* All look-ups are one statement: they see the rows as they were before it, and each row goes once. */
void sim_take_stored(struct sim_store *store, struct merge *merge)
{
    size_t cursor = 0;
    struct merge_lookup lookup;
    int taken_by[SIM_MAX_ROWS];
    while (merge_next_lookup(merge, &cursor, &lookup)) {
        for (size_t i = 0; i < store->sessions.committed; i++) {
            struct sim_row *row = &store->sessions.rows[i];
            if (row->is_deleted || !is_asked_for(&lookup, &row->value))
                continue;
            row->is_deleted = true;
            taken_by[i] = lookup.partition;
        }
    }
    for (size_t i = 0; i < store->sessions.committed; i++)
        if (store->sessions.rows[i].is_deleted)
            merge_take_stored(merge, taken_by[i], &store->sessions.rows[i].value);
}

/* ---- Rows written ---- */

static void write_closed(struct sim_store *store, slice rest)
{
    for (struct session closed; tuples_next_session(&rest, GAP_MS, &closed);)
        table_add(&store->sessions, 0, 0, &closed);
}

static void write_changes(struct sim_store *store, slice tuples)
{
    struct tuples_changes rest = {.rest = tuples};
    for (struct tuples_change change; tuples_next_change(&rest, SLICE("hits"), &change);)
        table_add(&store->changes, change.partition, change.version, &change.value);
}

static void write_strays(struct sim_store *store, slice rest)
{
    for (struct tuples_stray stray; tuples_next_stray(&rest, SLICE("hits"), &stray);)
        table_add(&store->strays, stray.home, 0, &stray.value);
}

void sim_write_output(struct sim_store *store, const struct merge_output *output)
{
    write_closed(store, buf_slice(&output->closed));
    write_changes(store, buf_slice(&output->changes));
    write_strays(store, buf_slice(&output->strays));
}

void sim_write_hits(struct sim_store *store, const struct batch *batch)
{
    for (size_t i = 0; i < batch->hit_count; i++) {
        if (batch->hits[i].is_duplicate)
            continue;
        MUST(store->hit_count < SIM_MAX_HITS);
        store->hits[store->hit_count++] = batch->hits[i].at;
    }
}

void sim_forget_changes(struct sim_store *store, int partition, int64_t before)
{
    for (size_t i = 0; i < store->changes.committed; i++) {
        struct sim_row *row = &store->changes.rows[i];
        if (row->partition == partition && row->version < before)
            row->is_deleted = true;
    }
}

/* ---- The end ---- */

void sim_move(struct sim_store *store, const struct claim *claim, int64_t next_offset)
{
    struct sim_partition *row = &store->new_partitions[claim->partition];
    MUST(sim_holds(store, claim));
    row->next_offset = next_offset;
    row->version++;
    row->stored_until = claim->stored_until;
}

void sim_commit(struct sim_store *store)
{
    table_commit(&store->sessions);
    table_commit(&store->changes);
    table_commit(&store->strays);
    store->hits_committed = store->hit_count;
    memcpy(store->partitions, store->new_partitions, sizeof store->partitions);
    for (size_t i = 0; i < store->set_count; i++) {
        struct sim_set *set = &store->sets[i];
        if (set->new_text[0] != '\0')
            memcpy(set->text, set->new_text, sizeof set->text);
        set->new_text[0] = '\0';
    }
}

void sim_abort(struct sim_store *store)
{
    table_abort(&store->sessions);
    table_abort(&store->changes);
    table_abort(&store->strays);
    store->hit_count = store->hits_committed;
    memcpy(store->new_partitions, store->partitions, sizeof store->partitions);
    for (size_t i = 0; i < store->set_count; i++)
        store->sets[i].new_text[0] = '\0';
}
