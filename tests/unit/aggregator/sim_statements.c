/* SPDX-License-Identifier: Apache-2.0
 * sim_statements: see the header. */
#include "tests/unit/aggregator/sim_statements.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/aggregator/sim_trace.h"

static enum sim_verdict begin(struct sim_call *call)
{
    struct sim_backend *backend = &call->postgres->backends[call->backend];
    MUST(backend->txn == 0);
    backend->txn = sim_begin(call->postgres);
    if (call_says(call, "synchronous_commit ="))
        call->postgres->txns[backend->txn].is_flushed = call_says(call, "synchronous_commit = on");
    return SIM_DONE;
}

static enum sim_verdict commit(struct sim_call *call)
{
    struct sim_backend *backend = &call->postgres->backends[call->backend];
    sim_txn txn = backend->txn;
    backend->txn = 0;
    sim_commit(call->postgres, txn);
    call->result->tag = "COMMIT";
    return SIM_DONE;
}

static enum sim_verdict roll_back(struct sim_call *call)
{
    struct sim_backend *backend = &call->postgres->backends[call->backend];
    sim_abort(call->postgres, backend->txn); /* 0 when it has failed */
    backend->txn = 0;
    return SIM_DONE;
}

static enum sim_verdict do_nothing(struct sim_call *call)
{
    (void)call;
    return SIM_DONE;
}

struct known {
    const char *begins;
    enum sim_verdict (*run)(struct sim_call *call);
    enum { ALONE, MAY_WAIT, SHARED } kind;
};

static const struct known known[] = {
    {"BEGIN", begin, ALONE},
    {"COMMIT", commit, SHARED},
    {"ROLLBACK", roll_back, SHARED},
    {"SELECT footfall.make_day(", do_nothing, ALONE},
    {"SELECT day - date", do_nothing, ALONE},
    /* claiming, peeking */
    {"INSERT INTO footfall.partitions", sim_make_row, SHARED},
    {"UPDATE footfall.partitions   SET owner", sim_own_row, MAY_WAIT},
    {"UPDATE footfall.partitions SET halted_at", sim_keep_halt, MAY_WAIT},
    {"SELECT page.version", sim_read_changes, SHARED},
    {"SELECT a.stream", sim_find_holes, SHARED},
    {"SELECT holder.pid", sim_end_holder, SHARED},
    {"SELECT position::int4", sim_peek_strays, SHARED},
    /* writing */
    {"SELECT p.partition", sim_check_fence, MAY_WAIT},
    {"SELECT named.partition", sim_load_streams, SHARED},
    {"INSERT INTO footfall.received", sim_save_sets, SHARED},
    {"INSERT INTO footfall.audit", sim_save_audit, SHARED},
    {"DELETE FROM footfall.strays", sim_take_strays, SHARED},
    {"DELETE FROM session_events_aggregated_ip", sim_take_stored, SHARED},
    {"COPY processed_events", sim_copy_hits, SHARED},
    {"COPY session_events_aggregated_ip", sim_copy_closed, SHARED},
    {"DELETE FROM footfall.open_session_pages", sim_forget_changes, SHARED},
    {"COPY footfall.open_session_pages", sim_copy_changes, SHARED},
    {"COPY footfall.rollup_sums", sim_copy_sums, SHARED},
    {"COPY footfall.strays", sim_copy_strays, SHARED},
    {"UPDATE footfall.partitions p", sim_move_fence, MAY_WAIT},
};

static const struct known *find(const char *sql)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(sql, known[i].begins, strlen(known[i].begins)) == 0)
            return &known[i];
    trace_fail("the simulated server does not know this statement: %.120s", sql);
}

bool sim_statements_may_wait(const char *sql)
{
    return find(sql)->kind == MAY_WAIT;
}

bool sim_statements_is_private(const char *sql)
{
    return find(sql)->kind == ALONE;
}

/* ---- Mutants ---- */

static const struct sim_edit no_edits[] = {{NULL, NULL}};
static const struct sim_edit *edits = no_edits;

void sim_statements_edit(const struct sim_edit *wanted)
{
    edits = wanted != NULL ? wanted : no_edits;
}

/* The statement's text with the edits that it has a place for. */
static const char *edited(const char *sql)
{
    static char text[2][4096];
    size_t turn = 0;
    for (const struct sim_edit *edit = edits; edit->text != NULL; edit++) {
        const char *at = strstr(sql, edit->text);
        if (at == NULL)
            continue;
        int len = snprintf(text[turn], sizeof text[turn], "%.*s%s%s", (int)(at - sql), sql, edit->instead,
                           at + strlen(edit->text));
        MUST(len < (int)sizeof text[turn]);
        sql = text[turn];
        turn = 1 - turn;
    }
    return sql;
}

enum sim_verdict sim_statements_run(struct sim_call *call)
{
    const struct known *statement = find(call->sql);
    call->sql = edited(call->sql);
    result_clear(call->result, "");
    enum sim_verdict verdict = statement->run(call);
    if (verdict == SIM_DONE)
        result_finish(call->result);
    return verdict;
}
