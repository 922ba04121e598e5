/* SPDX-License-Identifier: Apache-2.0
 * journal: old segments, found at start and read once in small steps, the newest first. See journal.h.
 *
 * Each segment is judged by itself: its header says the numbers before it, the headers behind it (of the same
 * boot) say which numbers must have been given by its end; what lies between and is in none of its frames is
 * a gap. The smallest of the later headers counts, for frames whose sync failed are written again in a later
 * segment. */
#include "collector/journal_inside.h"

#include <stdlib.h>
#include <string.h>

/* --- the folder --- */

static void number_is_taken(struct journal *journal, uint64_t number)
{
    if (number >= journal->next_number)
        journal->next_number = number + 1;
}

/* Numbers of ours: those of a fresh folder count up from 1. */
static bool read_name(const char *name, uint64_t *number)
{
    return segment_name_read(name, number) && *number > 0 && *number <= UINT64_MAX / 2;
}

static void on_segment_name(void *context, const char *name)
{
    struct journal *journal = context;
    struct segment segment = {.file = NO_FILE};
    if (!read_name(name, &segment.number))
        return;
    if (disk_size(journal->options.disk, name, &segment.bytes) != STATUS_OK)
        segment.bytes = 0; /* recovery will see what can be read of it */
    number_is_taken(journal, segment.number);
    journal->segment_total_bytes += segment.bytes;
    (void)journal_add_segment(journal, &segment);
}

static void on_quarantine_name(void *context, const char *name)
{
    struct journal *journal = context;
    char path[DISK_MAX_NAME + 1];
    uint64_t bytes, number;
    size_t len = strlen(name);
    if (read_name(name, &number))
        number_is_taken(journal, number); /* so that it will not be overwritten */
    if (name[0] == '.' || sizeof(DISK_QUARANTINE) + len > DISK_MAX_NAME)
        return;
    memcpy(path, DISK_QUARANTINE "/", sizeof(DISK_QUARANTINE));
    memcpy(path + sizeof(DISK_QUARANTINE), name, len + 1);
    if (disk_size(journal->options.disk, path, &bytes) == STATUS_OK)
        journal->quarantine_bytes += bytes;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->number, y = ((const struct segment *)b)->number;
    return (x > y) - (x < y);
}

/* A process that was killed may have written what it never synced, and an id that is found there is answered
 * as safe. That lies in the last segments, since no more than max_unsynced_bytes is ever unsynced. */
static void sync_latest(struct journal *journal)
{
    size_t count = journal->segment_count;
    for (size_t i = count > JOURNAL_MAX_SYNC_FILES ? count - JOURNAL_MAX_SYNC_FILES : 0; i < count; i++) {
        char name[SEGMENT_NAME_LEN + 1];
        int file;
        segment_name_write(journal->segments[i].number, name);
        enum status status = disk_open(journal->options.disk, name, DISK_READ, &file);
        if (status == STATUS_OK) {
            status = disk_sync(journal->options.disk, file);
            disk_close(journal->options.disk, file);
        }
        if (status != STATUS_OK)
            log_error(
                &journal->log, "sync_failed",
                "journal.directory: %s: what an earlier start wrote may not be durable: %s: look at the disk",
                name, status_text(status));
    }
}

enum status journal_list(struct journal *journal)
{
    struct disk *disk = journal->options.disk;
    enum status status = disk_list(disk, "", on_segment_name, journal);
    if (status == STATUS_OK)
        status = disk_list(disk, DISK_QUARANTINE, on_quarantine_name, journal);
    if (journal->segment_count > 0)
        qsort(journal->segments, journal->segment_count, sizeof(*journal->segments), compare_numbers);
    sync_latest(journal);
    journal->to_recover = journal->segment_count;
    journal->is_recovering = true;
    return status;
}

/* --- boots --- */

size_t boot_fin_count(const struct boot *boot)
{
    size_t count = 0;
    for (int i = 0; i < boot->partitions; i++)
        count += boot->last[i] > 0;
    return count;
}

