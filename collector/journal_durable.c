/* SPDX-License-Identifier: Apache-2.0
 * journal: what makes frames durable and the folder tidy, off the loop's thread. See journal.h.
 *
 * A sync that fails: the file is sealed at its last good sync, later files of ours are emptied (their frames
 * follow those that failed), and all that is not durable counts as unwritten: the next flush writes it, in
 * order, to new segments. What the failed file really holds beyond does no harm: the same numbers, once
 * more. */
#include "collector/journal_inside.h"

#include <stdio.h>
#include <string.h>

enum { QUARANTINE_SHARE = 4 };

/* --- syncing --- */

bool journal_sync_begin(struct journal *journal, struct journal_sync *sync)
{
    if (journal->is_syncing)
        return false;
    *sync = (struct journal_sync){.disk = journal->options.disk};
    size_t first = journal_find_segment(journal, journal->durable);
    for (size_t i = first; i < journal->segment_count && sync->count < JOURNAL_MAX_SYNC_FILES; i++) {
        const struct segment *segment = &journal->segments[i];
        if (!segment->is_own || segment->end == segment->durable)
            continue;
        sync->files[sync->count].file = segment->file;
        sync->files[sync->count].number = segment->number;
        sync->files[sync->count].bytes = segment->end;
        sync->files[sync->count].below = segment->below;
        sync->count++;
    }
    journal->is_syncing = sync->count > 0;
    return journal->is_syncing;
}

void journal_sync_run(struct journal_sync *sync)
{
    for (size_t i = 0; i < sync->count; i++)
        sync->files[i].status = disk_sync(sync->disk, sync->files[i].file);
}

static size_t index_of(const struct journal *journal, uint64_t number)
{
    size_t low = 0, high = journal->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (journal->segments[middle].number >= number)
            high = middle;
        else
            low = middle + 1;
    }
    MUST(low < journal->segment_count && journal->segments[low].number == number);
    return low;
}

static void note_durable(struct journal *journal, struct segment *segment, uint64_t bytes,
                         journal_position below)
{
    size_t len = (size_t)(bytes - segment->durable);
    MUST(len <= journal->written_bytes);
    journal->unsynced_bytes -= len;
    journal->written_bytes -= len;
    memmove(journal->unsynced, journal->unsynced + len, journal->unsynced_bytes);
    segment->durable = bytes;
    journal->durable = below;
}

/* This one and all that were begun later. */
static void seal_from(struct journal *journal, size_t index)
{
    for (size_t i = index; i < journal->segment_count; i++) {
        struct segment *segment = &journal->segments[i];
        segment->end = segment->durable;
        if (segment->first > journal->durable)
            segment->first = journal->durable;
        segment->below = journal->durable;
        segment->frames = (int64_t)(segment->below - segment->first);
    }
    journal->written = journal->durable;
    journal->written_bytes = 0;
    journal_retire_active(journal);
    journal_close_reader(journal);
}

enum status journal_sync_done(struct journal *journal, const struct journal_sync *sync)
{
    MUST(journal->is_syncing);
    journal->is_syncing = false;
    for (size_t i = 0; i < sync->count; i++) {
        size_t index = index_of(journal, sync->files[i].number);
        journal->figures.syncs++;
        if (sync->files[i].status != STATUS_OK) {
            journal->figures.sync_errors++;
            log_error(&journal->log, "sync_failed",
                      "journal.directory: segment %016llx: fdatasync failed: what was not durable goes to "
                      "another segment; look at the disk when it repeats",
                      (unsigned long long)sync->files[i].number);
            seal_from(journal, index);
            return sync->files[i].status;
        }
        note_durable(journal, &journal->segments[index], sync->files[i].bytes, sync->files[i].below);
    }
    return STATUS_OK;
}

/* --- upkeep: what is to be done --- */

static bool is_active(const struct journal *journal, size_t index)
{
    return journal->has_active && index + 1 == journal->segment_count;
}

