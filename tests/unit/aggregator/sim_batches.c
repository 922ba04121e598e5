/* SPDX-License-Identifier: Apache-2.0
 * sim_batches: the statements that read and write the rows of a batch (sim_statements.h). */
#include <string.h>

#include "aggregator/row.h"
#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/sim_statements.h"
#include "tests/unit/aggregator/tuples.h"

enum { GAP_MS = 300000 };

/* ---- Streams ---- */

static struct hit_stream stream_of(slice name)
{
    struct hit_stream stream;
    MUST(hit_stream_read(name, &stream) == STATUS_OK);
    return stream;
}

static void add_set(struct buf *out, const struct sim_row *row)
{
    if (row != NULL)
        row_add_text(out, row->as.set.ranges);
    else
        row_add_null(out);
}

static void add_audit(struct buf *out, const struct sim_row *row)
{
    if (row != NULL)
        row_add_text(out, row->as.audit.skipped);
    else
        row_add_null(out);
    if (row != NULL && row->as.audit.is_ended) {
        row_add_int64(out, row->as.audit.last);
        row_add_timestamp(out, row->as.audit.ended);
    } else {
        row_add_null(out);
        row_add_null(out);
    }
}

enum sim_verdict sim_load_streams(struct sim_call *call)
{
    struct call_arrays named = call_arrays(call, 1, 2);
    bool finds_sets = call_says(call, "FROM footfall.received r WHERE r.topic = $1");
    while (call_next(&named)) {
        int partition = call_int(&named, 0);
        struct hit_stream stream = stream_of(named.row[1]);
        const struct sim_row *set =
            sim_find_stream(call->postgres, SIM_SETS, partition, call_txn(call), &stream);
        const struct sim_row *audit =
            sim_find_stream(call->postgres, SIM_AUDIT, partition, call_txn(call), &stream);
        struct buf *out = result_add_row(call->result, 6);
        row_add_int32(out, partition);
        row_add_text(out, named.row[1]);
        add_set(out, finds_sets ? set : NULL);
        add_audit(out, audit);
    }
    return SIM_DONE;
}

/* A transaction's own row of a stream in the place of the one that it sees; NULL: somebody else's stands in
 * the way, and may yet go. */
static struct sim_row *put_stream(struct sim_call *call, enum sim_kind kind, int partition,
                                  const struct hit_stream *stream)
{
    sim_txn txn = call_txn(call);
    struct sim_row *old = sim_find_stream(call->postgres, kind, partition, txn, stream);
    if (sim_stream_is_contested(call->postgres, kind, partition, txn, stream))
        return NULL;
    if (old != NULL)
        old->ended = txn;
    return call_add(call, kind, partition);
}

enum sim_verdict sim_save_sets(struct sim_call *call)
{
    struct call_arrays changed = call_arrays(call, 1, 3);
    while (call_next(&changed)) {
        struct hit_stream stream = stream_of(changed.row[1]);
        struct sim_row *row = put_stream(call, SIM_SETS, call_int(&changed, 0), &stream);
        if (row == NULL)
            return SIM_WAITS;
        row->as.set =
            (struct sim_set){.stream = stream, .ranges = arena_copy(call->postgres->texts, changed.row[2])};
    }
    return SIM_DONE;
}

enum sim_verdict sim_save_audit(struct sim_call *call)
{
    struct call_arrays said = call_arrays(call, 1, 7);
    while (call_next(&said)) {
        struct hit_stream stream = stream_of(said.row[1]);
        struct sim_row *row = put_stream(call, SIM_AUDIT, call_int(&said, 0), &stream);
        if (row == NULL)
            return SIM_WAITS;
        struct sim_audit *audit = &row->as.audit;
        audit->stream = stream;
        audit->skipped = arena_copy(call->postgres->texts, said.row[2]);
        audit->is_ended = said.row[3].data != NULL;
        if (!audit->is_ended)
            continue;
        audit->last = call_int64(&said, 3);
        audit->ended = call_time(&said, 4);
        audit->missing = call_int64(&said, 5);
    }
    return SIM_DONE;
}

