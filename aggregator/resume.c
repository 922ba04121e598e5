/* SPDX-License-Identifier: Apache-2.0
 * resume: see the header. */
#include "aggregator/resume.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/connection.h"

/* ---- The decision ---- */

static struct loss find_loss(const struct resume_order *order, const struct resume_row *row,
                             const struct loss_log *log)
{
    bool is_elsewhere = row->cluster_id[0] != '\0' &&
                        !slice_equals(slice_of(row->cluster_id), slice_of(order->facts->cluster_id));
    return is_elsewhere ? loss_find_elsewhere(row->next_offset, log) : loss_find(row->next_offset, log);
}

static bool is_count_changed(const struct resume_order *order, const struct resume_row *row, struct why *said)
{
    if (row->partition_count == 0 || row->partition_count == order->facts->partition_count)
        return false;
    why_say(said, STATUS_CONFLICT,
            "topic %s has %d partitions, footfall.partitions says %d: visitors have moved between them, so no"
            " offset fits; use a new topic",
            order->topic, order->facts->partition_count, row->partition_count);
    return true;
}

static void say_without_loss(const struct resume_order *order, const struct resume_row *row, struct why *said)
{
    if (!row->is_halted)
        why_say(said, STATUS_OK, "partition %d of %s is not halted: nothing was to be done", order->partition,
                order->topic);
    else if (row->next_offset < 0)
        why_say(said, STATUS_OK, "partition %d of %s goes on at the beginning of its log; nothing is lost",
                order->partition, order->topic);
    else
        why_say(said, STATUS_OK, "partition %d of %s goes on at offset %lld; nothing is lost",
                order->partition, order->topic, (long long)row->next_offset);
}

static void say_loss(const struct resume_order *order, const struct loss *loss, struct why *said)
{
    char text[320];
    struct buf out;
    buf_init(&out, text, sizeof text);
    loss_write(loss, &out);
    if (order->accepts_loss)
        why_say(said, STATUS_OK, "partition %d of %s goes on at offset %lld. Given up: %.*s",
                order->partition, order->topic, (long long)loss->to, (int)out.len, text);
    else
        why_say(said, STATUS_CONFLICT,
                "partition %d of %s cannot go on where it stands: %.*s. `footfall-aggregator resume %d"
                " --accept-loss` gives that up",
                order->partition, order->topic, (int)out.len, text, order->partition);
}

struct resume_verdict resume_judge(const struct resume_order *order, const struct resume_row *row,
                                   const struct loss_log *log, struct why *said)
{
    struct resume_verdict verdict = {.may_go_on = false};
    if (is_count_changed(order, row, said))
        return verdict;
    verdict.loss = find_loss(order, row, log);
    verdict.may_go_on = verdict.loss.kind == LOSS_NONE || order->accepts_loss;
    if (verdict.loss.kind == LOSS_NONE)
        say_without_loss(order, row, said);
    else
        say_loss(order, &verdict.loss, said);
    return verdict;
}

/* ---- In Postgres ---- */

struct numbers { /* as text, for statements */
    char partition[12];
    char partition_count[12];
    char from[24];
    char to[24];
    char count[24];
};

static void write_numbers(const struct resume_order *order, const struct loss *loss, struct numbers *numbers)
{
    snprintf(numbers->partition, sizeof numbers->partition, "%d", order->partition);
    snprintf(numbers->partition_count, sizeof numbers->partition_count, "%d", order->facts->partition_count);
    snprintf(numbers->from, sizeof numbers->from, "%lld", (long long)loss->from);
    snprintf(numbers->to, sizeof numbers->to, "%lld", (long long)loss->to);
    snprintf(numbers->count, sizeof numbers->count, "%lld", (long long)loss->count);
}

static enum status lock_row(PGconn *conn, const struct resume_order *order, PGresult **locked,
                            struct why *said)
{
    struct numbers numbers;
    write_numbers(order, &(struct loss){.kind = LOSS_NONE}, &numbers);
    const struct connection_question begin = {
        .what = "cannot begin",
        .sql = "BEGIN; SET LOCAL lock_timeout = '20s'; SET LOCAL synchronous_commit = on"};
    const struct connection_question lock = {
        .what = "cannot lock the partition's row in footfall.partitions",
        .sql = "SELECT next_offset, halt_reason IS NOT NULL, coalesce(cluster_id, ''), "
               "coalesce(partition_count, 0)"
               "  FROM footfall.partitions WHERE topic = $1 AND partition = $2::int4 FOR UPDATE",
        .values = {order->topic, numbers.partition},
        .value_count = 2};
    enum status status = connection_ask(conn, &begin, NULL, said);
    return status == STATUS_OK ? connection_ask(conn, &lock, locked, said) : status;
}

