/* SPDX-License-Identifier: Apache-2.0
 * retry: see the header. Rejects are read over a connection of this file's own, without a transaction: nobody
 * changes them, and what the batch takes away is compared by its place and time. */
#include "aggregator/retry.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "aggregator/connection.h"
#include "aggregator/enriched.h"
#include "aggregator/intake.h"
#include "aggregator/store.h"
#include "base/buf.h"

_Static_assert(RETRY_PAGE_ROWS *(HIT_MAX_BYTES + 4096) <= BATCH_MAX_BYTES,
               "a page of the longest is a batch");

enum { MAX_ATTEMPTS = 20, PAUSE_MS = 500, MAX_CLOSED = 5000, NUMBER_TEXT = 24 };

struct retry {
    const struct configuration *configuration;
    struct retry_report *report;
    struct why *why;
    PGconn *conn;
    uv_loop_t loop;
    struct places *places;
    struct intake intake;
    const struct settings *settings;
    struct enriched *enriched; /* NULL: nothing is published */
    struct store *store;
    struct merge *merge;
    struct batch *batch;
    int64_t *quiet_ms;

    /* The partition under way: the page begins behind this place. */
    int partition;
    int64_t after_offset;
    int64_t after_ms;
    int page_rows;
    struct claim *claim;
    struct store_retried retried;

    /* Of the store's last answer. */
    bool is_answered;
    struct store_result result;
};

/* ---- The store, waited for ---- */

static void on_claimed(void *context, const struct store_result *result, struct claim *claim)
{
    struct retry *retry = context;
    retry->is_answered = true;
    retry->result = *result;
    retry->claim = claim;
}

static void on_written(void *context, const struct store_result *result)
{
    struct retry *retry = context;
    retry->is_answered = true;
    retry->result = *result;
}

static void wait_for_answer(struct retry *retry)
{
    while (!retry->is_answered)
        uv_run(&retry->loop, UV_RUN_ONCE);
    retry->is_answered = false;
}

static bool claim(struct retry *retry)
{
    if (retry->claim != NULL)
        return true;
    store_claim(retry->store, retry->partition, on_claimed, retry);
    wait_for_answer(retry);
    return retry->result.outcome == STORE_DONE;
}

static void write_batch(struct retry *retry)
{
    struct store_batch batch = {
        .batch = retry->batch,
        .merge = retry->merge,
        .claims = &retry->claim,
        .claim_count = 1,
        .quiet_ms = retry->quiet_ms,
        .retried = &retry->retried,
    };
    store_write(retry->store, &batch, on_written, retry);
    wait_for_answer(retry);
    if (retry->result.outcome != STORE_DONE)
        claim_free(&retry->claim);
}

/* ---- A page ---- */

static enum status read_page(struct retry *retry, PGresult **page)
{
    char partition[NUMBER_TEXT], offset[NUMBER_TEXT], time[NUMBER_TEXT], limit[NUMBER_TEXT];
    snprintf(partition, sizeof partition, "%d", retry->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)retry->after_offset);
    snprintf(time, sizeof time, "%lld", (long long)retry->after_ms);
    snprintf(limit, sizeof limit, "%d", retry->page_rows);
    struct connection_question question = {
        .what = "cannot read rejected_hits",
        .sql = "SELECT kafka_offset, (extract(epoch FROM rejected_at) * 1000)::int8,"
               "       coalesce((extract(epoch FROM written_at) * 1000)::int8, 0), raw"
               "  FROM rejected_hits"
               " WHERE topic = $1 AND kafka_partition = $2::int4"
               "   AND (kafka_offset, rejected_at) > ($3::int8, footfall.time_of_ms($4::int8))"
               " ORDER BY kafka_offset, rejected_at LIMIT $5::int8",
        .values = {retry->configuration->kafka_topic, partition, offset, time, limit},
        .value_count = 5};
    return connection_ask(retry->conn, &question, page, retry->why);
}

static int64_t number_of(const PGresult *page, int row, int column)
{
    return strtoll(PQgetvalue(page, row, column), NULL, 10);
}

