/* SPDX-License-Identifier: Apache-2.0
 * sim_topic: see the header. */
#include "tests/unit/aggregator/sim_topic.h"

#include "proto/partition.h"

enum { BOOTS = 3, MIN_HITS = 20, MESSAGE_EVERY_MS = 400 };

struct making {
    struct topic *topic;
    struct choice *choice;
    size_t count;
    struct topic_message messages[SIM_PARTITIONS * TOPIC_MAX_MESSAGES];
};

static uint64_t below(struct making *making, uint64_t limit)
{
    return choice_below(making->choice, limit);
}

static void add(struct making *making, const struct topic_message *message)
{
    MUST(making->count < TOPIC_MAX_MESSAGES);
    making->messages[making->count++] = *message;
}

/* Now and then twice, as a collector that was not told of its success says it. */
static void add_perhaps_twice(struct making *making, const struct topic_message *message)
{
    add(making, message);
    if (below(making, 6) == 0)
        add(making, message);
}

static void add_control(struct making *making, const struct control *control)
{
    struct topic_message message = {.is_control = true, .control = *control};
    add_perhaps_twice(making, &message);
}

/* ---- Hits ---- */

static int home_of(const struct session *part)
{
    char key[PARTITION_KEY_MAX];
    size_t len = partition_key_write(part->host, part->ip, key);
    return partition_of_key((slice){key, len}, SIM_PARTITIONS);
}

static struct topic_stream *stream_of(struct making *making, int partition)
{
    uint8_t boot = (uint8_t)(1 + below(making, BOOTS));
    struct topic *topic = making->topic;
    for (size_t i = 0; i < topic->stream_count; i++)
        if (topic->streams[i].stream.partition == partition && topic->streams[i].stream.boot.bytes[0] == boot)
            return &topic->streams[i];
    MUST(topic->stream_count < TOPIC_MAX_STREAMS);
    struct topic_stream *made = &topic->streams[topic->stream_count++];
    *made = (struct topic_stream){.stream = {.boot.bytes = {boot}, .partition = partition}};
    return made;
}

/* The number before the next hit's never comes: that is said, or it is not. */
static void leave_out(struct making *making, struct topic_stream *stream)
{
    stream->last++;
    if (below(making, 2) == 0) {
        stream->lost_count++;
        return;
    }
    struct control skip = {.kind = CONTROL_SKIP, .stream = stream->stream, .from = stream->last};
    skip.last = stream->last;
    add_control(making, &skip);
}

static void number_hit(struct making *making, struct topic_message *message)
{
    struct topic_stream *stream = stream_of(making, home_of(&message->part));
    if (below(making, 16) == 0)
        leave_out(making, stream);
    message->has_stream = true;
    message->stream = stream->stream;
    message->seq = ++stream->last;
    if (below(making, 16) == 0) { /* it is said that it will never come, and here it is */
        struct control skip = {.kind = CONTROL_SKIP, .stream = stream->stream, .from = message->seq};
        skip.last = message->seq;
        add_control(making, &skip);
    }
}

static void add_hit(struct making *making, wall_ms base, uint64_t spread)
{
    struct topic_message message = {.hit = making->topic->hit_count++,
                                    .part = random_part(making->choice, base, spread)};
    struct session *part = &message.part;
    part->last = part->start;
    part->events = 1;
    part->bot_events = (int64_t)below(making, 2);
    part->exit_url = part->entry_url;
    if (making->topic->is_numbered || below(making, 4) > 0) {
        number_hit(making, &message);
        add_perhaps_twice(making, &message);
    } else {
        add(making, &message); /* its offset is its identity */
    }
}

static void end_streams(struct making *making)
{
    for (size_t i = 0; i < making->topic->stream_count; i++) {
        struct topic_stream *stream = &making->topic->streams[i];
        stream->has_ended = below(making, 4) > 0;
        struct control fin = {.kind = CONTROL_FIN, .stream = stream->stream, .last = stream->last};
        if (stream->has_ended)
            add_control(making, &fin);
    }
}