static bool is_of_boot(const struct boot *boot, const struct segment_header *header)
{
    return uuid_equals(boot->id, header->boot) && boot->partitions == header->partitions &&
           strcmp(boot->topic, header->topic) == 0;
}

/* Everything is possible behind its last segment. */
static struct boot *boot_new(const struct segment_header *header)
{
    struct boot *boot = must_calloc(1, sizeof(*boot));
    size_t partitions = (size_t)header->partitions;
    boot->id = header->boot;
    boot->partitions = header->partitions;
    memcpy(boot->topic, header->topic, sizeof(boot->topic));
    boot->last = must_calloc(partitions, sizeof(*boot->last));
    boot->before = must_calloc(partitions, sizeof(*boot->before));
    for (size_t i = 0; i < partitions; i++)
        boot->before[i] = INT64_MAX;
    return boot;
}

static struct boot *find_boot(struct journal *journal, const struct segment_header *header)
{
    if (journal->boot_count > 0 && is_of_boot(journal->boots[journal->boot_count - 1], header))
        return journal->boots[journal->boot_count - 1];
    if (journal->boot_count == journal->boot_capacity) {
        journal->boot_capacity = journal->boot_capacity ? 2 * journal->boot_capacity : 16;
        journal->boots = must_realloc(journal->boots, journal->boot_capacity * sizeof(*journal->boots));
    }
    return journal->boots[journal->boot_count++] = boot_new(header);
}

/* --- one segment --- */

