/* SPDX-License-Identifier: Apache-2.0
 * journal: opening and closing, appending and writing, figures. See the header. */
#include "collector/journal_inside.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

uint64_t journal_min_segment_bytes(int partitions)
{
    return 2 * segment_header_bytes(partitions) + FRAME_MAX_BYTES;
}

/* --- life --- */

static void check_options(const struct journal_options *options)
{
    MUST(options->partitions > 0 && options->partitions <= PARTITIONS_MAX);
    MUST(strlen(options->topic) <= SEGMENT_MAX_TOPIC);
    MUST(options->segment_bytes >= journal_min_segment_bytes(options->partitions));
    MUST(options->max_bytes >= 2 * options->segment_bytes);
    MUST(options->max_unsynced_bytes >= FRAME_MAX_BYTES);
}

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *journal = must_calloc(1, sizeof(*journal));
    size_t partitions = (size_t)options->partitions;
    check_options(options);
    journal->options = *options;
    journal->log = log_new("journal");
    journal->own.id = options->boot;
    journal->own.partitions = options->partitions;
    memcpy(journal->own.topic, options->topic, strlen(options->topic));
    journal->own.last = must_calloc(partitions, sizeof(int64_t));
    journal->header_text = must_malloc(2 * segment_header_bytes(options->partitions));
    journal->header = must_calloc(1, sizeof(*journal->header));
    journal->unsynced = must_malloc(options->max_unsynced_bytes);
    journal->seen = must_calloc(PARTITIONS_MAX, sizeof(int64_t));
    journal->window = must_calloc(JOURNAL_MAX_READ_AHEAD, sizeof(int64_t));
    journal->reader = reader_new();
    journal->spare.file = NO_FILE;
    journal->next_number = 1;
    journal->durable = journal->written = journal->next = JOURNAL_FIRST_OWN;
    journal->read = journal->handed = journal->first_pending = JOURNAL_FIRST_OWN;
    return journal;
}

static void boot_free(struct boot *boot)
{
    free(boot->last);
    free(boot->before);
    free(boot);
}

static void journal_free(struct journal *journal)
{
    for (size_t i = 0; i < journal->segment_count; i++)
        if (journal->segments[i].is_own && journal->segments[i].file != NO_FILE)
            disk_close(journal->options.disk, journal->segments[i].file);
    if (journal->has_spare)
        disk_close(journal->options.disk, journal->spare.file);
    for (size_t i = 0; i < journal->boot_count; i++)
        boot_free(journal->boots[i]);
    reader_free(&journal->reader);
    free(journal->segments);
    free(journal->boots);
    free(journal->gaps);
    free(journal->seen);
    free(journal->window);
    free(journal->unsynced);
    free(journal->header);
    free(journal->header_text);
    free(journal->own.last);
    free(journal);
}

/* What the loop hands to another thread, here at once. */
static void make_first_segment(struct journal *journal, mono_ms now)
{
    struct journal_upkeep upkeep;
    if (!journal_upkeep_begin(journal, now, &upkeep))
        return;
    journal_upkeep_run(&upkeep);
    journal_upkeep_done(journal, &upkeep, now);
}

struct journal *journal_open(const struct journal_options *options, mono_ms now, struct why *why)
{
    enum status status = disk_lock(options->disk);
    if (status == STATUS_CONFLICT) {
        (void)why_say(why, status, "another collector uses this folder: give each process its own");
        return NULL;
    }
    struct journal *journal = journal_new(options);
    if (status == STATUS_OK)
        status = journal_list(journal);
    if (status == STATUS_OK) {
        make_first_segment(journal, now);
        status = journal->state == STATUS_FULL ? STATUS_OK : journal->state;
    }
    if (status != STATUS_OK) {
        (void)why_say(why, status, "the folder cannot be read or written: %s", status_text(status));
        journal_free(journal);
        return NULL;
    }
    return journal;
}

/* Everything of it was acknowledged, or it was never used. */
static bool remove_file(struct journal *journal, uint64_t number)
{
    char name[SEGMENT_NAME_LEN + 1];
    segment_name_write(number, name);
    enum status status = disk_unlink(journal->options.disk, name);
    if (status != STATUS_OK) /* it will be replayed, which does no harm */
        log_warning(&journal->log, "segment_stays",
                    "journal.directory: %s cannot be removed: %s: the next start sees to it", name,
                    status_text(status));
    return status == STATUS_OK;
}

