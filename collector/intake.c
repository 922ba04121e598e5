/* SPDX-License-Identifier: Apache-2.0
 * intake: see the header. */
#include "collector/intake.h"

#include <stdlib.h>

#include "base/http/http.h"
#include "collector/flights.h"
#include "collector/metrics.h"
#include "collector/numbering.h"
#include "collector/publisher.h"
#include "collector/replies.h"
#include "collector/seen.h"
#include "proto/partition.h"

enum {
    SEEN_MAX_IDS = 1024 * 1024,
    SEEN_KEEP_MS = 10 * 60 * 1000,
    MAX_FLIGHTS = PUBLISHER_MAX_HITS + 16384, /* hits, and repeats that wait for one */
};

struct intake {
    struct intake_options options;
    struct publisher *publisher;
    struct seen *seen;
    struct flights *flights;
    struct numbering *numbering;
    uint32_t generation; /* of producers */
    char value[HIT_MAX_BYTES];
};

/* In request->handler_data[0]; the other is for replies. */
struct wait {
    uint32_t outstanding; /* deliveries, and one for intake_take itself */
    uint16_t source;      /* enum hit_source */
    uint16_t status;      /* enum status: the first thing that went wrong */
};
_Static_assert(sizeof(struct wait) == sizeof(((struct http_request *)NULL)->handler_data[0]), "fits");

struct intake *intake_new(const struct intake_options *options)
{
    struct intake *intake = must_calloc(1, sizeof(*intake));
    intake->options = *options;
    intake->seen = seen_new(SEEN_MAX_IDS, SEEN_KEEP_MS);
    intake->flights = flights_new(MAX_FLIGHTS);
    intake->numbering = numbering_new(options->partitions);
    return intake;
}

void intake_free(struct intake **intake)
{
    if (!*intake)
        return;
    seen_free(&(*intake)->seen);
    flights_free(&(*intake)->flights);
    numbering_free(&(*intake)->numbering);
    free(*intake);
    *intake = NULL;
}

void intake_connect(struct intake *intake, struct publisher *publisher)
{
    intake->publisher = publisher;
}

/* --- waiting --- */

static struct wait *wait_of(struct http_request *request)
{
    return (struct wait *)&request->handler_data[0];
}

static void refuse(struct intake *intake, struct http_request *request, enum status status,
                   const char *reason)
{
    enum metrics_place place = status == STATUS_FULL ? METRIC_REFUSED_FULL : METRIC_REFUSED_UNAVAILABLE;
    intake->options.metrics->values[place]++;
    replies_refuse(intake->options.replies, request, status, reason);
}

/* One of the things the request waits for has come to pass; the last one answers it. */
static void let_go(struct intake *intake, struct http_request *request, enum status status)
{
    struct wait *wait = wait_of(request);
    if (wait->status == STATUS_OK)
        wait->status = (uint16_t)status;
    MUST(wait->outstanding > 0);
    if (--wait->outstanding > 0)
        return;
    if (wait->status == STATUS_OK)
        replies_taken(intake->options.replies, request, (enum hit_source)wait->source);
    else if (wait->status == STATUS_FULL)
        refuse(intake, request, (enum status)wait->status, "too many hits are on their way: send it again");
    else
        refuse(intake, request, (enum status)wait->status, "Kafka did not confirm in time: send it again");
}

/* Does the reply wait for Kafka? */
static bool is_waiting(const struct intake *intake, enum hit_source source)
{
    return intake->options.waits_for_kafka && source != HIT_MIRROR;
}

/* --- taking --- */

static enum status publish(struct intake *intake, uint32_t ticket, struct hit *hit)
{
    char key_text[PARTITION_KEY_MAX];
    slice key = {key_text, partition_key_write(hit->host, hit->ip, key_text)};
    int partition = partition_of_key(key, intake->options.partitions);
    struct buf value;
    buf_init(&value, intake->value, sizeof(intake->value));
    numbering_fill(intake->numbering, partition, hit);
    hit_encode(hit, &value);
    MUST(!value.overflowed);
    enum status status = publisher_send(intake->publisher, partition, key, buf_slice(&value), ticket);
    if (status == STATUS_OK)
        numbering_confirm(intake->numbering, partition);
    return status;
}

static void hold(struct flight *flight, enum flight_state state, struct http_request *request, bool waits)
{
    flight->state = state;
    flight->request = waits ? request : NULL;
    if (waits)
        wait_of(request)->outstanding++;
}

/* The hit of this id is on its way already, under the holder's ticket. */
static void join(struct intake *intake, uint32_t ticket, uint32_t holder, struct http_request *request)
{
    struct flight *flight = flights_at(intake->flights, ticket);
    struct flight *sent = flights_at(intake->flights, holder);
    hold(flight, FLIGHT_WAITING, request, true);
    flight->next = sent->next;
    sent->next = ticket;
}

