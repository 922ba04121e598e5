/* SPDX-License-Identifier: Apache-2.0
 * intake: takes the stamped hits of a request, all of them or none, and answers it when they are safe.
 *
 * handler -> intake_take -> seen -> numbering -> hit_encode -> publisher_send … on_settled -> replies
 * With ack = kafka the reply comes after the last delivery report of the request's hits, 204 when all were
 * delivered, else 503; with ack = memory, and always for the mirror, as soon as they are queued. A repeat of
 * an id on its way waits for that hit's delivery; a repeat of one that is safe costs nothing. When a
 * delivery fails, its id is forgotten, so that a retry is stored.
 * Not ready or no room: 503, nothing taken. Should the producer refuse in the middle of an array all the same
 * the reply is 503 too; what it took before is sent, and a retry with the same ids doubles nothing.
 * Owns the window of ids, the flights and the numbering; borrows publisher, replies, metrics. Loop thread
 * only; nothing is allocated after the start. */
#ifndef COLLECTOR_INTAKE_H
#define COLLECTOR_INTAKE_H

#include "collector/stamp.h"

struct http_request;
struct intake;
struct metrics;
struct publisher;
struct replies;

struct intake_options {
    int partitions;
    bool waits_for_kafka; /* ack = kafka */
    const struct replies *replies;
    struct metrics *metrics;
};

struct intake *intake_new(const struct intake_options *options);
void intake_free(struct intake **intake); /* accepts NULL */
/* Once, before the first hit. */
void intake_connect(struct intake *intake, struct publisher *publisher);
/* Answers the request, now or later. Hits all of one source. Borrows them for the call. */
void intake_take(struct intake *intake, struct http_request *request, struct stamped *hits, size_t count);
/* The publisher's callbacks; context: the intake. */
void intake_on_settled(void *context, uint32_t ticket, bool is_delivered);
void intake_on_reset(void *context);
void intake_write_metrics(const struct intake *intake);

#endif