/* Files of ours that get no more frames and no more sync. */
static void collect_closes(struct journal *journal, struct journal_upkeep *upkeep)
{
    size_t to_see = journal->is_syncing ? 0 : journal->open_count;
    for (size_t i = journal->segment_count; to_see > 0 && upkeep->close_count < JOURNAL_MAX_CLOSES;) {
        struct segment *segment = &journal->segments[--i];
        if (segment->file == NO_FILE)
            continue;
        to_see--;
        if (is_active(journal, i) || segment->end != segment->durable)
            continue;
        upkeep->closes[upkeep->close_count++] = segment->file;
        segment->file = NO_FILE;
        journal->open_count--;
    }
}

bool journal_may_keep(const struct journal *journal, uint64_t bytes)
{
    return journal->quarantine_bytes + bytes <= journal->options.max_bytes / QUARANTINE_SHARE;
}

/* No frame of ours is in it and none will be. */
static bool is_emptied(const struct journal *journal, size_t index)
{
    const struct segment *segment = &journal->segments[index];
    return segment->is_own && segment->first == segment->below && !is_active(journal, index);
}

/* What a sync did not make durable can still be read from its file, should we be killed, until it is written
 * again. That needs room, which the file may have to give. */
static bool is_written_again(const struct journal *journal)
{
    return journal->written_bytes == journal->unsynced_bytes || journal->state == STATUS_FULL;
}

/* The last one of ours tells the next start where our streams end. */
static bool may_go(const struct journal *journal, size_t index)
{
    const struct segment *segment = &journal->segments[index];
    bool is_last_of_ours = segment->is_own && index + 1 == journal->segment_count;
    bool is_done = segment->below <= journal->first_pending && !is_last_of_ours;
    return segment->file == NO_FILE && (is_done || is_emptied(journal, index)) &&
           (!segment->is_own || is_written_again(journal));
}

/* The first one, when all of it is acknowledged: they go in their order, one by one and each made durable, so
 * that what comes back after a power loss is never an older one without those behind it. Emptied ones go
 * before, the newest first: their headers know numbers that were in an earlier one and perhaps will never be
 * written. */
static size_t find_removal(struct journal *journal)
{
    size_t index = journal->segment_count;
    if (!journal->has_emptied)
        return 0;
    while (index > 0 && !is_emptied(journal, index - 1))
        index--;
    journal->has_emptied = index > 0;
    return journal->has_emptied ? index - 1 : 0;
}

static void choose_removal(struct journal *journal, struct journal_upkeep *upkeep)
{
    if (journal->is_recovering || journal->segment_count == 0)
        return;
    size_t index = find_removal(journal);
    if (!may_go(journal, index))
        return;
    const struct segment *segment = &journal->segments[index];
    upkeep->removes = true;
    upkeep->remove_number = segment->number;
    upkeep->quarantines =
        segment->is_newer || (segment->is_damaged && journal_may_keep(journal, segment->bytes));
    upkeep->syncs_refused = journal->has_refused_unsynced; /* the hit may have been in it */
    journal->has_refused_unsynced = false;
}

/* The mark without which nothing is handed out: a journal that is full could not be emptied without it. */
static bool has_no_place_for_mark(const struct journal *journal)
{
    return journal->has_mark && journal->mark >= journal->written && !journal->has_active;
}

/* False: there is no room for a segment. */
static bool choose_spare_bytes(struct journal *journal, struct journal_upkeep *upkeep)
{
    const struct journal_options *options = &journal->options;
    uint64_t bytes = journal->segment_total_bytes + journal->quarantine_bytes;
    bool is_over = bytes + options->segment_bytes > options->max_bytes;
    if (is_over && journal->state != STATUS_FULL) {
        log_error(&journal->log, "journal_full",
                  "journal.max_bytes is reached: no more hits are taken until Kafka has some: bring Kafka "
                  "back, or raise it");
        journal->state = STATUS_FULL;
    }
    upkeep->spare_bytes = options->segment_bytes;
    upkeep->min_free_bytes = options->min_free_bytes;
    if (journal->state == STATUS_FULL && has_no_place_for_mark(journal)) {
        upkeep->spare_bytes = journal_min_segment_bytes(options->partitions);
        upkeep->min_free_bytes = 0;
        is_over = false;
    }
    return !is_over;
}