/* The last segment is what tells the next start where our streams end, unless that is told or there are
 * none. */
static bool is_over(const struct journal *journal)
{
    return boot_fin_count(&journal->own) == 0 ||
           (journal->is_finished && journal->first_pending == journal_end(journal));
}

/* In their order, as ever: what was removed must not make a gap in what stays. */
static void remove_what_is_done(struct journal *journal)
{
    for (size_t i = 0; i < journal->segment_count; i++) {
        const struct segment *segment = &journal->segments[i];
        bool is_done = !journal->is_recovering && segment->below <= journal->first_pending;
        bool is_last = segment->is_own && i + 1 == journal->segment_count;
        if (!is_done || segment->is_damaged || (is_last && !is_over(journal)))
            break;
        if (!remove_file(journal, segment->number) || disk_sync_folder(journal->options.disk) != STATUS_OK)
            break;
    }
}

void journal_close(struct journal **journal)
{
    if (!*journal)
        return;
    MUST(!(*journal)->is_syncing && !(*journal)->is_in_upkeep);
    if ((*journal)->has_refused_unsynced && journal_sync_refused((*journal)->options.disk) != STATUS_OK)
        log_error(&(*journal)->log, "refused_unsafe",
                  "journal.directory: %s may not be durable: look at the disk", REFUSED_NAME);
    remove_what_is_done(*journal);
    if ((*journal)->has_spare)
        (void)remove_file(*journal, (*journal)->spare.number);
    journal_free(*journal);
    *journal = NULL;
}

/* --- segments --- */

struct segment *journal_add_segment(struct journal *journal, const struct segment *segment)
{
    if (journal->segment_count == journal->segment_capacity) {
        journal->segment_capacity = journal->segment_capacity ? 2 * journal->segment_capacity : 64;
        journal->segments =
            must_realloc(journal->segments, journal->segment_capacity * sizeof(*journal->segments));
    }
    journal->segments[journal->segment_count] = *segment;
    return &journal->segments[journal->segment_count++];
}

void journal_remove_segment(struct journal *journal, size_t index)
{
    struct segment *segment = &journal->segments[index];
    if (journal->reader_number == segment->number)
        journal_close_reader(journal);
    journal->segment_total_bytes -= segment->bytes;
    journal->segment_count--;
    memmove(segment, segment + 1, (journal->segment_count - index) * sizeof(*segment));
}

static struct segment *active_of(struct journal *journal)
{
    return journal->has_active ? &journal->segments[journal->segment_count - 1] : NULL;
}

void journal_retire_active(struct journal *journal)
{
    journal->has_active = false;
    journal->has_emptied = true; /* perhaps: the next upkeep looks */
}

