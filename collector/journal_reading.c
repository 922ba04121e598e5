/* SPDX-License-Identifier: Apache-2.0
 * journal: entries handed out, acknowledged, and handed out again. See journal.h. */
#include "collector/journal_inside.h"

#include <string.h>

#define ACKNOWLEDGED     INT64_C(-1)
#define MAX_SKIPS_A_CALL 4096 /* frames passed over after a rewind */

/* --- acknowledging --- */

journal_position journal_end(const struct journal *journal)
{
    return journal->next + (journal->is_finished ? boot_fin_count(&journal->own) : 0);
}

static int64_t *slot_of(struct journal *journal, journal_position position)
{
    return &journal->window[position % JOURNAL_MAX_READ_AHEAD];
}

void journal_acknowledge(struct journal *journal, journal_position position)
{
    if (position < journal->first_pending)
        return;
    MUST(position < journal->handed);
    *slot_of(journal, position) = ACKNOWLEDGED;
    while (journal->first_pending < journal->handed &&
           *slot_of(journal, journal->first_pending) == ACKNOWLEDGED)
        journal->first_pending++;
}

bool journal_is_drained(const struct journal *journal)
{
    return !journal->is_recovering && journal->first_pending == journal_end(journal);
}

void journal_rewind(struct journal *journal)
{
    journal->read = journal->first_pending;
}

/* --- finding the place --- */

void journal_close_reader(struct journal *journal)
{
    if (journal->is_recovering)
        return; /* it is recovery's */
    reader_close(journal->reader);
    journal->reader_number = 0;
}

static struct segment *find_segment(struct journal *journal, journal_position position)
{
    size_t index = journal_find_segment(journal, position);
    return index < journal->segment_count && position >= journal->segments[index].first
               ? &journal->segments[index]
               : NULL;
}

/* The reader stands at or before this frame of the segment. */
static enum status go_to(struct journal *journal, const struct segment *segment, int64_t frame)
{
    enum status status = STATUS_OK;
    if (journal->reader_number != segment->number || journal->reader_frames > frame) {
        journal_close_reader(journal);
        status = reader_open(journal->reader, journal->options.disk, segment->number);
        if (status == STATUS_OK) {
            journal->reader_number = segment->number;
            journal->reader_frames = 0;
        } else if (status != STATUS_NOT_FOUND && status != STATUS_MISSING && status != STATUS_MALFORMED) {
            status = STATUS_UNAVAILABLE; /* it was whole at the start: this may pass */
        }
    }
    if (status == STATUS_OK)
        reader_set_end(journal->reader, segment->end);
    return status;
}

/* Frame number `wanted` of the segment, counted from 0. */
static enum status read_frame(struct journal *journal, const struct segment *segment, int64_t wanted,
                              struct frame *frame)
{
    enum status status = go_to(journal, segment, wanted);
    for (int i = 0; status == STATUS_OK && i < MAX_SKIPS_A_CALL; i++) {
        status = reader_next(journal->reader, frame);
        if (status != STATUS_OK)
            return status;
        if (journal->reader_frames++ == wanted)
            return STATUS_OK;
    }
    return status == STATUS_OK ? STATUS_AGAIN : status;
}

/* --- entries --- */

static void fill_stream(const struct boot *boot, int partition, struct journal_entry *entry)
{
    entry->boot = boot->id;
    entry->partition = partition;
    entry->topic = boot->topic;
    entry->partitions = boot->partitions;
    entry->may_have_been_sent = boot->is_marked;
}

static void fill_skip(const struct segment *segment, const struct gap *gap, struct journal_entry *entry)
{
    entry->kind = JOURNAL_SKIP;
    entry->seq = gap->from;
    entry->last = gap->to;
    fill_stream(segment->boot, gap->partition, entry);
}

/* The index-th of the streams that have a last number. */
static void fill_fin(const struct boot *boot, size_t index, struct journal_entry *entry)
{
    int partition = 0;
    for (size_t found = 0;; partition++) {
        MUST(partition < boot->partitions);
        if (boot->last[partition] > 0 && found++ == index)
            break;
    }
    entry->kind = JOURNAL_FIN;
    entry->last = boot->last[partition];
    fill_stream(boot, partition, entry);
}

static void fill_hit(const struct boot *boot, const struct frame *frame, struct journal_entry *entry)
{
    entry->kind = JOURNAL_HIT;
    entry->seq = frame->seq;
    entry->written = frame->written;
    entry->key = frame->key;
    entry->value = frame->value;
    fill_stream(boot, frame->partition, entry);
}

static void hand_out(struct journal *journal, wall_ms written)
{
    if (journal->read >= journal->handed) {
        journal->handed = journal->read + 1;
        *slot_of(journal, journal->read) = written.ms > 0 ? written.ms : 0;
    }
    journal->read++;
}

