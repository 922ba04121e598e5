/* SPDX-License-Identifier: Apache-2.0
 * reader: see the header. */
#include "collector/reader.h"

#include <stdlib.h>
#include <string.h>

enum { WORD = FRAME_ALIGN };
_Static_assert(READER_WINDOW_BYTES >= 2 * SEGMENT_MAX_HEADER && READER_WINDOW_BYTES >= 2 * FRAME_MAX_BYTES,
               "headers and frames fit into the window");

struct reader {
    struct disk *disk;
    int file; /* -1: none is open */
    bool has_header;
    struct segment_header header;
    uint64_t file_bytes;
    uint64_t end;      /* no further */
    uint64_t position; /* where the next frame should begin, or the search stands */
    uint64_t good;     /* behind the last frame given */
    uint64_t filth;    /* behind the last byte that is not zero, of those the search has seen */
    uint64_t wasted;   /* bytes put through the checksum in vain */
    struct reader_damage damage;
    uint64_t window_at;
    size_t window_len;
    char window[READER_WINDOW_BYTES];
};

struct reader *reader_new(void)
{
    struct reader *reader = must_malloc(sizeof(*reader));
    reader->file = -1;
    return reader;
}

void reader_close(struct reader *reader)
{
    if (reader->file >= 0)
        disk_close(reader->disk, reader->file);
    reader->file = -1;
}

void reader_free(struct reader **reader)
{
    if (!*reader)
        return;
    reader_close(*reader);
    free(*reader);
    *reader = NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The window begins at `at` and holds as much as it can. */
static enum status fill(struct reader *reader, uint64_t at)
{
    struct disk_span span = {reader->window, (size_t)smaller(READER_WINDOW_BYTES, reader->end - at), at};
    reader->window_at = at;
    reader->window_len = 0;
    return disk_read(reader->disk, reader->file, span, &reader->window_len);
}

static enum status read_header(struct reader *reader)
{
    bool is_hurt = false;
    enum status status = fill(reader, 0);
    if (status != STATUS_OK)
        return status;
    slice head = {reader->window, (size_t)smaller(reader->window_len, 2 * SEGMENT_MAX_HEADER)};
    status = segment_header_read(head, &reader->header, &is_hurt);
    reader->has_header = status == STATUS_OK;
    if (reader->has_header && is_hurt)
        reader->damage.spans++;
    if (reader->has_header)
        reader->good = smaller(2 * segment_header_bytes(reader->header.partitions), reader->end);
    reader->position = reader->good;
    return status;
}

enum status reader_open(struct reader *reader, struct disk *disk, uint64_t number)
{
    char name[SEGMENT_NAME_LEN + 1];
    segment_name_write(number, name);
    reader_close(reader);
    reader->disk = disk;
    reader->has_header = false;
    reader->position = reader->good = reader->filth = reader->wasted = 0;
    reader->damage = (struct reader_damage){0};
    enum status status = disk_size(disk, name, &reader->file_bytes);
    if (status != STATUS_OK)
        return status;
    reader->end = reader->file_bytes;
    status = disk_open(disk, name, DISK_READ, &reader->file);
    if (status != STATUS_OK)
        return status;
    return read_header(reader);
}

const struct segment_header *reader_header(const struct reader *reader)
{
    MUST(reader->has_header);
    return &reader->header;
}

void reader_set_end(struct reader *reader, uint64_t end)
{
    MUST(end >= reader->position);
    /* What lies behind the old end was perhaps not written yet when the window saw it. */
    if (reader->window_at + reader->window_len > end)
        reader->window_len = (size_t)(end - reader->window_at);
    reader->end = end;
}

/* What the window has from the position on; refilled when that is less than `len`, as far as the file
 * goes. */
static enum status look(struct reader *reader, size_t len, slice *bytes)
{
    uint64_t window_end = reader->window_at + reader->window_len;
    bool is_inside = reader->position >= reader->window_at && reader->position <= window_end;
    if (!is_inside || window_end < smaller(reader->position + len, reader->end)) {
        enum status status = fill(reader, reader->position);
        if (status != STATUS_OK)
            return status;
        window_end = reader->window_at + reader->window_len;
    }
    size_t skip = (size_t)(reader->position - reader->window_at);
    *bytes = (slice){reader->window + skip, (size_t)(smaller(window_end, reader->end) - reader->position)};
    return STATUS_OK;
}

static enum status read_here(struct reader *reader, slice *bytes, struct frame *frame, size_t *need)
{
    struct frame_place place = {reader->header.salt, reader->position, reader->header.partitions};
    enum status status = look(reader, FRAME_HEAD_BYTES, bytes);
    if (status != STATUS_OK)
        return status;
    *need = 0;
    if (!reader->has_header)
        return STATUS_MALFORMED;
    status = frame_read(*bytes, &place, frame, need);
    if (status != STATUS_TOO_BIG)
        return status;
    if (reader->position + *need > reader->end)
        return STATUS_MALFORMED;
    status = look(reader, *need, bytes);
    return status != STATUS_OK ? status : frame_read(*bytes, &place, frame, need);
}

static void take(struct reader *reader, size_t len)
{
    if (reader->position > reader->good) {
        reader->damage.spans++;
        reader->damage.bytes += reader->position - reader->good;
    }
    reader->damage.torn = 0;
    reader->position += len;
    reader->good = reader->position;
}

/* Over the word where no frame begins, and over the zeros behind it: a frame does not begin with a zero
 * word. */
static size_t pass_over(struct reader *reader, slice bytes)
{
    static const char zeros[WORD];
    size_t len = bytes.len < WORD ? bytes.len : WORD;
    if (memcmp(bytes.data, zeros, len) != 0)
        reader->filth = reader->position + len;
    while (len + WORD <= bytes.len && memcmp(bytes.data + len, zeros, WORD) == 0)
        len += WORD;
    reader->position += len;
    return len;
}

static enum status end_of_frames(struct reader *reader)
{
    reader->damage.torn = reader->filth > reader->good ? reader->filth - reader->good : 0;
    return STATUS_NOT_FOUND;
}

static void give_up(struct reader *reader, bool is_astray)
{
    if (is_astray)
        reader->damage.spans++;
    reader->position = reader->end;
}

enum status reader_next(struct reader *reader, struct frame *frame)
{
    size_t worked = 0, need = 0;
    slice bytes = {NULL, 0};
    MUST(reader->file >= 0);
    while (worked < READER_WINDOW_BYTES) {
        if (reader->position >= reader->end)
            return end_of_frames(reader);
        enum status status = read_here(reader, &bytes, frame, &need);
        if (status == STATUS_OK) {
            take(reader, need);
            return STATUS_OK;
        }
        if (status != STATUS_MALFORMED && status != STATUS_TOO_BIG)
            return status;
        if (bytes.len == 0 || reader->wasted > READER_MAX_WASTE * reader->file_bytes) {
            give_up(reader, bytes.len > 0);
            continue;
        }
        reader->wasted += need;
        worked += need + pass_over(reader, bytes);
    }
    return STATUS_AGAIN;
}

uint64_t reader_position(const struct reader *reader)
{
    return reader->good;
}

uint64_t reader_file_bytes(const struct reader *reader)
{
    return reader->file_bytes;
}

struct reader_damage reader_damage(const struct reader *reader)
{
    return reader->damage;
}