size_t journal_find_segment(const struct journal *journal, journal_position position)
{
    size_t low = 0, high = journal->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (journal->segments[middle].below > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The numbers before the first frame that is not written: those of the end, less what is in memory. */
static void fill_header(struct journal *journal, const struct segment *segment, wall_ms now)
{
    struct segment_header *header = journal->header;
    struct frame frame;
    header->number = segment->number;
    header->salt =
        XXH3_64bits_withSeed(&segment->number, sizeof(segment->number), journal->options.salt_seed);
    header->boot = journal->own.id;
    header->created = now;
    header->is_marked = journal->has_mark;
    header->partitions = journal->own.partitions;
    memcpy(header->topic, journal->own.topic, sizeof(header->topic));
    memcpy(header->last, journal->own.last, (size_t)header->partitions * sizeof(header->last[0]));
    for (size_t at = journal->written_bytes; at < journal->unsynced_bytes;) {
        frame_written_read(journal->unsynced + at, &frame);
        if (frame.kind == FRAME_HIT && frame.seq <= header->last[frame.partition])
            header->last[frame.partition] = frame.seq - 1;
        at += frame_written_bytes(journal->unsynced + at);
    }
}

/* The spare becomes the segment that takes frames. */
static enum status roll(struct journal *journal, wall_ms now_wall, mono_ms now)
{
    size_t header_bytes = 2 * segment_header_bytes(journal->own.partitions);
    if (!journal->has_spare)
        return journal->state == STATUS_OK ? STATUS_UNAVAILABLE : journal->state;
    journal->has_spare = false;
    journal->has_active = true;
    journal->open_count++;
    struct segment *segment = journal_add_segment(journal, &journal->spare);
    segment->first = segment->below = journal->written;
    segment->opened = now;
    fill_header(journal, segment, now_wall);
    segment_header_write(journal->header, journal->header_text);
    enum status status =
        disk_write(journal->options.disk, segment->file, (slice){journal->header_text, header_bytes}, 0);
    if (status != STATUS_OK) {
        journal->figures.write_errors++;
        journal_retire_active(journal);
    }
    return status;
}

/* --- appending --- */

uuid journal_boot(const struct journal *journal)
{
    return journal->own.id;
}

journal_position journal_next(const struct journal *journal)
{
    return journal->next;
}

int64_t journal_next_seq(const struct journal *journal, int partition)
{
    MUST(partition >= 0 && partition < journal->own.partitions);
    return journal->own.last[partition] + 1;
}

/* What is to be written and `bytes` more, and a mark behind it. */
static bool fits(const struct journal *journal, const struct segment *segment, size_t bytes)
{
    size_t unwritten = journal->unsynced_bytes - journal->written_bytes;
    return segment->end + unwritten + bytes + FRAME_HEAD_BYTES <= segment->bytes;
}

/* OK while what is to be written has a place to go to. */
static enum status check_room(const struct journal *journal, size_t bytes)
{
    const struct segment *active = active_of((struct journal *)journal);
    if (journal->is_finished)
        return STATUS_STOPPING;
    if (journal->unsynced_bytes + bytes + FRAME_HEAD_BYTES > journal->options.max_unsynced_bytes)
        return STATUS_FULL;
    if ((active && fits(journal, active, bytes)) ||
        (journal->has_spare && fits(journal, &journal->spare, bytes)))
        return STATUS_OK;
    return journal->state == STATUS_OK ? STATUS_UNAVAILABLE : journal->state;
}

enum status journal_has_room(const struct journal *journal, size_t count)
{
    return check_room(journal, count * FRAME_MAX_BYTES);
}

static journal_position put(struct journal *journal, const struct frame *frame)
{
    size_t bytes = frame_bytes(frame->key.len, frame->value.len);
    MUST(journal->unsynced_bytes + bytes <= journal->options.max_unsynced_bytes);
    frame_write(frame, journal->unsynced + journal->unsynced_bytes);
    journal->unsynced_bytes += bytes;
    if (journal->handed == journal->next) {
        journal->unread = journal->next;
        journal->unread_written = frame->written;
    }
    return journal->next++;
}

enum status journal_append(struct journal *journal, const struct frame *hit, journal_position *position)
{
    size_t bytes = frame_bytes(hit->key.len, hit->value.len);
    enum status status = check_room(journal, bytes);
    if (status != STATUS_OK)
        return status;
    MUST(hit->kind == FRAME_HIT && hit->seq == journal_next_seq(journal, hit->partition));
    *position = put(journal, hit);
    journal->own.last[hit->partition]++;
    journal->figures.appended++;
    journal->figures.appended_bytes += bytes;
    return STATUS_OK;
}

bool journal_start_publishing(struct journal *journal, wall_ms now)
{
    if (journal->has_mark || journal->unsynced_bytes + FRAME_HEAD_BYTES > journal->options.max_unsynced_bytes)
        return false;
    journal->mark = put(journal, &(struct frame){.kind = FRAME_MARK, .written = now});
    journal->has_mark = true;
    return true;
}

void journal_finish(struct journal *journal)
{
    journal->is_finished = true;
}

/* --- writing --- */

/* As many frames as fit into the segment, made valid for their places there. */
static slice seal_run(struct journal *journal, const struct segment *segment, int64_t *count)
{
    uint64_t salt =
        XXH3_64bits_withSeed(&segment->number, sizeof(segment->number), journal->options.salt_seed);
    size_t at = journal->written_bytes, end = at;
    *count = 0;
    while (end < journal->unsynced_bytes) {
        size_t bytes = frame_written_bytes(journal->unsynced + end);
        if (segment->end + (end - at) + bytes > segment->bytes)
            break;
        frame_seal(journal->unsynced + end, salt, segment->end + (end - at));
        end += bytes;
        (*count)++;
    }
    return (slice){journal->unsynced + at, end - at};
}

static void note_written(struct journal *journal, struct segment *segment, slice run, int64_t count)
{
    struct frame first;
    frame_written_read(run.data, &first);
    if (segment->frames == 0)
        segment->first_written = first.written;
    segment->end += run.len;
    segment->frames += count;
    segment->below += (uint64_t)count;
    journal->written_bytes += run.len;
    journal->written = segment->below;
}

/* Nobody knows what of the run is on disk. What was written before stays; the rest goes to another
 * segment. */
static void note_write_error(struct journal *journal, const struct segment *segment, enum status status)
{
    char name[SEGMENT_NAME_LEN + 1];
    segment_name_write(segment->number, name);
    log_error(&journal->log, "write_failed",
              "journal.directory: %s: a write failed (%s): going on in another segment; look at the disk "
              "when it repeats",
              name, status_text(status));
    journal->figures.write_errors++;
    journal_retire_active(journal);
    enum status cut = disk_truncate(journal->options.disk, name, segment->end);
    if (cut != STATUS_OK) /* then recovery will find a torn tail */
        log_warning(&journal->log, "tail_stays",
                    "journal.directory: %s cannot be cut: %s: the next start does it", name,
                    status_text(cut));
}

static enum status write_run(struct journal *journal, struct segment *segment)
{
    int64_t count;
    slice run = seal_run(journal, segment, &count);
    if (count == 0) {
        journal_retire_active(journal);
        return STATUS_OK;
    }
    enum status status = disk_write(journal->options.disk, segment->file, run, segment->end);
    if (status == STATUS_OK)
        note_written(journal, segment, run, count);
    else
        note_write_error(journal, segment, status);
    return status;
}

/* While Kafka takes nothing a new one would only take room. */
static bool is_too_old(const struct journal *journal, const struct segment *active, mono_ms now)
{
    return journal->first_pending > active->first && journal->has_spare &&
           now.ms - active->opened.ms >= journal->options.roll_age_ms;
}

enum status journal_flush(struct journal *journal, wall_ms now_wall, mono_ms now)
{
    struct segment *active = active_of(journal);
    int failures = 0;
    if (active && is_too_old(journal, active, now))
        (void)roll(journal, now_wall, now);
    while (journal->written_bytes < journal->unsynced_bytes) {
        enum status status = STATUS_OK;
        if (!journal->has_active)
            status = roll(journal, now_wall, now);
        if (status == STATUS_OK)
            status = write_run(journal, active_of(journal));
        if (status != STATUS_OK && (!journal->has_spare || failures++ > 0))
            return status;
    }
    return STATUS_OK;
}

journal_position journal_written(const struct journal *journal)
{
    return journal->written;
}

journal_position journal_durable(const struct journal *journal)
{
    return journal->durable;
}

journal_position journal_confirmed(const struct journal *journal)
{
    return journal->is_recovering ? 0 : journal->first_pending;
}

size_t journal_unsynced_bytes(const struct journal *journal)
{
    return journal->unsynced_bytes;
}

/* --- figures --- */

/* Exact but for what Kafka has not been offered yet when it took all before: then that of its segment. */
static int64_t oldest_written_ms(const struct journal *journal)
{
    journal_position first = journal->first_pending;
    if (first < journal->handed)
        return journal->window[first % JOURNAL_MAX_READ_AHEAD];
    if (first == journal->unread && first < journal->next)
        return journal->unread_written.ms;
    for (size_t i = journal_find_segment(journal, first); i < journal->segment_count; i++)
        if (journal->segments[i].frames > 0)
            return journal->segments[i].first_written.ms;
    return 0;
}

void journal_figures(const struct journal *journal, wall_ms now, struct journal_figures *figures)
{
    int64_t oldest = journal->is_recovering ? 0 : oldest_written_ms(journal);
    uint64_t bytes = journal->segment_total_bytes + journal->quarantine_bytes;
    *figures = journal->figures;
    figures->is_recovering = journal->is_recovering;
    figures->state = journal_has_room(journal, 1);
    figures->segments = (int64_t)journal->segment_count + journal->has_spare;
    figures->pending = (int64_t)(journal_end(journal) - journal->first_pending);
    if (journal->is_recovering)
        figures->pending += journal->figures.recovered;
    figures->bytes = bytes;
    figures->room_bytes = bytes < journal->options.max_bytes ? journal->options.max_bytes - bytes : 0;
    figures->oldest_pending_ms = oldest > 0 && now.ms > oldest ? now.ms - oldest : 0;
}