static void choose_spare(struct journal *journal, struct journal_upkeep *upkeep)
{
    bool is_needed = !journal->is_finished || journal->written_bytes < journal->unsynced_bytes;
    if (journal->has_spare || !is_needed || !choose_spare_bytes(journal, upkeep))
        return;
    upkeep->makes_spare = true;
    upkeep->spare_number = journal->next_number++;
}

bool journal_upkeep_begin(struct journal *journal, mono_ms now, struct journal_upkeep *upkeep)
{
    if (journal->is_in_upkeep)
        return false;
    *upkeep = (struct journal_upkeep){.disk = journal->options.disk, .spare_file = NO_FILE};
    collect_closes(journal, upkeep);
    if (now.ms >= journal->retry_at.ms) {
        choose_removal(journal, upkeep);
        choose_spare(journal, upkeep);
    }
    journal->is_in_upkeep = upkeep->close_count > 0 || upkeep->removes || upkeep->makes_spare;
    return journal->is_in_upkeep;
}

/* --- upkeep: doing it --- */

enum status journal_sync_refused(struct disk *disk)
{
    int file;
    enum status status = disk_open(disk, REFUSED_NAME, DISK_APPEND, &file);
    if (status != STATUS_OK)
        return status;
    status = disk_sync(disk, file);
    disk_close(disk, file);
    return status == STATUS_OK ? disk_sync_folder(disk) : status;
}

static enum status remove_one(const struct journal_upkeep *upkeep)
{
    char name[SEGMENT_NAME_LEN + 1], kept[sizeof(DISK_QUARANTINE) + sizeof(name)];
    segment_name_write(upkeep->remove_number, name);
    snprintf(kept, sizeof(kept), DISK_QUARANTINE "/%s", name);
    enum status status =
        upkeep->quarantines ? disk_rename(upkeep->disk, name, kept) : disk_unlink(upkeep->disk, name);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    return disk_sync_folder(upkeep->disk);
}

static enum status fill_spare(const struct journal_upkeep *upkeep, int file)
{
    enum status status = disk_preallocate(upkeep->disk, file, upkeep->spare_bytes);
    if (status == STATUS_OK)
        status = disk_sync(upkeep->disk, file);
    if (status == STATUS_OK)
        status = disk_sync_folder(upkeep->disk);
    return status;
}

static enum status make_spare(const struct journal_upkeep *upkeep, int *file)
{
    char name[SEGMENT_NAME_LEN + 1];
    uint64_t free_bytes;
    segment_name_write(upkeep->spare_number, name);
    enum status status = disk_free_bytes(upkeep->disk, &free_bytes);
    if (status != STATUS_OK)
        return status;
    if (free_bytes < upkeep->min_free_bytes + upkeep->spare_bytes)
        return STATUS_FULL;
    status = disk_open(upkeep->disk, name, DISK_CREATE, file);
    if (status != STATUS_OK)
        return status;
    status = fill_spare(upkeep, *file);
    if (status == STATUS_OK)
        return STATUS_OK;
    disk_close(upkeep->disk, *file);
    if (disk_unlink(upkeep->disk, name) != STATUS_OK)
        return status; /* recovery removes what is nothing but zeros */
    return status;
}

void journal_upkeep_run(struct journal_upkeep *upkeep)
{
    for (size_t i = 0; i < upkeep->close_count; i++)
        disk_close(upkeep->disk, upkeep->closes[i]);
    if (upkeep->syncs_refused)
        upkeep->refused_status = journal_sync_refused(upkeep->disk);
    if (upkeep->removes)
        upkeep->remove_status = remove_one(upkeep);
    if (upkeep->makes_spare)
        upkeep->spare_status = make_spare(upkeep, &upkeep->spare_file);
    if (upkeep->spare_status == STATUS_AGAIN) /* in a second */
        upkeep->spare_status = STATUS_UNAVAILABLE;
}

