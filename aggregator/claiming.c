/* SPDX-License-Identifier: Apache-2.0
 * claiming: see the header. */
#include "aggregator/claiming.h"

#include <stdio.h>
#include <string.h>

#include "aggregator/result.h"

enum { MAX_ATTEMPTS = 3 };

static void add_key(const struct claiming *claiming, struct database_statement *statement)
{
    database_statement_add_text(statement, claiming->options->topic);
    database_statement_add_text(statement, claiming->partition_text);
}

static enum step_move connect(void *job)
{
    struct claiming *claiming = job;
    return steps_connect(claiming->steps);
}

/* A row that is there is not tried: a conflict would wait for whoever updates it, and nobody would end him.
 */
static enum step_move make_row(void *job)
{
    struct claiming *claiming = job;
    struct database_statement statement = {
        .sql =
            "INSERT INTO footfall.partitions (topic, partition, next_offset)"
            " SELECT $1::varchar, $2::int4, -2"
            "  WHERE NOT EXISTS (SELECT FROM footfall.partitions WHERE topic = $1 AND partition = $2::int4)"
            " ON CONFLICT DO NOTHING"};
    add_key(claiming, &statement);
    return steps_query(claiming->steps, &statement);
}

/* A claim must not be lost in a crash of the server, whatever the batches are allowed. A batch under way is
 * given time to finish; once its backend was ended, the lock is free or somebody else's. */
static enum step_move begin(void *job)
{
    struct claiming *claiming = job;
    return steps_command(claiming->steps,
                         "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL synchronous_commit = on");
}

static enum step_move own_row(void *job)
{
    struct claiming *claiming = job;
    struct database_statement statement = {
        .sql = "UPDATE footfall.partitions"
               "   SET owner = $3::uuid, owner_pid = pg_backend_pid(),"
               "       owner_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = "
               "pg_backend_pid()),"
               "       cluster_id = coalesce(cluster_id, $4),"
               "       partition_count = coalesce(partition_count, $5::int4)"
               " WHERE topic = $1 AND partition = $2::int4"
               " RETURNING next_offset, version, stored_until, cluster_id, partition_count,"
               "           EXISTS (SELECT FROM footfall.strays WHERE topic = $1 AND home = $2::int4),"
               "           halt_reason"};
    add_key(claiming, &statement);
    database_statement_add_text(&statement, claiming->owner_text);
    database_statement_add_text(&statement, claiming->cluster->id);
    database_statement_add_text(&statement, claiming->partition_count_text);
    return steps_query(claiming->steps, &statement);
}

static enum step_move refuse_cluster(struct claiming *claiming, const struct pg_result *result)
{
    slice id = result_text(result, 0, 3);
    int count = result_int32(result, 0, 4);
    if (!slice_equals(id, slice_of(claiming->cluster->id)))
        return steps_stop(
            claiming->steps, STORE_HALT, claiming->partition,
            "kafka.brokers leads to cluster \"%s\", but the offsets in footfall.partitions are of"
            " cluster \"%.*s\": mend kafka.brokers or postgres.conninfo; when that cluster is gone for good,"
            " `footfall-aggregator resume %d --accept-loss` begins with this one's log",
            claiming->cluster->id, SLICE_ARGS(id), claiming->partition);
    return steps_stop(
        claiming->steps, STORE_HALT, claiming->partition,
        "topic %s has %d partitions, footfall.partitions says %d: sessions belong to partitions, so"
        " their number must not change; use a new topic",
        claiming->options->topic, claiming->cluster->partition_count, count);
}

static enum step_move take_row(void *job, const struct database_reply *reply)
{
    struct claiming *claiming = job;
    const struct pg_result *result = reply->result;
    if (result_count(result) != 1) /* deleted between two statements: by a person */
        return steps_stop(claiming->steps, STORE_RETRY, claiming->partition, "the partition's row is gone");
    if (!result_is_null(result, 0, 6))
        return steps_stop(claiming->steps, STORE_HALT, claiming->partition, "%.*s",
                          SLICE_ARGS(result_text(result, 0, 6)));
    if (!slice_equals(result_text(result, 0, 3), slice_of(claiming->cluster->id)) ||
        result_int32(result, 0, 4) != claiming->cluster->partition_count)
        return refuse_cluster(claiming, result);
    struct claim *claim =
        claim_new(claiming->partition, claiming->options->gap_ms, claiming->options->max_open_sessions);
    claim->owner = claiming->owner;
    claim->next_offset = result_int64(result, 0, 0);
    claim->version = result_int64(result, 0, 1);
    claim->stored_until.ms = INT64_MIN;
    if (!result_is_null(result, 0, 2))
        claim->stored_until = result_time(result, 0, 2);
    claim->has_strays = result_bool(result, 0, 5);
    claiming->claim = claim;
    return STEP_NEXT;
}