static enum status send_new(struct intake *intake, uint32_t ticket, struct http_request *request,
                            struct hit *hit)
{
    struct flight *flight = flights_at(intake->flights, ticket);
    enum status status = publish(intake, ticket, hit);
    if (status != STATUS_OK) {
        if (flight->has_given_id)
            seen_forget(intake->seen, flight->id, ticket);
        flights_give_back(intake->flights, ticket);
        return status;
    }
    flight->generation = intake->generation;
    hold(flight, FLIGHT_SENT, request, is_waiting(intake, hit->source));
    metrics_count_taken(intake->options.metrics, hit->source);
    return STATUS_OK;
}

static enum status take_one(struct intake *intake, struct http_request *request, struct stamped *stamped)
{
    uint32_t ticket = flights_take(intake->flights), holder = ticket;
    if (ticket == NO_TICKET)
        return STATUS_FULL;
    struct flight *flight = flights_at(intake->flights, ticket);
    flight->id = stamped->hit.id;
    flight->has_given_id = stamped->has_given_id;
    enum seen_state state = SEEN_NEW;
    if (stamped->has_given_id)
        state = seen_add(intake->seen, flight->id, mono_now(), &holder);
    if (state == SEEN_NEW)
        return send_new(intake, ticket, request, &stamped->hit);
    intake->options.metrics->values[METRIC_HITS_REPEATED]++;
    if (state == SEEN_PENDING && is_waiting(intake, stamped->hit.source))
        join(intake, ticket, holder, request);
    else
        flights_give_back(intake->flights, ticket);
    return STATUS_OK;
}

void intake_take(struct intake *intake, struct http_request *request, struct stamped *hits, size_t count)
{
    const char *reason;
    enum status status = STATUS_OK;
    MUST(count > 0);
    if (!publisher_is_ready(intake->publisher, &reason)) {
        refuse(intake, request, STATUS_UNAVAILABLE, reason);
        return;
    }
    if (!publisher_has_room(intake->publisher, count) ||
        flights_max(intake->flights) - flights_count(intake->flights) < count) {
        refuse(intake, request, STATUS_FULL, "too many hits are on their way: send it again");
        return;
    }
    *wait_of(request) = (struct wait){.outstanding = 1, .source = (uint16_t)hits[0].hit.source};
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = take_one(intake, request, &hits[i]);
    let_go(intake, request, status);
}

/* --- settling --- */

static void count_settled(struct intake *intake, const struct flight *flight, bool is_delivered)
{
    int64_t *values = intake->options.metrics->values;
    if (is_delivered)
        values[METRIC_HITS_DELIVERED]++;
    else
        values[flight->request ? METRIC_HITS_FAILED : METRIC_HITS_LOST]++;
}

/* Answering may run the next request of the same connection at once, which may take the tickets given back:
 * so each is given back, and the next of its chain known, before anybody is let go. */
static void settle(struct intake *intake, uint32_t ticket, enum status status)
{
    while (ticket != NO_TICKET) {
        struct flight flight = *flights_at(intake->flights, ticket);
        flights_give_back(intake->flights, ticket);
        if (flight.request)
            let_go(intake, flight.request, status);
        ticket = flight.next;
    }
}

void intake_on_settled(void *context, uint32_t ticket, bool is_delivered)
{
    struct intake *intake = context;
    const struct flight *flight = flights_at(intake->flights, ticket);
    MUST(flight->state == FLIGHT_SENT);
    if (flight->has_given_id && is_delivered)
        seen_settle(intake->seen, flight->id, ticket);
    else if (flight->has_given_id)
        seen_forget(intake->seen, flight->id, ticket);
    count_settled(intake, flight, is_delivered);
    settle(intake, ticket, is_delivered ? STATUS_OK : STATUS_UNAVAILABLE);
}

void intake_on_reset(void *context)
{
    struct intake *intake = context;
    uint32_t lost = intake->generation++;
    numbering_renew(intake->numbering);
    for (uint32_t ticket = 0; ticket < flights_touched(intake->flights); ticket++) {
        const struct flight *flight = flights_at(intake->flights, ticket);
        if (flight->state == FLIGHT_SENT && flight->generation == lost)
            intake_on_settled(intake, ticket, false);
    }
}

void intake_write_metrics(const struct intake *intake)
{
    int64_t *values = intake->options.metrics->values;
    values[METRIC_IN_FLIGHT] = flights_count(intake->flights);
    values[METRIC_IDS_REMEMBERED] = (int64_t)seen_count(intake->seen);
}