static void take_reject(struct retry *retry, const PGresult *page, int row)
{
    size_t len = 0;
    unsigned char *raw = PQunescapeBytea((const unsigned char *)PQgetvalue(page, row, 3), &len);
    MUST(raw != NULL);
    const struct feed_message message = {
        .partition = retry->partition,
        .offset = number_of(page, row, 0),
        .written = {number_of(page, row, 2)},
        .has_value = !PQgetisnull(page, row, 3),
        .value = {(const char *)raw, len},
    };
    struct metrics counts = {{0}};
    size_t hit_count = retry->batch->hit_count;
    (void)intake_take(&retry->intake, &message, (slice){NULL, 0}, retry->batch, &counts);
    if (retry->batch->hit_count > hit_count)
        retry->retried.rows[retry->retried.count++] =
            (struct store_reject){message.offset, {number_of(page, row, 1)}};
    PQfreemem(raw);
}

static void fill_batch(struct retry *retry, const PGresult *page)
{
    batch_clear(retry->batch);
    retry->retried.partition = retry->partition;
    retry->retried.count = 0;
    for (int row = 0; row < PQntuples(page); row++)
        take_reject(retry, page, row);
    batch_make_retried(retry->batch);
}

static void move_on(struct retry *retry, const PGresult *page)
{
    int last = PQntuples(page) - 1;
    retry->after_offset = number_of(page, last, 0);
    retry->after_ms = number_of(page, last, 1);
    retry->page_rows = RETRY_PAGE_ROWS;
    retry->report->seen += last + 1;
}

static void note_stored(struct retry *retry)
{
    const struct merge_output *output = merge_output(retry->merge);
    retry->report->stored += (int64_t)output->new_hit_count;
    retry->report->duplicates += (int64_t)output->duplicate_count;
}

static enum status refuse(struct retry *retry)
{
    return why_say(retry->why, retry->result.outcome == STORE_HALT ? STATUS_CONFLICT : STATUS_UNAVAILABLE,
                   "partition %d: %s", retry->partition, retry->result.reason);
}

static bool is_passing(const struct retry *retry)
{
    return retry->result.outcome == STORE_RETRY || retry->result.outcome == STORE_FENCED;
}

/* AGAIN: the page is to be stored once more. OK: the next one is to be read, or the same one with fewer rows,
 * when Postgres refuses one of them. */
static enum status store_page(struct retry *retry, const PGresult *page)
{
    if (!claim(retry))
        return is_passing(retry) ? STATUS_AGAIN : refuse(retry);
    write_batch(retry);
    switch (retry->result.outcome) {
    case STORE_DONE:
        note_stored(retry);
        move_on(retry, page);
        return STATUS_OK;
    case STORE_BAD_DATA:
        if (PQntuples(page) > 1)
            retry->page_rows = PQntuples(page) / 2;
        else
            move_on(retry, page); /* that one stays */
        return STATUS_OK;
    case STORE_HALT:
        return refuse(retry);
    default:
        return STATUS_AGAIN;
    }
}

static enum status try_page(struct retry *retry, const PGresult *page)
{
    fill_batch(retry, page);
    if (retry->retried.count == 0) {
        move_on(retry, page);
        return STATUS_OK;
    }
    enum status status = STATUS_AGAIN;
    for (int attempt = 0; attempt < MAX_ATTEMPTS && status == STATUS_AGAIN; attempt++) {
        if (attempt > 0) {
            uv_sleep(PAUSE_MS);
            fill_batch(retry, page); /* merge has marked its hits */
        }
        status = store_page(retry, page);
    }
    return status == STATUS_AGAIN ? refuse(retry) : status;
}

/* ---- Partitions ---- */

static enum status retry_partition(struct retry *retry)
{
    enum status status = STATUS_OK;
    bool is_more = true;
    retry->after_offset = INT64_MIN;
    retry->after_ms = 0;
    retry->page_rows = RETRY_PAGE_ROWS;
    while (status == STATUS_OK && is_more) {
        PGresult *page;
        status = read_page(retry, &page);
        if (status != STATUS_OK)
            return status;
        is_more = PQntuples(page) > 0;
        if (is_more)
            status = try_page(retry, page);
        PQclear(page);
    }
    claim_free(&retry->claim);
    return status;
}

static void on_closed(void *context)
{
    (void)context; /* the loop ends when nothing is left in it */
}