/* What was whole when it was counted cannot be read any more: it is passed over, and will show as a hole. */
static void pass_over_lost(struct journal *journal, struct segment *segment)
{
    log_error(&journal->log, "frame_lost",
              "journal.directory: segment %016llx: a frame cannot be read any more: look at the disk",
              (unsigned long long)segment->number);
    segment->is_damaged = true;
    journal->figures.unannounced++;
    hand_out(journal, (wall_ms){0});
    journal_acknowledge(journal, journal->read - 1);
}

/* AGAIN also after a mark or a lost frame. */
static enum status read_hit(struct journal *journal, struct segment *segment, int64_t wanted,
                            struct journal_entry *entry)
{
    struct frame frame;
    enum status status = read_frame(journal, segment, wanted, &frame);
    if (status == STATUS_OK && frame.kind == FRAME_MARK) {
        hand_out(journal, frame.written);
        journal_acknowledge(journal, journal->read - 1);
        return STATUS_AGAIN;
    }
    if (status == STATUS_OK) {
        fill_hit(segment->boot, &frame, entry);
        hand_out(journal, frame.written);
        return STATUS_OK;
    }
    if (status == STATUS_AGAIN || status == STATUS_UNAVAILABLE)
        return status;
    pass_over_lost(journal, segment);
    return STATUS_AGAIN;
}

static enum status read_entry(struct journal *journal, struct segment *segment, struct journal_entry *entry)
{
    uint64_t index = journal->read - segment->first;
    uint64_t frames = (uint64_t)segment->frames;
    entry->written = segment->first_written;
    if (index < segment->gap_count) {
        fill_skip(segment, &journal->gaps[segment->gap_start + index], entry);
    } else if (index < segment->gap_count + frames) {
        return read_hit(journal, segment, (int64_t)(index - segment->gap_count), entry);
    } else {
        fill_fin(segment->boot, index - segment->gap_count - frames, entry);
    }
    hand_out(journal, segment->first_written);
    return STATUS_OK;
}

static enum status read_own_fin(struct journal *journal, struct journal_entry *entry)
{
    if (journal->read < journal->next || journal->read >= journal_end(journal))
        return STATUS_NOT_FOUND;
    fill_fin(&journal->own, (size_t)(journal->read - journal->next), entry);
    hand_out(journal, (wall_ms){0});
    return STATUS_OK;
}

/* Those that are acknowledged already are not given again. */
static void pass_over_acknowledged(struct journal *journal)
{
    if (journal->read < journal->first_pending)
        journal->read = journal->first_pending;
    while (journal->read < journal->handed && *slot_of(journal, journal->read) == ACKNOWLEDGED)
        journal->read++;
}

enum status journal_read(struct journal *journal, struct journal_entry *entry)
{
    journal_position limit = journal->options.hands_out_unsynced ? journal->written : journal->durable;
    if (journal->is_recovering || !journal->has_mark || journal->mark >= journal->durable)
        return STATUS_NOT_FOUND;
    pass_over_acknowledged(journal);
    if (journal->read - journal->first_pending >= JOURNAL_MAX_READ_AHEAD)
        return STATUS_FULL;
    *entry = (struct journal_entry){.position = journal->read};
    if (journal->read >= limit && journal->read < journal->next)
        return STATUS_NOT_FOUND;
    struct segment *segment = find_segment(journal, journal->read);
    return segment ? read_entry(journal, segment, entry) : read_own_fin(journal, entry);
}

/* --- what Kafka refused --- */

static enum status append_line(struct disk *disk, int file, uint64_t at, slice value)
{
    enum status status = disk_write(disk, file, value, at);
    if (status == STATUS_OK)
        status = disk_write(disk, file, SLICE("\n"), at + value.len);
    return status;
}

enum status journal_keep_refused(struct journal *journal, slice value)
{
    struct disk *disk = journal->options.disk;
    uint64_t bytes = 0;
    int file;
    enum status status = disk_open(disk, REFUSED_NAME, DISK_APPEND, &file);
    if (status != STATUS_OK)
        return status;
    status = disk_size(disk, REFUSED_NAME, &bytes);
    if (status == STATUS_OK &&
        (bytes + value.len + 1 > JOURNAL_MAX_REFUSED_BYTES || !journal_may_keep(journal, value.len + 1)))
        status = STATUS_FULL;
    if (status == STATUS_OK)
        status = append_line(disk, file, bytes, value);
    if (status == STATUS_OK)
        journal->quarantine_bytes += value.len + 1;
    journal->has_refused_unsynced = true;
    disk_close(disk, file);
    return status;
}
