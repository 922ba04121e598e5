/* SPDX-License-Identifier: Apache-2.0
 * store: see the header. The connection, the two jobs that share it (claiming, writing), and small ones. */
#include "aggregator/store.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/claiming.h"
#include "aggregator/connection.h"
#include "aggregator/result.h"
#include "aggregator/row.h"
#include "aggregator/writing.h"

struct store {
    struct store_options options; /* with copies of the texts */
    struct claiming_cluster cluster;
    struct database *database;
    struct steps steps;
    struct claiming claiming;
    struct writing writing;

    /* The peek under way. */
    struct arrays homes;
    struct claim *const *peeked;
    size_t peeked_count;

    /* The halt that is being kept. */
    struct store_halt halt;
    char halt_partition[12];
    char halt_owner[UUID_TEXT_LEN + 1];

    /* Of the peek or the halt. */
    store_written_fn *on_done;
    void *context;

    void (*on_closed)(void *context);
    void *closed_context;
};

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    MUST(copy != NULL);
    return copy;
}

struct store *store_new(struct uv_loop_s *loop, const struct store_options *options)
{
    struct store *store = must_calloc(1, sizeof *store);
    store->options = *options;
    store->options.conninfo = copy_text(options->conninfo);
    store->options.topic = copy_text(options->topic);
    store->database = database_new(loop, options->conninfo);
    steps_init(&store->steps, store->database);
    claiming_init(&store->claiming, &store->steps, &store->options, &store->cluster);
    writing_init(&store->writing, &store->steps, &store->options);
    arrays_init(&store->homes);
    return store;
}

bool store_set_cluster(struct store *store, const char *cluster_id, int partition_count)
{
    struct claiming_cluster said = {.partition_count = partition_count};
    snprintf(said.id, sizeof said.id, "%s", cluster_id);
    bool is_other =
        store->cluster.partition_count > 0 &&
        (store->cluster.partition_count != partition_count || strcmp(store->cluster.id, said.id) != 0);
    store->cluster = said;
    return is_other;
}

static void on_database_closed(void *context)
{
    struct store *store = context;
    void (*on_closed)(void *) = store->on_closed;
    void *closed_context = store->closed_context;
    claiming_fini(&store->claiming);
    writing_fini(&store->writing);
    arrays_fini(&store->homes);
    free((char *)store->options.conninfo);
    free((char *)store->options.topic);
    free(store);
    if (on_closed != NULL)
        on_closed(closed_context);
}

void store_close(struct store **store, void (*on_closed)(void *context), void *context)
{
    struct store *closing = *store;
    *store = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    database_close(&closing->database, on_database_closed, closing);
}

bool store_is_busy(const struct store *store)
{
    return steps_is_busy(&store->steps);
}

void store_claim(struct store *store, int partition, store_claimed_fn *on_claimed, void *context)
{
    claiming_start(&store->claiming, partition, on_claimed, context);
}

void store_write(struct store *store, const struct store_batch *batch, store_written_fn *on_written,
                 void *context)
{
    writing_start(&store->writing, batch, on_written, context);
}

/* ---- Strays waiting ---- */

static enum step_move ask_waiting(void *job)
{
    struct store *store = job;
    static const enum arrays_type types[] = {ARRAYS_INT4};
    arrays_begin(&store->homes, types, 1);
    for (size_t i = 0; i < store->peeked_count; i++)
        row_add_int32(&store->homes.columns[0], store->peeked[i]->partition);
    struct database_statement statement = {
        .sql =
            "SELECT position::int4 FROM unnest($2::int4[]) WITH ORDINALITY AS held (home, position)"
            " WHERE (SELECT true FROM footfall.strays s WHERE s.topic = $1 AND s.home = held.home LIMIT 1)"};
    database_statement_add_text(&statement, store->options.topic);
    arrays_bind(&store->homes, store->peeked_count, &statement);
    return steps_query(&store->steps, &statement);
}

static enum step_move note_waiting(void *job, const struct database_reply *reply)
{
    struct store *store = job;
    for (int row = 0; row < result_count(reply->result); row++)
        store->peeked[result_int32(reply->result, row, 0) - 1]->has_strays = true;
    return STEP_NEXT;
}

static const struct step peek_steps[] = {
    {"strays_peek", ask_waiting, note_waiting},
    {NULL, NULL, NULL},
};

static void on_small_done(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct store *store = job;
    (void)failed;
    store->on_done(store->context, result);
}

void store_peek_strays(struct store *store, struct claim *const *claims, size_t claim_count,
                       store_written_fn *on_peeked, void *context)
{
    store->peeked = claims;
    store->peeked_count = claim_count;
    store->on_done = on_peeked;
    store->context = context;
    steps_start(&store->steps, peek_steps, store, on_small_done);
}

/* ---- Halts ---- */

static enum step_move connect_to_halt(void *job)
{
    struct store *store = job;
    return steps_connect(&store->steps);
}

static enum step_move write_halt(void *job)
{
    struct store *store = job;
    struct database_statement statement = {
        .sql = "UPDATE footfall.partitions SET halted_at = now(), halt_reason = $4"
               " WHERE topic = $1 AND partition = $2::int4 AND owner = $3::uuid"};
    database_statement_add_text(&statement, store->options.topic);
    database_statement_add_text(&statement, store->halt_partition);
    database_statement_add_text(&statement, store->halt_owner);
    database_statement_add_text(&statement, store->halt.reason);
    return steps_query(&store->steps, &statement);
}

static enum step_move check_halted(void *job, const struct database_reply *reply)
{
    struct store *store = job;
    if (result_affected(reply->result) == 1)
        return STEP_NEXT;
    return steps_stop(&store->steps, STORE_FENCED, store->halt.partition,
                      "partition %d was claimed by somebody else before its halt was kept",
                      store->halt.partition);
}

static const struct step halt_steps[] = {
    {"halt_connect", connect_to_halt, NULL},
    {"halt", write_halt, check_halted},
    {NULL, NULL, NULL},
};

void store_keep_halt(struct store *store, const struct store_halt *halt, store_written_fn *on_kept,
                     void *context)
{
    store->halt = *halt;
    snprintf(store->halt_partition, sizeof store->halt_partition, "%d", halt->partition);
    uuid_write(halt->owner, store->halt_owner);
    store->halt_owner[UUID_TEXT_LEN] = '\0';
    store->on_done = on_kept;
    store->context = context;
    steps_start(&store->steps, halt_steps, store, on_small_done);
}

/* ---- Start-up ---- */

enum status store_group_read(const char *conninfo, char *out, size_t cap, struct why *why)
{
    PGconn *conn;
    enum status status = connection_open(conninfo, &conn, why);
    if (status != STATUS_OK)
        return status;
    PGresult *result = PQexec(conn, "SELECT 'footfall-' || id FROM footfall.deployment");
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        status = why_say(why, PQstatus(conn) == CONNECTION_OK ? STATUS_CONFLICT : STATUS_UNAVAILABLE,
                         "cannot read the name of the consumer group from footfall.deployment: %s",
                         PQresultErrorMessage(result));
    else if (PQntuples(result) != 1 || (size_t)PQgetlength(result, 0, 0) >= cap)
        status = why_say(why, STATUS_CONFLICT,
                         "footfall.deployment must have one row; run `footfall-aggregator migrate`");
    else
        memcpy(out, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0) + 1);
    PQclear(result);
    PQfinish(conn);
    return status;
}