static void close_parts(struct retry *retry)
{
    if (retry->enriched != NULL)
        enriched_close(&retry->enriched, on_closed, NULL);
    store_close(&retry->store, on_closed, NULL);
    uv_run(&retry->loop, UV_RUN_DEFAULT);
    MUST(uv_loop_close(&retry->loop) == 0);
    merge_free(&retry->merge);
    batch_free(&retry->batch);
    intake_fini(&retry->intake);
    free(retry->quiet_ms);
    free(retry->retried.rows);
}

static void open_enriched(struct retry *retry)
{
    const struct configuration *configuration = retry->configuration;
    if (configuration->enriched_topic[0] != '\0')
        retry->enriched = enriched_new(&(struct enriched_options){
            &retry->loop, configuration->kafka_brokers, configuration->enriched_topic, retry->settings});
}

static void open_parts(struct retry *retry, const char *cluster_id, int partition_count)
{
    const struct configuration *configuration = retry->configuration;
    MUST(uv_loop_init(&retry->loop) == 0);
    open_enriched(retry);
    retry->store = store_new(&retry->loop, &(struct store_options){
                                               .conninfo = configuration->postgres_conninfo,
                                               .topic = configuration->kafka_topic,
                                               .gap_ms = configuration->sessions_gap_ms,
                                               .max_open_sessions = (size_t)configuration->sessions_max_open,
                                               .enriched = retry->enriched,
                                           });
    store_set_cluster(retry->store, cluster_id, partition_count);
    retry->merge = merge_new(&(struct merge_rules){
        .topic = configuration->kafka_topic,
        .gap_ms = configuration->sessions_gap_ms,
        .lateness_ms = configuration->sessions_lateness_ms,
        .max_closed = MAX_CLOSED,
    });
    retry->batch = batch_new(configuration->kafka_topic, partition_count);
    intake_init(&retry->intake, retry->places, configuration->events_max_age_ms);
    retry->retried.rows = must_calloc(RETRY_PAGE_ROWS, sizeof *retry->retried.rows);
    retry->quiet_ms = must_malloc((size_t)partition_count * sizeof *retry->quiet_ms);
    for (int i = 0; i < partition_count; i++)
        retry->quiet_ms[i] = -1;
}

/* What the rows of footfall.partitions say of the cluster is taken for true: Kafka is not asked for. */
static enum status find_partitions(struct retry *retry, PGresult **found)
{
    struct connection_question question = {
        .what = "cannot look for rejects",
        .sql = "SELECT p.partition, p.cluster_id, p.partition_count FROM footfall.partitions p"
               " WHERE p.topic = $1 AND p.partition_count IS NOT NULL"
               "   AND EXISTS (SELECT FROM rejected_hits r WHERE r.topic = $1 AND r.kafka_partition = "
               "p.partition)"
               " ORDER BY p.partition",
        .values = {retry->configuration->kafka_topic},
        .value_count = 1};
    return connection_ask(retry->conn, &question, found, retry->why);
}

static enum status retry_all(struct retry *retry)
{
    PGresult *found;
    enum status status = find_partitions(retry, &found);
    if (status != STATUS_OK)
        return status;
    if (PQntuples(found) > 0) {
        open_parts(retry, PQgetvalue(found, 0, 1), (int)number_of(found, 0, 2));
        for (int row = 0; row < PQntuples(found) && status == STATUS_OK; row++) {
            retry->partition = (int)number_of(found, row, 0);
            status = retry_partition(retry);
        }
        close_parts(retry);
    }
    PQclear(found);
    return status;
}

enum status retry_run(const struct configuration *configuration, const struct settings *settings,
                      struct retry_report *report, struct why *why)
{
    struct retry retry = {.configuration = configuration, .settings = settings, .report = report, .why = why};
    *report = (struct retry_report){.seen = 0};
    retry.places = places_open(configuration->geo_databases, why);
    if (retry.places == NULL)
        return STATUS_CONFLICT;
    enum status status = connection_open(configuration->postgres_conninfo, &retry.conn, why);
    if (status == STATUS_OK) {
        status = retry_all(&retry);
        PQfinish(retry.conn);
    }
    places_close(&retry.places);
    return status;
}