static void add_gap(struct journal *journal, struct segment *segment, struct gap gap)
{
    if (gap.from > gap.to)
        return;
    if (journal->gap_count == JOURNAL_MAX_GAPS) {
        journal->figures.unannounced++;
        return;
    }
    if (journal->gap_count == journal->gap_capacity) {
        journal->gap_capacity = journal->gap_capacity ? 2 * journal->gap_capacity : 64;
        journal->gaps = must_realloc(journal->gaps, journal->gap_capacity * sizeof(*journal->gaps));
    }
    journal->gaps[journal->gap_count++] = gap;
    segment->gap_count++;
    if (__builtin_add_overflow(journal->figures.skipped, gap.to - gap.from + 1, &journal->figures.skipped))
        journal->figures.skipped = INT64_MAX;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void begin_segment(struct journal *journal, struct segment *segment)
{
    const struct segment_header *header = reader_header(journal->reader);
    segment->boot = find_boot(journal, header);
    segment->boot->is_marked = segment->boot->is_marked || header->is_marked;
    memcpy(journal->seen, header->last, (size_t)header->partitions * sizeof(header->last[0]));
}

static void set_aside(struct journal *journal, struct segment *segment, enum status status)
{
    log_error(&journal->log, "segment_unread",
              "journal.directory: segment %016llx cannot be read: %s: look at the disk",
              (unsigned long long)segment->number, status_text(status));
    segment->is_damaged = true;
}

/* False: try again later. Nothing but a lack of descriptors or memory may hold up what lies behind. */
static bool open_segment(struct journal *journal, struct segment *segment)
{
    enum status status = reader_open(journal->reader, journal->options.disk, segment->number);
    segment->gap_start = journal->gap_count;
    journal->is_reader_in_recovery = true;
    switch (status) {
    case STATUS_OK:
        begin_segment(journal, segment);
        break;
    case STATUS_MISSING: /* a spare, when nothing but zeros follows */
        break;
    case STATUS_MALFORMED:
        segment->is_damaged = true;
        break;
    case STATUS_CONFLICT:
        log_error(
            &journal->log, "segment_newer",
            "journal.directory: segment %016llx was written by a newer version: it goes to " DISK_QUARANTINE
            ", start that version on it",
            (unsigned long long)segment->number);
        segment->is_damaged = segment->is_newer = true;
        break;
    case STATUS_NOT_FOUND:
        journal->figures.missing_segments++;
        journal->is_reader_in_recovery = false;
        break;
    case STATUS_AGAIN:
        log_warning(&journal->log, "recovery_waits",
                    "journal.directory: no descriptor or memory is left to read old segments: trying again "
                    "(http.max_connections, LimitNOFILE)");
        journal->is_reader_in_recovery = false;
        return false;
    default:
        set_aside(journal, segment, status);
        journal->figures.damaged_segments++;
        journal->is_reader_in_recovery = false;
    }
    return true;
}

static void show(const struct journal *journal, const struct segment *segment, const struct frame *frame)
{
    if (frame->kind != FRAME_HIT || !journal->options.on_found)
        return;
    journal->options.on_found(journal->options.context, &(struct journal_entry){
                                                            .kind = JOURNAL_HIT,
                                                            .boot = segment->boot->id,
                                                            .partition = frame->partition,
                                                            .seq = frame->seq,
                                                            .written = frame->written,
                                                            .key = frame->key,
                                                            .value = frame->value,
                                                            .topic = segment->boot->topic,
                                                            .partitions = segment->boot->partitions,
                                                        });
}

/* A number that later segments do not know of: its sync failed, and the process ended before it was written
 * again. It makes the stream longer, and what is missing before it will never come. */
static void take_stray(struct journal *journal, struct segment *segment, const struct frame *frame)
{
    int64_t *last = &segment->boot->last[frame->partition];
    if (frame->seq <= *last)
        return;
    add_gap(journal, segment, (struct gap){frame->partition, *last + 1, frame->seq - 1});
    *last = frame->seq;
}

static void take_number(struct journal *journal, struct segment *segment, const struct frame *frame)
{
    int64_t *seen = &journal->seen[frame->partition], before = segment->boot->before[frame->partition];
    add_gap(journal, segment, (struct gap){frame->partition, *seen + 1, smaller(frame->seq - 1, before)});
    if (frame->seq > *seen)
        *seen = frame->seq;
    if (frame->seq > before)
        take_stray(journal, segment, frame);
}

static void take_frame(struct journal *journal, struct segment *segment, const struct frame *frame)
{
    if (segment->frames++ == 0)
        segment->first_written = frame->written;
    journal->figures.recovered++;
    show(journal, segment, frame);
    if (frame->kind == FRAME_MARK)
        segment->boot->is_marked = true;
    else
        take_number(journal, segment, frame);
}

/* The last segment of a boot says where its streams end; each one says what the one before it must have. */
static void close_gaps(struct journal *journal, struct segment *segment)
{
    struct boot *boot = segment->boot;
    const struct segment_header *header = reader_header(journal->reader);
    for (int i = 0; i < boot->partitions; i++) {
        if (boot->before[i] == INT64_MAX)
            boot->last[i] = journal->seen[i];
        else
            add_gap(journal, segment, (struct gap){i, journal->seen[i] + 1, boot->before[i]});
        boot->before[i] = smaller(boot->before[i], header->last[i]);
    }
}

/* A tail that was being written when the power went, and room that was never used: all of a spare. */
static void cut_tail(struct journal *journal, struct segment *segment, uint64_t torn)
{
    char name[SEGMENT_NAME_LEN + 1];
    segment_name_write(segment->number, name);
    if (torn > 0) {
        journal->figures.torn_tails++;
        log_warning(
            &journal->log, "torn_tail",
            "journal.directory: %s: %llu bytes behind the last whole frame are cut off: nothing need be done",
            name, (unsigned long long)torn);
    }
    if (segment->bytes <= segment->end ||
        disk_truncate(journal->options.disk, name, segment->end) != STATUS_OK)
        return; /* it is read up to its last frame all the same */
    journal->segment_total_bytes -= segment->bytes - segment->end;
    segment->bytes = segment->end;
}

static void note_damage(struct journal *journal, struct segment *segment, struct reader_damage damage)
{
    segment->is_damaged = true;
    journal->figures.damaged_segments++;
    log_error(&journal->log, "segment_damaged",
              "journal.directory: segment %016llx: %lld damaged places, %llu bytes; %lld whole frames were "
              "found: look at the disk",
              (unsigned long long)segment->number, (long long)damage.spans,
              (unsigned long long)(damage.bytes + damage.torn), (long long)segment->frames);
}

/* Numbers were given behind this segment, in one that is not there or empty. Else they were at its end. */
static void note_missing(struct journal *journal, const struct segment *segment, int64_t lost)
{
    const struct segment *next = segment + 1;
    if (lost == 0 || next == journal->segments + journal->segment_count)
        return;
    if (next->number == segment->number + 1 && (next->boot || next->is_damaged))
        return;
    journal->figures.missing_segments++;
    log_error(&journal->log, "segment_missing",
              "journal.directory: no file between segments %016llx and %016llx: %lld hits are announced as "
              "lost: put it back, if you have it, and restart",
              (unsigned long long)segment->number, (unsigned long long)next->number, (long long)lost);
}

static void end_segment(struct journal *journal, struct segment *segment)
{
    struct reader_damage damage = reader_damage(journal->reader);
    int64_t skipped = journal->figures.skipped;
    segment->end = reader_position(journal->reader);
    journal->figures.recovered_bytes += segment->end;
    if (segment->boot)
        close_gaps(journal, segment);
    note_missing(journal, segment, journal->figures.skipped - skipped);
    if (segment->is_damaged || damage.spans > 0 || (!segment->boot && damage.torn > 0))
        note_damage(journal, segment, damage);
    else
        cut_tail(journal, segment, damage.torn);
}

/* --- all --- */

/* A mark covers all boots before it: their hits were handed out by the same process. */
static void spread_marks(struct journal *journal)
{
    bool is_marked = false;
    for (size_t i = 0; i < journal->boot_count; i++) {
        is_marked = is_marked || journal->boots[i]->is_marked;
        journal->boots[i]->is_marked = is_marked;
    }
}

/* The ends of streams are told behind the last segment of their boot that can be read. */
static void place_ends(struct journal *journal)
{
    const struct boot *later = NULL;
    for (size_t i = journal->segment_count; i-- > 0;) {
        struct segment *segment = &journal->segments[i];
        if (segment->is_own || !segment->boot)
            continue;
        if (segment->boot != later)
            segment->fin_count = boot_fin_count(segment->boot);
        later = segment->boot;
    }
}

static void give_positions(struct journal *journal)
{
    journal_position position = JOURNAL_FIRST_OWN;
    for (size_t i = journal->segment_count; i-- > 0;) {
        struct segment *segment = &journal->segments[i];
        if (segment->is_own)
            continue;
        segment->below = position;
        position -= segment->gap_count + (uint64_t)segment->frames + segment->fin_count;
        segment->first = position;
    }
    journal->first_pending = journal->read = journal->handed = position;
}

static void finish_recovery(struct journal *journal)
{
    spread_marks(journal);
    place_ends(journal);
    give_positions(journal);
    journal->is_recovering = false;
    reader_close(journal->reader);
    if (journal->figures.recovered > 0)
        log_info(&journal->log, "recovered", "%lld frames of earlier starts are still to be confirmed",
                 (long long)journal->figures.recovered);
}

/* One window's worth of frames. */
static bool read_segment(struct journal *journal, struct segment *segment)
{
    struct frame frame;
    uint64_t start = reader_position(journal->reader);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && reader_position(journal->reader) - start < READER_WINDOW_BYTES) {
        status = reader_next(journal->reader, &frame);
        if (status == STATUS_OK)
            take_frame(journal, segment, &frame);
    }
    if (status == STATUS_OK || status == STATUS_AGAIN)
        return false;
    if (status != STATUS_NOT_FOUND)
        set_aside(journal, segment, status);
    return true;
}

enum status journal_recover(struct journal *journal)
{
    if (!journal->is_recovering)
        return STATUS_OK;
    if (journal->to_recover == 0) {
        finish_recovery(journal);
        return STATUS_OK;
    }
    struct segment *segment = &journal->segments[journal->to_recover - 1];
    if (!journal->is_reader_in_recovery && !open_segment(journal, segment))
        return STATUS_UNAVAILABLE;
    if (!journal->is_reader_in_recovery) {
        journal->to_recover--;
        return STATUS_AGAIN;
    }
    if (read_segment(journal, segment)) {
        end_segment(journal, segment);
        journal->is_reader_in_recovery = false;
        journal->to_recover--;
    }
    return STATUS_AGAIN;
}