static enum step_move commit(void *job)
{
    struct claiming *claiming = job;
    return steps_command(claiming->steps, "COMMIT");
}

/* Nobody else writes from here on, so the changes can be read without the lock; some pages at a time, about a
 * megabyte, for a statement that sorts all of millions comes upon its timeout. */
static enum step_move ask_changes(void *job)
{
    struct claiming *claiming = job;
    struct database_statement statement = {
        .sql =
            "SELECT page.version, (page.ordinal + change.place - 1)::int4 AS ordinal, change.ip, change.host,"
            "       change.start_hit, change.last_hit, change.events, change.bot_events, change.entry_url,"
            "       change.referrer, change.country, change.state, change.city, change.exit_url"
            "  FROM (SELECT version, ordinal, changes FROM footfall.open_session_pages"
            "         WHERE topic = $1 AND partition = $2::int4 AND (version, ordinal) > ($3::int8, $4::int4)"
            "         ORDER BY version, ordinal LIMIT 32) AS page"
            " CROSS JOIN LATERAL footfall.changes_of_page(page.changes) AS change"
            " ORDER BY page.version, ordinal"};
    snprintf(claiming->version_text, sizeof claiming->version_text, "%lld", (long long)claiming->version);
    snprintf(claiming->ordinal_text, sizeof claiming->ordinal_text, "%d", claiming->ordinal);
    add_key(claiming, &statement);
    database_statement_add_text(&statement, claiming->version_text);
    database_statement_add_text(&statement, claiming->ordinal_text);
    return steps_query(claiming->steps, &statement);
}

static enum step_move replay_changes(void *job, const struct database_reply *reply)
{
    struct claiming *claiming = job;
    int count = result_count(reply->result);
    mono_ms now = mono_now();
    if (count == 0)
        return STEP_NEXT;
    for (int row = 0; row < count; row++) {
        struct session change;
        if (result_session(reply->result, row, 2, &change) != STATUS_OK)
            return steps_stop(claiming->steps, STORE_HALT, claiming->partition,
                              "footfall.open_session_changes holds a row of partition %d that is no session",
                              claiming->partition);
        sessions_replay(claiming->claim->sessions, &change, now);
    }
    claiming->version = result_int64(reply->result, count - 1, 0);
    claiming->ordinal = result_int32(reply->result, count - 1, 1);
    return STEP_AGAIN;
}

/* In health none: the index holds only those. */
static enum step_move ask_holes(void *job)
{
    struct claiming *claiming = job;
    struct database_statement statement = {
        .sql = "SELECT a.stream, a.last, a.ended_at, a.missing, lower(hole), upper(hole)"
               "  FROM footfall.audit a"
               " CROSS JOIN LATERAL"
               "       (SELECT hole FROM unnest(int8multirange(int8range(1, a.last + 1)) - a.skipped"
               "               - coalesce((SELECT ranges FROM footfall.received r WHERE r.topic = a.topic"
               "                           AND r.partition = a.partition AND r.stream = a.stream), '{}'))"
               "          AS hole LIMIT 1) AS first"
               " WHERE a.topic = $1 AND a.partition = $2::int4 AND a.missing > 0 AND a.ended_at IS NOT NULL"
               " LIMIT 10000"};
    add_key(claiming, &statement);
    return steps_query(claiming->steps, &statement);
}

static enum step_move take_holes(void *job, const struct database_reply *reply)
{
    struct claiming *claiming = job;
    const struct pg_result *result = reply->result;
    int64_t overdue_ms = wall_now().ms - HOLES_PATIENCE_MS;
    for (int row = 0; row < result_count(result); row++) {
        struct hole hole = {.last = result_int64(result, row, 1),
                            .ended = result_time(result, row, 2),
                            .missing = {.count = result_int64(result, row, 3)}};
        if (hit_stream_read(result_text(result, row, 0), &hole.stream) != STATUS_OK)
            return steps_stop(claiming->steps, STORE_HALT, claiming->partition,
                              "footfall.audit holds a row of partition %d that is of no stream",
                              claiming->partition);
        hole.missing.first =
            (struct received_range){result_int64(result, row, 4), result_int64(result, row, 5) - 1};
        hole.is_overdue = hole.ended.ms <= overdue_ms;
        holes_set(&claiming->claim->holes, &hole);
    }
    return STEP_NEXT;
}