/* --- upkeep: what came of it --- */

static void note_removed(struct journal *journal, const struct journal_upkeep *upkeep)
{
    size_t index = index_of(journal, upkeep->remove_number);
    const struct segment *segment = &journal->segments[index];
    if (segment->is_damaged)
        log_warning(
            &journal->log, "segment_quarantined",
            "journal.directory: segment %016llx was damaged: its whole frames were sent, the file is %s",
            (unsigned long long)segment->number,
            upkeep->quarantines ? "kept in " DISK_QUARANTINE
                                : "removed: there is no more room in " DISK_QUARANTINE);
    if (upkeep->quarantines) {
        journal->quarantine_bytes += segment->bytes;
        journal->figures.quarantined++;
    }
    journal_remove_segment(journal, index);
}

static void say_stays(const struct journal *journal, const struct journal_upkeep *upkeep)
{
    log_warning(
        &journal->log, "segment_stays",
        "journal.directory: segment %016llx cannot be %s: %s: it is tried again, and takes room till then",
        (unsigned long long)upkeep->remove_number,
        upkeep->quarantines ? "moved to " DISK_QUARANTINE : "removed", status_text(upkeep->remove_status));
}

static void say_no_spare(struct journal *journal, enum status status)
{
    if (status == STATUS_FULL)
        log_error(&journal->log, "journal_full",
                  "journal.directory: the disk has no space for another segment beside "
                  "journal.min_free_bytes: no more hits are taken until some is free");
    else
        log_error(&journal->log, "no_segment",
                  "journal.directory: no segment can be made: %s: no more hits are taken until one can",
                  status_text(status));
}

static void note_spare(struct journal *journal, const struct journal_upkeep *upkeep)
{
    if (upkeep->spare_status != journal->state && upkeep->spare_status != STATUS_OK)
        say_no_spare(journal, upkeep->spare_status);
    bool is_for_mark = upkeep->spare_bytes < journal->options.segment_bytes;
    if (!is_for_mark || upkeep->spare_status != STATUS_OK)
        journal->state = upkeep->spare_status;
    if (upkeep->spare_status != STATUS_OK)
        return;
    uint64_t header_bytes = 2 * segment_header_bytes(journal->own.partitions);
    journal->spare = (struct segment){
        .number = upkeep->spare_number,
        .bytes = upkeep->spare_bytes,
        .end = header_bytes,
        .durable = header_bytes,
        .is_own = true,
        .file = upkeep->spare_file,
        .boot = &journal->own,
    };
    journal->has_spare = true;
    journal->segment_total_bytes += upkeep->spare_bytes;
}

void journal_upkeep_done(struct journal *journal, const struct journal_upkeep *upkeep, mono_ms now)
{
    bool is_good = true;
    MUST(journal->is_in_upkeep);
    journal->is_in_upkeep = false;
    if (upkeep->syncs_refused && upkeep->refused_status != STATUS_OK)
        log_error(&journal->log, "refused_unsafe",
                  "journal.directory: %s may not be durable: %s: look at the disk", REFUSED_NAME,
                  status_text(upkeep->refused_status));
    if (upkeep->removes && upkeep->remove_status == STATUS_OK) {
        note_removed(journal, upkeep);
    } else if (upkeep->removes) {
        say_stays(journal, upkeep);
        is_good = false;
    }
    if (upkeep->makes_spare) {
        note_spare(journal, upkeep);
        is_good = is_good && upkeep->spare_status == STATUS_OK;
    }
    if (!is_good)
        journal->retry_at = (mono_ms){now.ms + JOURNAL_RETRY_MS};
}
