/* SPDX-License-Identifier: Apache-2.0
 * publisher: takes encoded hits to Kafka without ever blocking the loop, and says of each how it ended.
 *
 * intake -> publisher_send -> producer -> on_settled(ticket, delivered) -> intake
 * Owns the producer. It takes hits only after the topic was reached once and has the number of partitions
 * that the settings say; a difference stops it until it is mended. It never takes more than it has room for
 * (MAX_HITS, MAX_BYTES), so that librdkafka's own queue has room whenever ours has. A hit that Kafka does not
 * confirm within the producer's message timeout (20 s: less than the HTTP server's answer deadline) is
 * settled as not delivered; it may have arrived all the same.
 * A fatal producer is routine: on_reset says that whatever was sent and not settled never will be, a new
 * producer is made at once, or after RENEW_PAUSE_MS when the last one did not live long.
 * This is the seam for a journal: it will call publisher_send and acknowledge its records in on_settled.
 * Loop thread only. What can fail at start: a property of [rdkafka] (*why). */
#ifndef COLLECTOR_PUBLISHER_H
#define COLLECTOR_PUBLISHER_H

#include "base/settings.h"

struct uv_loop_s;
struct publisher;

enum {
    PUBLISHER_MAX_HITS = 65536,             /* librdkafka's queue: 100,000 messages … */
    PUBLISHER_MAX_BYTES = 48 * 1024 * 1024, /* … or 64 MiB */
};

struct publisher_options {
    struct uv_loop_s *loop;
    const char *brokers;
    const char *topic;
    int partitions;
    const struct settings *settings; /* borrowed until publisher_close */
    void (*on_settled)(void *context, uint32_t ticket, bool is_delivered);
    void (*on_reset)(void *context);
    void *context;
};

struct publisher_counters {
    int64_t producers_total;
    int64_t in_flight;
    int64_t in_flight_bytes;
};

struct publisher *publisher_open(const struct publisher_options *options, struct why *why);
/* False: *reason (valid until the next turn of the loop) says what is missing. */
bool publisher_is_ready(const struct publisher *publisher, const char **reason);
/* For so many more hits of any size? */
bool publisher_has_room(const struct publisher *publisher, size_t count);
/* Only when ready. FULL, UNAVAILABLE: not taken, its ticket will not be settled. */
enum status publisher_send(struct publisher *publisher, int partition, slice key, slice value,
                           uint32_t ticket) MUST_CHECK;
struct publisher_counters publisher_counters(const struct publisher *publisher);
/* Waits until nothing is in flight, at most deadline_ms (then on_reset speaks for the rest), and calls
 * on_closed. Its last resources go when the loop has run out. */
typedef void publisher_closed_fn(void *context);
void publisher_close(struct publisher *publisher, int64_t deadline_ms, publisher_closed_fn *on_closed,
                     void *context);
/* After on_closed only; leaves NULL, accepts NULL. */
void publisher_free(struct publisher **publisher);

#endif
