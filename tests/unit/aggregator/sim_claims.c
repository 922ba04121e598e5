/* SPDX-License-Identifier: Apache-2.0
 * sim_claims: the statements about rows of footfall.partitions, and what a claim reads (sim_statements.h). */
#include <string.h>

#include "aggregator/audit.h"
#include "aggregator/row.h"
#include "tests/unit/aggregator/sim_statements.h"

/* ---- Claiming ---- */

enum sim_verdict sim_make_row(struct sim_call *call)
{
    int partition = (int)call_number(call, 1);
    MUST(call_txn(call) == 0);
    if (sim_find_place(call->postgres, partition, 0) != NULL)
        return SIM_DONE;
    sim_txn txn = sim_begin(call->postgres);
    sim_add(call->postgres, SIM_PLACES, partition, txn)->as.place = (struct sim_place){.next_offset = -2};
    sim_commit(call->postgres, txn);
    return SIM_DONE;
}

/* The transaction's own version of a partition's row; the one that is seen now ends. */
static struct sim_place *renew(const struct sim_call *call, struct sim_row *row)
{
    struct sim_place place = row->as.place;
    int partition = row->partition;
    row->ended = call_txn(call);
    struct sim_row *made = call_add(call, SIM_PLACES, partition);
    made->as.place = place;
    return &made->as.place;
}

static void answer_place(struct sim_call *call, int partition, const struct sim_place *place)
{
    struct buf *out = result_add_row(call->result, 7);
    row_add_int64(out, place->next_offset);
    row_add_int64(out, place->version);
    if (place->has_stored_until)
        row_add_timestamp(out, place->stored_until);
    else
        row_add_null(out);
    row_add_text(out, slice_of(call_text(call, 3)));
    row_add_int32(out, (int32_t)call_number(call, 4));
    row_add_bool(out, sim_next(call->postgres, SIM_STRAYS, partition, call_txn(call), NULL) != NULL);
    if (place->halt_reason.data != NULL)
        row_add_text(out, place->halt_reason);
    else
        row_add_null(out);
}

enum sim_verdict sim_own_row(struct sim_call *call)
{
    int partition = (int)call_number(call, 1);
    const struct sim_backend *backend = &call->postgres->backends[call->backend];
    if (sim_find_place(call->postgres, partition, call_txn(call)) == NULL)
        return SIM_DONE; /* it was lost with the server's last commits */
    if (!sim_lock(call->postgres, partition, call_txn(call)))
        return SIM_WAITS;
    struct sim_place *place = renew(call, sim_find_place(call->postgres, partition, call_txn(call)));
    MUST(uuid_read(slice_of(call_text(call, 2)), &place->owner) == STATUS_OK);
    place->owner_pid = backend->pid;
    place->owner_backend = call->backend;
    answer_place(call, partition, place);
    return SIM_DONE;
}

static bool is_after(const struct sim_change *change, int64_t version, int64_t ordinal)
{
    return change->version > version || (change->version == version && change->ordinal > ordinal);
}

/* Some at a time, as if each stood in a page of its own. */
enum sim_verdict sim_read_changes(struct sim_call *call)
{
    enum { SOME = 8 };
    static struct sim_row *changes[SIM_MAX_CHANGES];
    size_t count = sim_find_changes(call->postgres, (int)call_number(call, 1), call_txn(call), changes);
    for (size_t i = 0; i < count && call->result->row_count < SOME; i++) {
        const struct sim_change *change = &changes[i]->as.change;
        if (!is_after(change, call_number(call, 2), call_number(call, 3)))
            continue;
        struct buf *out = result_add_row(call->result, 2 + ROW_SESSION_PART_FIELDS);
        row_add_int64(out, change->version);
        row_add_int32(out, change->ordinal);
        row_add_session_part(out, &change->value);
    }
    return SIM_DONE;
}

/* A transaction of its own. */
enum sim_verdict sim_keep_halt(struct sim_call *call)
{
    uuid owner;
    int partition = (int)call_number(call, 1);
    struct sim_row *row = sim_find_place(call->postgres, partition, 0);
    MUST(call_txn(call) == 0 && uuid_read(slice_of(call_text(call, 2)), &owner) == STATUS_OK);
    if (call->postgres->locks[partition] != 0)
        return SIM_WAITS;
    if (row == NULL || !uuid_equals(row->as.place.owner, owner))
        return SIM_DONE;
    struct sim_place halted = row->as.place;
    halted.halt_reason = arena_copy(call->postgres->texts, slice_of(call_text(call, 3)));
    sim_replace_place(call->postgres, row, &halted);
    call->result->affected = 1;
    return SIM_DONE;
}

/* ---- Holes ---- */

static void read_set(slice text, struct received *set)
{
    MUST(text.len == 0 || received_read(text, set) == STATUS_OK);
}

static struct audit_missing find_missing(const struct sim_call *call, int partition,
                                         const struct sim_audit *said)
{
    struct audit audit = {.is_ended = said->is_ended, .last = said->last};
    struct received received = {.count = 0};
    const struct sim_row *set =
        sim_find_stream(call->postgres, SIM_SETS, partition, call_txn(call), &said->stream);
    read_set(said->skipped, &audit.skipped);
    read_set(set != NULL ? set->as.set.ranges : (slice){NULL, 0}, &received);
    struct audit_missing missing = audit_find_missing(&audit, &received);
    received_fini(&received);
    audit_fini(&audit);
    return missing;
}

