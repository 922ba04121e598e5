/* SPDX-License-Identifier: Apache-2.0
 * intake: see the header. */
#include "collector/intake.h"

#include <stdlib.h>

#include "base/http/http.h"
#include "base/log.h"
#include "collector/keeper.h"
#include "collector/metrics.h"
#include "collector/replies.h"
#include "collector/seen.h"
#include "collector/waiting.h"
#include "proto/partition.h"

enum {
    SEEN_MAX_IDS = 1024 * 1024,
    SEEN_KEEP_MS = 10 * 60 * 1000,
    WAIT_DISK_MS = 5000,   /* nginx holds back a connection until its mirrored request is answered */
    WAIT_KAFKA_MS = 20000, /* less than the answer deadline of the HTTP server: the sender hears our reason */
};

/* A level of safety, and who waits for it. */
struct level {
    enum collector_ack ack;
    struct waiting *waiting;
};

struct intake {
    struct intake_options options;
    struct keeper *keeper;
    struct journal *journal;
    struct seen *seen;
    struct level pages;
    struct level mirror;
    struct log log;
    char value[HIT_MAX_BYTES];
};

struct intake *intake_new(const struct intake_options *options)
{
    struct intake *intake = must_calloc(1, sizeof(*intake));
    intake->options = *options;
    intake->log = log_new("intake");
    intake->seen = seen_new(SEEN_MAX_IDS, SEEN_KEEP_MS);
    intake->pages = (struct level){options->ack, waiting_new(options->max_requests)};
    enum collector_ack mirror_ack = options->ack == ACK_KAFKA ? ACK_DISK : options->ack;
    intake->mirror = (struct level){mirror_ack, waiting_new(options->max_requests)};
    return intake;
}

void intake_free(struct intake **intake)
{
    if (!*intake)
        return;
    seen_free(&(*intake)->seen);
    waiting_free(&(*intake)->pages.waiting);
    waiting_free(&(*intake)->mirror.waiting);
    free(*intake);
    *intake = NULL;
}

void intake_connect(struct intake *intake, struct keeper *keeper)
{
    intake->keeper = keeper;
    intake->journal = keeper_journal(keeper);
}

/* --- what earlier starts have left --- */

void intake_found(struct intake *intake, const struct journal_entry *entry)
{
    char memory[HIT_MAX_BYTES];
    struct buf scratch;
    struct hit hit;
    /* On disk; confirmed when all that is old is. */
    journal_position position = JOURNAL_FIRST_OWN - 1;
    int64_t age_ms = wall_now().ms - entry->written.ms;
    if (age_ms < 0 || age_ms >= SEEN_KEEP_MS || seen_count(intake->seen) == SEEN_MAX_IDS)
        return;
    buf_init(&scratch, memory, sizeof(memory));
    if (hit_decode(entry->value, &scratch, &hit) == HIT_GOOD)
        (void)seen_add(intake->seen, hit.id, (mono_ms){mono_now().ms - age_ms}, &position);
}

/* --- taking --- */

static void refuse(struct intake *intake, struct http_request *request, enum metrics_place place,
                   const char *reason)
{
    enum status status = place == METRIC_REFUSED_FULL ? STATUS_FULL : STATUS_UNAVAILABLE;
    intake->options.metrics->values[place]++;
    replies_refuse(intake->options.replies, request, status, reason);
}

static void refuse_untaken(struct intake *intake, struct http_request *request, enum status status)
{
    if (status == STATUS_FULL)
        refuse(intake, request, METRIC_REFUSED_FULL, "the journal has no room: send it again");
    else
        refuse(intake, request, METRIC_REFUSED_UNAVAILABLE, "the journal takes no hits now: send it again");
}