static enum status write_loss(PGconn *conn, const struct resume_order *order, const struct loss *loss,
                              struct why *said)
{
    struct numbers numbers;
    char reason[320];
    struct buf out;
    buf_init(&out, reason, sizeof reason - 1);
    loss_write(loss, &out);
    reason[out.len] = '\0';
    write_numbers(order, loss, &numbers);
    return connection_ask(
        conn,
        &(struct connection_question){
            .what = "cannot write down the loss",
            .sql = "INSERT INTO footfall.losses (topic, partition, from_offset, to_offset, records, reason)"
                   " VALUES ($1, $2::int4, $3::int8, $4::int8, $5::int8, $6)",
            .values = {order->topic, numbers.partition, numbers.from, numbers.to,
                       loss->count >= 0 ? numbers.count : NULL, reason},
            .value_count = 6},
        NULL, said);
}

static enum status release_row(PGconn *conn, const struct resume_order *order, const struct loss *loss,
                               struct why *said)
{
    struct numbers numbers;
    write_numbers(order, loss, &numbers);
    struct connection_question question = {
        .what = "cannot change the partition's row in footfall.partitions",
        .sql = "UPDATE footfall.partitions"
               "   SET next_offset = $3::int8, version = version + 1, owner = NULL, halted_at = NULL,"
               "       halt_reason = NULL, cluster_id = $4, partition_count = $5::int4"
               " WHERE topic = $1 AND partition = $2::int4",
        .values = {order->topic, numbers.partition, numbers.to, order->facts->cluster_id,
                   numbers.partition_count},
        .value_count = 5};
    return connection_ask(conn, &question, NULL, said);
}

static enum status carry_out(PGconn *conn, const struct resume_order *order, const struct loss *loss,
                             struct why *said)
{
    const struct connection_question commit = {.what = "cannot commit", .sql = "COMMIT"};
    enum status status = STATUS_OK;
    if (loss->kind != LOSS_NONE)
        status = write_loss(conn, order, loss, said);
    if (status == STATUS_OK)
        status = release_row(conn, order, loss, said);
    return status == STATUS_OK ? connection_ask(conn, &commit, NULL, said) : status;
}

static enum status judge_and_carry_out(PGconn *conn, const struct resume_order *order, const PGresult *locked,
                                       struct why *said)
{
    if (PQntuples(locked) == 0)
        return why_say(said, STATUS_CONFLICT, "no aggregator ever had partition %d of topic %s",
                       order->partition, order->topic);
    struct loss_log log;
    if (!order->ask_log(order->context, order->partition, &log))
        return why_say(said, STATUS_UNAVAILABLE,
                       "no broker says where the log of partition %d begins and ends", order->partition);
    const struct resume_row row = {
        .next_offset = strtoll(PQgetvalue(locked, 0, 0), NULL, 10),
        .is_halted = PQgetvalue(locked, 0, 1)[0] == 't',
        .cluster_id = PQgetvalue(locked, 0, 2),
        .partition_count = atoi(PQgetvalue(locked, 0, 3)),
    };
    struct why done;
    struct resume_verdict verdict = resume_judge(order, &row, &log, &done);
    enum status status = STATUS_OK;
    if (!verdict.may_go_on)
        status = STATUS_CONFLICT;
    else if (row.is_halted || verdict.loss.kind != LOSS_NONE)
        status = carry_out(conn, order, &verdict.loss, said);
    if (status == STATUS_OK || !verdict.may_go_on)
        *said = done;
    return status;
}

enum status resume_run(const char *conninfo, const struct resume_order *order, struct why *said)
{
    PGconn *conn;
    PGresult *locked = NULL;
    enum status status = connection_open(conninfo, &conn, said);
    if (status != STATUS_OK)
        return status;
    status = lock_row(conn, order, &locked, said);
    if (status == STATUS_OK)
        status = judge_and_carry_out(conn, order, locked, said);
    PQclear(locked);
    PQfinish(conn); /* what is not committed is rolled back */
    return status;
}