enum sim_verdict sim_find_holes(struct sim_call *call)
{
    int partition = (int)call_number(call, 1);
    const struct sim_row *row = NULL;
    while ((row = sim_next(call->postgres, SIM_AUDIT, partition, call_txn(call), row)) != NULL) {
        const struct sim_audit *said = &row->as.audit;
        if (!said->is_ended || said->missing == 0)
            continue;
        char name[HIT_STREAM_TEXT_MAX];
        struct audit_missing missing = find_missing(call, partition, said);
        struct buf *out = result_add_row(call->result, 6);
        row_add_text(out, (slice){name, hit_stream_write(&said->stream, name)});
        row_add_int64(out, said->last);
        row_add_timestamp(out, said->ended);
        row_add_int64(out, said->missing);
        row_add_int64(out, missing.first.from);
        row_add_int64(out, missing.first.to + 1);
    }
    return SIM_DONE;
}

/* ---- Zombies ---- */

enum sim_verdict sim_end_holder(struct sim_call *call)
{
    const struct sim_row *row = sim_find_place(call->postgres, (int)call_number(call, 1), 0);
    if (row == NULL || uuid_equals(row->as.place.owner, (uuid){{0}}))
        return SIM_DONE;
    size_t holder = row->as.place.owner_backend;
    if (holder == call->backend || !call->postgres->backends[holder].is_alive)
        return SIM_DONE;
    sim_end_backend(call->postgres, holder);
    struct buf *out = result_add_row(call->result, 2);
    row_add_int32(out, row->as.place.owner_pid);
    row_add_bool(out, true);
    return SIM_DONE;
}

/* ---- The fence ---- */

/* What a statement compares, by its own text. */
struct comparison {
    bool of_owner, of_offset, of_version;
};

static struct comparison of_check(const struct sim_call *call)
{
    const char *columns = strstr(call->sql, "USING (partition");
    MUST(columns != NULL);
    slice list = slice_head(slice_of(columns), slice_find(slice_of(columns), ')'));
    struct comparison comparison = {false, false, false};
    slice column;
    while (slice_cut(&list, ',', &column)) {
        column = slice_trim(column);
        comparison.of_owner |= slice_equals(column, SLICE("owner"));
        comparison.of_offset |= slice_equals(column, SLICE("next_offset"));
        comparison.of_version |= slice_equals(column, SLICE("version"));
    }
    return comparison;
}

static struct comparison of_move(const struct sim_call *call)
{
    return (struct comparison){.of_owner = call_says(call, "p.owner = held.owner"),
                               .of_offset = call_says(call, "p.next_offset = held.next_offset"),
                               .of_version = call_says(call, "p.version = held.version")};
}

/* The row of the partition that `held` is at, if it is as the claim says; NULL: it is not. */
static struct sim_row *find_held(const struct sim_call *call, const struct call_arrays *held,
                                 const struct comparison *compares)
{
    struct sim_row *row = sim_find_place(call->postgres, call_int(held, 0), call_txn(call));
    if (row == NULL || held->row[1].len != sizeof row->as.place.owner)
        return NULL;
    bool is_owner = memcmp(&row->as.place.owner, held->row[1].data, sizeof row->as.place.owner) == 0;
    bool is_there = row->as.place.next_offset == call_int64(held, 2);
    bool is_then = row->as.place.version == call_int64(held, 3);
    return (is_owner || !compares->of_owner) && (is_there || !compares->of_offset) &&
                   (is_then || !compares->of_version)
               ? row
               : NULL;
}

enum sim_verdict sim_check_fence(struct sim_call *call)
{
    struct call_arrays held = call_arrays(call, 1, 4);
    struct comparison compares = of_check(call);
    bool locks = call_says(call, "FOR UPDATE OF p");
    bool names_backend = call_says(call, "p.owner_pid = pg_backend_pid()");
    while (call_next(&held)) {
        if (find_held(call, &held, &compares) == NULL)
            continue;
        if (locks && !sim_lock(call->postgres, call_int(&held, 0), call_txn(call)))
            return SIM_WAITS;
        const struct sim_row *row = find_held(call, &held, &compares);
        struct buf *out = result_add_row(call->result, 2);
        row_add_int32(out, row->partition);
        row_add_bool(out, !names_backend ||
                              row->as.place.owner_pid == call->postgres->backends[call->backend].pid);
    }
    return SIM_DONE;
}

enum sim_verdict sim_move_fence(struct sim_call *call)
{
    struct call_arrays held = call_arrays(call, 1, 6);
    struct call_arrays locked = held;
    struct comparison compares = of_move(call);
    while (call_next(&locked))
        if (find_held(call, &locked, &compares) != NULL &&
            !sim_lock(call->postgres, call_int(&locked, 0), call_txn(call)))
            return SIM_WAITS;
    while (call_next(&held)) {
        struct sim_row *row = find_held(call, &held, &compares);
        if (row == NULL)
            continue;
        struct sim_place *place = renew(call, row);
        place->moved_from = call_int64(&held, 2);
        place->next_offset = call_int64(&held, 4);
        place->version++;
        place->has_stored_until = held.row[5].data != NULL;
        if (place->has_stored_until)
            place->stored_until = call_time(&held, 5);
        call->result->affected++;
    }
    return SIM_DONE;
}

enum sim_verdict sim_peek_strays(struct sim_call *call)
{
    struct call_arrays held = call_arrays(call, 1, 1);
    for (int position = 1; call_next(&held); position++)
        if (sim_next(call->postgres, SIM_STRAYS, call_int(&held, 0), call_txn(call), NULL) != NULL)
            row_add_int32(result_add_row(call->result, 1), position);
    return SIM_DONE;
}