/* ---- Rows taken ---- */

/* Somebody else's transaction has deleted one of these. */
static bool has_contested(const struct sim_call *call, enum sim_kind kind, int chain)
{
    const struct sim_row *row = NULL;
    while ((row = sim_next(call->postgres, kind, chain, call_txn(call), row)) != NULL)
        if (sim_is_contested(call->postgres, row, call_txn(call)))
            return true;
    return false;
}

enum sim_verdict sim_take_strays(struct sim_call *call)
{
    sim_txn txn = call_txn(call);
    struct call_arrays held = call_arrays(call, 1, 1);
    struct call_arrays asked = held;
    while (call_next(&asked))
        if (has_contested(call, SIM_STRAYS, call_int(&asked, 0)))
            return SIM_WAITS;
    while (call_next(&held)) {
        int home = call_int(&held, 0);
        struct sim_row *row = NULL;
        while ((row = sim_next(call->postgres, SIM_STRAYS, home, txn, row)) != NULL) {
            row->ended = txn;
            result_add_session(call->result, home, &row->as.session);
        }
    }
    return SIM_DONE;
}

struct taken {
    size_t count;
    struct {
        struct sim_row *row;
        int partition;
    } at[1024];
};

static bool is_taken(const struct taken *taken, const struct sim_row *row)
{
    for (size_t i = 0; i < taken->count; i++)
        if (taken->at[i].row == row)
            return true;
    return false;
}

static struct session part_of(const struct call_arrays *parts)
{
    struct session part = {.host = parts->row[2], .start = call_time(parts, 3), .last = call_time(parts, 4)};
    MUST(ip_read(parts->row[1], &part.ip) == STATUS_OK);
    return part;
}

/* The start of the last row of the visitor that does not start after the part; else that of the part. */
static int64_t least_start(const struct sim_call *call, const struct session *part)
{
    const struct sim_row *row = NULL;
    int64_t least = INT64_MIN;
    int chain = sim_chain_of_visitor(part);
    while ((row = sim_next(call->postgres, SIM_SESSIONS, chain, call_txn(call), row)) != NULL)
        if (session_is_same_key(&row->as.session, part) && row->as.session.start.ms <= part->start.ms &&
            row->as.session.start.ms > least)
            least = row->as.session.start.ms;
    return least != INT64_MIN ? least : part->start.ms;
}

/* What a part asks for: part.last is its to_time. False: it has to wait for somebody else's transaction. */
static bool find_stored(const struct sim_call *call, int partition, const struct session *part,
                        struct taken *taken)
{
    struct sim_row *row = NULL;
    int64_t least = least_start(call, part);
    int chain = sim_chain_of_visitor(part);
    while ((row = sim_next(call->postgres, SIM_SESSIONS, chain, call_txn(call), row)) != NULL) {
        const struct session *stored = &row->as.session;
        if (!session_is_same_key(stored, part) || stored->start.ms > part->last.ms ||
            stored->last.ms + GAP_MS < part->start.ms || stored->start.ms < least || is_taken(taken, row))
            continue;
        if (sim_is_contested(call->postgres, row, call_txn(call)))
            return false;
        MUST(taken->count < sizeof taken->at / sizeof taken->at[0]);
        taken->at[taken->count].row = row;
        taken->at[taken->count++].partition = partition;
    }
    return true;
}

/* All parts see the rows as they were before the statement, and each row goes once. */
enum sim_verdict sim_take_stored(struct sim_call *call)
{
    static struct taken taken;
    struct call_arrays parts = call_arrays(call, 0, 5);
    taken.count = 0;
    if (call_says(call, "WHERE false"))
        return SIM_DONE;
    while (call_next(&parts)) {
        struct session part = part_of(&parts);
        if (!find_stored(call, call_int(&parts, 0), &part, &taken))
            return SIM_WAITS;
    }
    for (size_t i = 0; i < taken.count; i++) {
        taken.at[i].row->ended = call_txn(call);
        result_add_session(call->result, taken.at[i].partition, &taken.at[i].row->as.session);
    }
    return SIM_DONE;
}

