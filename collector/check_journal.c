/* SPDX-License-Identifier: Apache-2.0
 * check_journal: see the header. */
#include "collector/check_journal.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "collector/reader.h"

enum { MAX_SEGMENTS = 1024 * 1024 };

struct check {
    struct disk *disk;
    FILE *out;
    uint64_t *numbers;
    size_t count;
    int64_t frames;
    uint64_t bytes;
    int64_t damaged, torn, unused;
    int64_t quarantined;
    uint64_t quarantined_bytes;
};

/* Of one segment. */
struct tally {
    int64_t hits, marks;
    wall_ms first, last;
};

static void on_name(void *context, const char *name)
{
    struct check *check = context;
    uint64_t number;
    if (!segment_name_read(name, &number) || check->count == MAX_SEGMENTS)
        return;
    check->numbers = must_realloc(check->numbers, (check->count + 1) * sizeof(*check->numbers));
    check->numbers[check->count++] = number;
}

static void on_quarantine_name(void *context, const char *name)
{
    struct check *check = context;
    char path[DISK_MAX_NAME + 1];
    uint64_t bytes;
    if (name[0] == '.' || snprintf(path, sizeof(path), DISK_QUARANTINE "/%s", name) >= (int)sizeof(path) ||
        disk_size(check->disk, path, &bytes) != STATUS_OK)
        return;
    check->quarantined++;
    check->quarantined_bytes += bytes;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum status count_frames(struct reader *reader, struct tally *tally)
{
    struct frame frame;
    enum status status = STATUS_OK;
    while (status == STATUS_OK || status == STATUS_AGAIN) {
        status = reader_next(reader, &frame);
        if (status != STATUS_OK)
            continue;
        if (tally->hits + tally->marks == 0)
            tally->first = frame.written;
        tally->last = frame.written;
        if (frame.kind == FRAME_HIT)
            tally->hits++;
        else
            tally->marks++;
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void print_header(const struct check *check, const struct segment_header *header,
                         const struct tally *tally)
{
    char boot[UUID_HEX_LEN], first[TIMESTAMP_TEXT_LEN], last[TIMESTAMP_TEXT_LEN];
    uuid_write_hex(header->boot, boot);
    fprintf(check->out, " boot %.*s topic %s partitions %d: %lld hits", (int)sizeof(boot), boot,
            header->topic, header->partitions, (long long)tally->hits);
    if (tally->hits == 0)
        return;
    timestamp_write(tally->first, first);
    timestamp_write(tally->last, last);
    fprintf(check->out, " from %.*s to %.*s", (int)sizeof(first), first, (int)sizeof(last), last);
}

static void print_state(struct check *check, const struct reader *reader, enum status opened)
{
    struct reader_damage damage = reader_damage(reader);
    if (opened == STATUS_MISSING && damage.torn == 0) {
        check->unused++;
        fprintf(check->out, ": not used yet\n");
    } else if (opened != STATUS_OK) {
        check->damaged++;
        fprintf(check->out, ": %s\n",
                opened == STATUS_CONFLICT ? "written by a newer version"
                                          : "its header is not whole: nothing can be read");
    } else if (damage.spans > 0) {
        check->damaged++;
        fprintf(check->out, ", DAMAGED in %lld places, %llu bytes\n", (long long)damage.spans,
                (unsigned long long)(damage.bytes + damage.torn));
    } else if (damage.torn > 0) {
        check->torn++;
        fprintf(check->out, ", a torn tail of %llu bytes\n", (unsigned long long)damage.torn);
    } else {
        fprintf(check->out, ", whole\n");
    }
}

static void check_segment(struct check *check, struct reader *reader, uint64_t number)
{
    char name[SEGMENT_NAME_LEN + 1];
    struct tally tally = {0};
    segment_name_write(number, name);
    enum status opened = reader_open(reader, check->disk, number);
    if (opened == STATUS_NOT_FOUND)
        return; /* a running collector has removed it meanwhile */
    fprintf(check->out, "%s", name);
    bool is_open = opened == STATUS_OK || opened == STATUS_MISSING || opened == STATUS_MALFORMED ||
                   opened == STATUS_CONFLICT;
    enum status status = is_open ? count_frames(reader, &tally) : opened;
    if (status != STATUS_OK) {
        check->damaged++;
        fprintf(check->out, ": cannot be read: %s\n", status_text(status));
        return;
    }
    if (opened == STATUS_OK)
        print_header(check, reader_header(reader), &tally);
    print_state(check, reader, opened);
    check->frames += tally.hits;
    check->bytes += reader_file_bytes(reader);
}

static void print_sums(const struct check *check)
{
    fprintf(check->out, "%zu segments (%lld not used yet), %llu bytes: %lld hits pending at most\n",
            check->count, (long long)check->unused, (unsigned long long)check->bytes,
            (long long)check->frames);
    fprintf(check->out, "%lld damaged, %lld with a torn tail; quarantine: %lld files, %llu bytes\n",
            (long long)check->damaged, (long long)check->torn, (long long)check->quarantined,
            (unsigned long long)check->quarantined_bytes);
}

int check_journal_disk(struct disk *disk, FILE *out)
{
    struct check check = {.disk = disk, .out = out};
    if (disk_list(disk, "", on_name, &check) != STATUS_OK)
        return EX_NOINPUT;
    (void)!disk_list(disk, DISK_QUARANTINE, on_quarantine_name, &check); /* there may be none */
    if (disk_lock(disk) == STATUS_CONFLICT)
        fprintf(out, "A collector uses this journal now: it is changing.\n");
    if (check.count > 0)
        qsort(check.numbers, check.count, sizeof(*check.numbers), compare);
    struct reader *reader = reader_new();
    for (size_t i = 0; i < check.count; i++)
        check_segment(&check, reader, check.numbers[i]);
    reader_free(&reader);
    print_sums(&check);
    free(check.numbers);
    return check.damaged > 0 ? EX_DATAERR : EX_OK;
}

int check_journal(const char *folder, FILE *out)
{
    struct why why;
    struct disk *disk = disk_posix_look(folder, &why);
    if (!disk) {
        fprintf(stderr, "footfall-collector: %s\n", why.text);
        return EX_NOINPUT;
    }
    int exit_code = check_journal_disk(disk, out);
    disk_free(&disk);
    return exit_code;
}