static const struct step claim_steps[] = {
    {"claim_connect", connect, NULL},       {"claim_make_row", make_row, NULL},
    {"claim_begin", begin, NULL},           {"claim_own_row", own_row, take_row},
    {"claim_commit", commit, NULL},         {"claim_replay", ask_changes, replay_changes},
    {"claim_holes", ask_holes, take_holes}, {NULL, NULL, NULL},
};

static enum step_move end_holder(void *job)
{
    struct claiming *claiming = job;
    struct database_statement statement = {
        .sql = "SELECT holder.pid, pg_terminate_backend(holder.pid)"
               "  FROM footfall.partitions p"
               "  JOIN pg_stat_activity holder ON holder.pid = p.owner_pid"
               "   AND holder.backend_start = p.owner_started"
               " WHERE p.topic = $1 AND p.partition = $2::int4 AND holder.pid <> pg_backend_pid()"};
    add_key(claiming, &statement);
    return steps_query(claiming->steps, &statement);
}

static enum step_move note_ended(void *job, const struct database_reply *reply)
{
    struct claiming *claiming = job;
    for (int row = 0; row < result_count(reply->result); row++)
        log_warning(&claiming->log, "holder_ended", "backend %d held the row of partition %d and was ended",
                    result_int32(reply->result, row, 0), claiming->partition);
    return STEP_NEXT;
}

static const struct step end_holder_steps[] = {
    {"claim_end_holder", end_holder, note_ended},
    {NULL, NULL, NULL},
};

static void deliver(struct claiming *claiming, const struct store_result *result)
{
    if (result->outcome != STORE_DONE)
        claim_free(&claiming->claim);
    struct claim *claim = claiming->claim;
    claiming->claim = NULL;
    claiming->on_claimed(claiming->context, result, claim);
}

static void start_attempt(struct claiming *claiming);

static void on_holder_ended(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct claiming *claiming = job;
    (void)failed;
    if (result->outcome == STORE_DONE)
        start_attempt(claiming);
    else
        deliver(claiming, result);
}

/* By somebody who is not its owner: other partitions need not wait for him. */
static void deliver_locked(struct claiming *claiming)
{
    struct store_result result = {.outcome = STORE_FENCED, .partition = claiming->partition};
    snprintf(result.reason, sizeof result.reason,
             "the row of partition %d in footfall.partitions is locked: end the transaction that somebody has"
             " left open (pg_stat_activity)",
             claiming->partition);
    deliver(claiming, &result);
}

static void on_attempted(void *job, const struct store_result *result, const struct outcome *failed)
{
    struct claiming *claiming = job;
    (void)failed;
    if (strcmp(result->sqlstate, "55P03") != 0)
        deliver(claiming, result);
    else if (claiming->attempts < MAX_ATTEMPTS)
        steps_start(claiming->steps, end_holder_steps, claiming, on_holder_ended);
    else
        deliver_locked(claiming);
}

static void start_attempt(struct claiming *claiming)
{
    claiming->attempts++;
    claiming->version = claiming->ordinal = -1;
    steps_start(claiming->steps, claim_steps, claiming, on_attempted);
}

void claiming_init(struct claiming *claiming, struct steps *steps, const struct store_options *options,
                   const struct claiming_cluster *cluster)
{
    *claiming =
        (struct claiming){.steps = steps, .options = options, .cluster = cluster, .log = log_new("claiming")};
}

void claiming_fini(struct claiming *claiming)
{
    claim_free(&claiming->claim);
}

void claiming_start(struct claiming *claiming, int partition, store_claimed_fn *on_claimed, void *context)
{
    MUST(claiming->cluster->partition_count > 0);
    claiming->partition = partition;
    claiming->attempts = 0;
    claiming->owner = uuid_v4();
    claiming->on_claimed = on_claimed;
    claiming->context = context;
    snprintf(claiming->partition_text, sizeof claiming->partition_text, "%d", partition);
    snprintf(claiming->partition_count_text, sizeof claiming->partition_count_text, "%d",
             claiming->cluster->partition_count);
    uuid_write(claiming->owner, claiming->owner_text);
    claiming->owner_text[UUID_TEXT_LEN] = '\0';
    start_attempt(claiming);
}