/* There is room. */
static void append(struct intake *intake, struct hit *hit)
{
    char key_text[PARTITION_KEY_MAX];
    slice key = {key_text, partition_key_write(hit->host, hit->ip, key_text)};
    int partition = partition_of_key(key, intake->options.partitions);
    struct buf value;
    journal_position position;
    hit->has_stream = true;
    hit->stream = (struct hit_stream){.boot = journal_boot(intake->journal), .partition = partition};
    hit->seq = journal_next_seq(intake->journal, partition);
    buf_init(&value, intake->value, sizeof(intake->value));
    hit_encode(hit, &value);
    MUST(!value.overflowed);
    const struct frame frame = {FRAME_HIT, partition, hit->seq, hit->received_time, key, buf_slice(&value)};
    MUST(journal_append(intake->journal, &frame, &position) == STATUS_OK);
    metrics_count_taken(intake->options.metrics, hit->source);
}

/* The position that must be safe before this hit is. */
static journal_position take_one(struct intake *intake, struct stamped *stamped)
{
    journal_position position = journal_next(intake->journal);
    if (stamped->has_given_id && !seen_add(intake->seen, stamped->hit.id, mono_now(), &position))
        intake->options.metrics->values[METRIC_HITS_REPEATED]++;
    else
        append(intake, &stamped->hit);
    return position;
}

void intake_take(struct intake *intake, struct http_request *request, struct stamped *hits, size_t count)
{
    enum hit_source source = hits[0].hit.source;
    const struct level *level = source == HIT_MIRROR ? &intake->mirror : &intake->pages;
    journal_position last = 0;
    MUST(count > 0);
    enum status status = journal_has_room(intake->journal, count);
    if (status != STATUS_OK || !waiting_has_room(level->waiting)) {
        refuse_untaken(intake, request, status == STATUS_OK ? STATUS_FULL : status);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        journal_position position = take_one(intake, &hits[i]);
        last = position > last ? position : last;
    }
    keeper_wake(intake->keeper);
    request->handler_data[0] = source;
    if (level->ack == ACK_MEMORY)
        replies_taken(intake->options.replies, request, source);
    else
        waiting_add(level->waiting, request, last, mono_now());
}

/* --- answering --- */

static journal_position safe_position(const struct intake *intake, enum collector_ack ack)
{
    switch (ack) {
    case ACK_OS:
        return journal_written(intake->journal);
    case ACK_DISK:
        return journal_durable(intake->journal);
    case ACK_KAFKA:
        return journal_confirmed(intake->journal);
    case ACK_MEMORY:
        break;
    }
    return journal_next(intake->journal);
}

static void refuse_unconfirmed(struct intake *intake, struct http_request *request, bool is_kafka)
{
    if (is_kafka)
        log_warning(
            &intake->log, "unconfirmed",
            "kafka.brokers: no confirmation in %d s: answered 503 (journal.ack = kafka); the hits stay in "
            "the journal",
            WAIT_KAFKA_MS / 1000);
    else
        log_warning(
            &intake->log, "unconfirmed",
            "journal.directory: its disk has not made hits safe in %d s: answered 503; look at the kernel's "
            "log",
            WAIT_DISK_MS / 1000);
    refuse(intake, request, METRIC_REFUSED_UNCONFIRMED,
           is_kafka ? "Kafka did not confirm in time: send it again"
                    : "the disk did not confirm in time: send it again");
}

/* Answering may run the next request of the same connection at once, which may join the queue. */
static void answer(struct intake *intake, const struct level *level)
{
    journal_position safe = safe_position(intake, level->ack);
    bool is_kafka = level->ack == ACK_KAFKA;
    mono_ms since = {mono_now().ms - (is_kafka ? WAIT_KAFKA_MS : WAIT_DISK_MS)};
    struct http_request *request;
    while ((request = waiting_take_safe(level->waiting, safe)))
        replies_taken(intake->options.replies, request, (enum hit_source)request->handler_data[0]);
    while ((request = waiting_take_older(level->waiting, since)))
        refuse_unconfirmed(intake, request, is_kafka);
}

void intake_answer(struct intake *intake)
{
    answer(intake, &intake->pages);
    answer(intake, &intake->mirror);
}

void intake_write_metrics(const struct intake *intake)
{
    int64_t *values = intake->options.metrics->values;
    values[METRIC_WAITING] =
        (int64_t)(waiting_count(intake->pages.waiting) + waiting_count(intake->mirror.waiting));
    values[METRIC_IDS_REMEMBERED] = (int64_t)seen_count(intake->seen);
}