enum sim_verdict sim_forget_changes(struct sim_call *call)
{
    sim_txn txn = call_txn(call);
    int partition = (int)call_number(call, 1);
    struct sim_row *row = NULL;
    if (has_contested(call, SIM_CHANGES, partition))
        return SIM_WAITS;
    while ((row = sim_next(call->postgres, SIM_CHANGES, partition, txn, row)) != NULL)
        if (row->as.change.version < call_number(call, 2))
            row->ended = txn;
    return SIM_DONE;
}

/* ---- Rows written ---- */

enum sim_verdict sim_copy_hits(struct sim_call *call)
{
    for (size_t i = 0; i < call->copy->piece_count; i++) {
        slice rest = call->copy->pieces[i];
        for (struct tuples_place place; tuples_next_hit(&rest, &place);)
            call_add(call, SIM_HITS, place.partition)->as.number = place.offset;
    }
    return SIM_DONE;
}

static slice only_piece(const struct sim_call *call)
{
    MUST(call->copy->piece_count == 1);
    return call->copy->pieces[0];
}

/* Unique (host, ip, start_session). */
static enum sim_verdict check_unique(struct sim_call *call, const struct session *closed)
{
    const struct sim_table *table = &call->postgres->tables[SIM_SESSIONS];
    uint32_t at = table->newest[sim_chain_of_visitor(closed)];
    for (; at != 0; at = table->rows[at - 1].older) {
        const struct sim_row *row = &table->rows[at - 1];
        if (!session_is_same_key(&row->as.session, closed) || row->as.session.start.ms != closed->start.ms)
            continue;
        if (sim_sees(call->postgres, row, call_txn(call)) &&
            !sim_is_contested(call->postgres, row, call_txn(call)))
            return call_fail(call, "23505");
        bool is_anothers = row->made != call_txn(call) && sim_is_running(call->postgres, row->made);
        if (is_anothers || sim_sees(call->postgres, row, call_txn(call)))
            return SIM_WAITS;
    }
    return SIM_DONE;
}

/* Whatever waits, waits before the first row is there. */
enum sim_verdict sim_copy_closed(struct sim_call *call)
{
    slice rest = only_piece(call);
    enum sim_verdict verdict = SIM_DONE;
    for (struct session closed; verdict == SIM_DONE && tuples_next_session(&rest, GAP_MS, &closed);)
        verdict = check_unique(call, &closed);
    if (verdict != SIM_DONE)
        return verdict;
    rest = only_piece(call);
    for (struct session closed; tuples_next_session(&rest, GAP_MS, &closed);) {
        verdict = check_unique(call, &closed);
        if (verdict != SIM_DONE)
            return verdict;
        call_add(call, SIM_SESSIONS, sim_chain_of_visitor(&closed))->as.session = pooled(&closed);
    }
    return SIM_DONE;
}

enum sim_verdict sim_copy_changes(struct sim_call *call)
{
    struct tuples_changes rest = {.rest = only_piece(call)};
    for (struct tuples_change change; tuples_next_change(&rest, SLICE("hits"), &change);)
        call_add(call, SIM_CHANGES, change.partition)->as.change = (struct sim_change){
            .version = change.version, .ordinal = change.ordinal, .value = pooled(&change.value)};
    return SIM_DONE;
}

enum sim_verdict sim_copy_strays(struct sim_call *call)
{
    slice rest = only_piece(call);
    for (struct tuples_stray stray; tuples_next_stray(&rest, SLICE("hits"), &stray);)
        call_add(call, SIM_STRAYS, stray.home)->as.session = pooled(&stray.value);
    return SIM_DONE;
}

enum sim_verdict sim_copy_sums(struct sim_call *call)
{
    slice rest = only_piece(call);
    int64_t hits = 0;
    for (struct tuples_sum sum; tuples_next_sum(&rest, &sum);)
        if (slice_equals(sum.kind, SLICE("traffic")))
            hits += sum.hits;
    call_add(call, SIM_SUMS, 0)->as.number = hits;
    return SIM_DONE;
}
