/* SPDX-License-Identifier: Apache-2.0
 * intake: takes the stamped hits of a request, all of them or none, and answers it when they are safe.
 *
 * handler -> intake_take -> room? -> for each: seen_add -> hit_encode -> journal_append … keeper_wake
 * keeper -> intake_answer -> replies_taken for each request whose hits are safe by now
 *
 * What is safe, by ack: memory: appended, the reply is sent at once; os: written; disk: durable; kafka:
 * confirmed, together with all that was accepted before. The mirror waits for the disk at most.
 * A repeat of an id waits for the hit that has it, and is not appended. No room in the journal: 503, nothing
 * taken. What is not safe in time (WAIT_…_MS) is answered 503; nothing is taken back: the hit may still arrive,
 * and a retry with its id waits for it again.
 * Owns the window of ids and the queues of requests; borrows keeper, journal, replies, metrics. Loop thread
 * only; nothing is allocated after the start. */
#ifndef COLLECTOR_INTAKE_H
#define COLLECTOR_INTAKE_H

#include "collector/settings.h"
#include "collector/stamp.h"

struct http_request;
struct intake;
struct journal_entry;
struct keeper;
struct metrics;
struct replies;

struct intake_options {
    int partitions;
    enum collector_ack ack;
    size_t max_requests; /* that may be unanswered at one time */
    const struct replies *replies;
    struct metrics *metrics;
};

struct intake *intake_new(const struct intake_options *options);
void intake_free(struct intake **intake); /* accepts NULL */
/* Once, before the first hit; intake_found may come before. */
void intake_connect(struct intake *intake, struct keeper *keeper);
/* A hit of an earlier start: its id is remembered. For journal_options.on_found; context: the intake. */
void intake_found(struct intake *intake, const struct journal_entry *entry);
/* Answers the request, now or later. Hits all of one source. Borrows them for the call. */
void intake_take(struct intake *intake, struct http_request *request, struct stamped *hits, size_t count);
/* Answers what is safe by now, and what has waited too long. */
void intake_answer(struct intake *intake);
void intake_write_metrics(const struct intake *intake);

#endif