/* ---- The logs ---- */

static size_t partition_of(struct making *making, const struct topic_message *message)
{
    if (message->is_control)
        return (size_t)message->control.stream.partition;
    return message->has_stream ? (size_t)message->stream.partition : below(making, SIM_PARTITIONS);
}

static void place(struct making *making, const struct topic_message *message, wall_ms written)
{
    struct topic_log *log = &making->topic->logs[partition_of(making, message)];
    MUST(log->count < TOPIC_MAX_MESSAGES);
    int64_t before = log->count > 0 ? log->messages[log->count - 1].offset : (int64_t)below(making, 3) - 1;
    struct topic_message *placed = &log->messages[log->count++];
    *placed = *message;
    placed->written = written;
    placed->offset = before + 1 + (below(making, 12) == 0 ? (int64_t)below(making, 4) : 0);
}

/* The last message of each log says that a stream has ended which never had a number. */
static void end_logs(struct making *making, wall_ms written)
{
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        struct topic_message last = {.is_control = true,
                                     .control = {.kind = CONTROL_FIN, .stream.partition = i}};
        place(making, &last, written);
    }
}

void topic_make(struct topic *topic, struct choice *choice, wall_ms base)
{
    static struct making making;
    making.topic = topic;
    making.choice = choice;
    making.count = 0;
    topic->is_numbered = below(&making, 2) == 0;
    topic->hit_count = topic->stream_count = 0;
    topic->has_lost = false;
    for (size_t i = 0; i < SIM_PARTITIONS; i++) {
        topic->logs[i].count = topic->logs[i].shown = 0;
        topic->logs[i].first = 0;
    }
    size_t wanted = MIN_HITS + below(&making, TOPIC_MAX_HITS - MIN_HITS);
    uint64_t spread = 4 + below(&making, 36);
    while (topic->hit_count < wanted)
        add_hit(&making, base, spread);
    end_streams(&making);
    choice_shuffle(choice, making.messages, making.count, sizeof *making.messages);
    wall_ms written = base;
    for (size_t i = 0; i < making.count; i++, written.ms += MESSAGE_EVERY_MS)
        place(&making, &making.messages[i], written);
    end_logs(&making, written);
}

void topic_grow(struct topic *topic, struct choice *choice)
{
    struct topic_log *log = &topic->logs[choice_below(choice, SIM_PARTITIONS)];
    log->shown += choice_below(choice, 4);
    if (log->shown > log->count - 1)
        log->shown = log->count - 1;
}

void topic_show_all(struct topic *topic)
{
    for (size_t i = 0; i < SIM_PARTITIONS; i++)
        topic->logs[i].shown = topic->logs[i].count;
}

void topic_expire(struct topic *topic, int partition, int64_t offset)
{
    struct topic_log *log = &topic->logs[partition];
    if (offset <= log->first)
        return;
    log->first = offset;
    for (size_t i = 0; i < log->count && log->messages[i].offset < offset; i++)
        topic->has_lost = log->messages[i].is_gone = true;
}

static const struct topic_message *find(const struct topic_log *log, int64_t offset)
{
    size_t low = 0, high = log->shown;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (log->messages[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < log->shown ? &log->messages[low] : NULL;
}

const struct topic_message *topic_next(const struct topic *topic, int partition, int64_t offset)
{
    const struct topic_log *log = &topic->logs[partition];
    return find(log, offset > log->first ? offset : log->first);
}

const struct topic_message *topic_at(const struct topic *topic, int partition, int64_t offset)
{
    const struct topic_message *message = find(&topic->logs[partition], offset);
    return message != NULL && message->offset == offset ? message : NULL;
}

int64_t topic_end(const struct topic *topic, int partition)
{
    const struct topic_log *log = &topic->logs[partition];
    return log->messages[log->count - 1].offset + 1;
}
