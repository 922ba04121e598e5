/* SPDX-License-Identifier: Apache-2.0
 * leaders: which leaders of a topic's partitions know the sequence numbers of a producer.
 *
 * producer_send -> leaders_may_send -> leaders_note_sent; a report -> leaders_note_report.
 *
 * An idempotent producer sends up to five batches to a partition before the first is confirmed, and relies on
 * the leader to refuse the second if the first failed. A leader does so only for a producer from which it has
 * a batch: from a stranger it takes any sequence number (checkSequence of Kafka's ProducerAppendInfo). When
 * the first batch of a producer is turned away, as "not leader", and the second is taken, librdkafka holds
 * both for confirmed ("implicitly acked") and the first is lost. So the first message to each partition goes
 * alone, and so does the first after an hour without a confirmation: brokers forget a producer after
 * producer.id.expiration.ms, a day by default. One thread; times are milliseconds of one clock. */
#ifndef PROTO_LEADERS_H
#define PROTO_LEADERS_H

#include <stdbool.h>
#include <stdint.h>

enum { LEADERS_KNOWN_MS = 3600 * 1000 };

struct leader;

/* Zero: no partition was sent to. */
struct leaders {
    struct leader *of; /* the partitions */
    int count;
    int64_t unconfirmed; /* messages */
};

/* Partitions are at least 0. */
bool leaders_may_send(const struct leaders *leaders, int partition, uint64_t now);
void leaders_note_sent(struct leaders *leaders, int partition);
/* Of a message that was sent. */
void leaders_note_report(struct leaders *leaders, int partition, bool is_delivered, uint64_t now);
/* Several messages are on their way to one that may have forgotten the producer by now. */
bool leaders_have_forgotten(const struct leaders *leaders, uint64_t now);
/* Leaves what was at first. */
void leaders_clear(struct leaders *leaders);

#endif
