/* SPDX-License-Identifier: Apache-2.0
 * segment: one file of the journal: its name, its header (twice), and a reader of its frames that gets past
 * damage.
 *
 * A file is: header, the same header again, frames one behind the other, zeros up to the preallocated size. A
 * header says all that is needed to send its frames again: boot id, topic, number of partitions, and for each
 * partition the last number given before this segment, so that what is missing between segments, or at the
 * end of one, is known to the number. A file of zeros is a spare that was never used.
 *
 * The reader streams through one window of READER_WINDOW_BYTES, whatever the size of the file. Where no good
 * frame begins it searches, 8 bytes by 8, for the next one: found, the span between is damage; not found, the
 * rest is a torn tail. Time is linear in the size of the file: a search that was led astray too often
 * (READER_MAX_WASTE times the window) gives up the rest. Each call does bounded work, about one window. One
 * thread; the window is the only memory. */
#ifndef COLLECTOR_SEGMENT_H
#define COLLECTOR_SEGMENT_H

#include "base/uuid.h"
#include "collector/disk.h"
#include "collector/frame.h"

enum {
    SEGMENT_BLOCK = 4096,
    SEGMENT_NAME_LEN = 16 + 8, /* 16 hex digits, ".segment" */
    SEGMENT_MAX_TOPIC = 249,
    SEGMENT_MAX_HEADER = 9 * SEGMENT_BLOCK, /* with PARTITIONS_MAX numbers */
    READER_WINDOW_BYTES = 1024 * 1024,
    READER_MAX_WASTE = 16,
};

struct segment_header {
    uint64_t number; /* counts up over all starts: the order of segments */
    uint64_t salt;
    uuid boot;
    wall_ms created;
    bool is_marked; /* hits of this boot may have been handed to Kafka before this segment */
    int partitions;
    char topic[SEGMENT_MAX_TOPIC + 1];
    int64_t last[PARTITIONS_MAX]; /* by partition: the last number given before this segment, 0: none */
};

void segment_name_write(uint64_t number, char out[SEGMENT_NAME_LEN + 1]);
/* False: no name of a segment. */
bool segment_name_read(const char *name, uint64_t *number);

/* Of one copy; a multiple of SEGMENT_BLOCK. Frames begin at twice this. */
size_t segment_header_bytes(int partitions);
/* Both copies: out has room for 2 * segment_header_bytes(). */
void segment_header_write(const struct segment_header *header, char *out);
/* Finds either copy in the first bytes of a file (2 * SEGMENT_MAX_HEADER are enough). MISSING: nothing but
 * zeros, or nothing; MALFORMED: neither copy is whole; CONFLICT: written by a newer version. *is_hurt: one of
 * them was not whole. */
enum status segment_header_read(slice bytes, struct segment_header *header, bool *is_hurt) MUST_CHECK;

/* What stands between and behind good frames. */
struct segment_damage {
    int64_t spans;  /* damaged, with good frames after them; and a header of which one copy was bad */
    uint64_t bytes; /* in them */
    uint64_t torn;  /* bytes behind the last good frame up to the last that is not zero; 0: a clean end */
};

struct segment_reader;

struct segment_reader *segment_reader_new(void);
void segment_reader_free(struct segment_reader **reader); /* accepts NULL */
/* Opens the file and reads its header; closes what was open before. What segment_header_read says, or the
 * disk. */
enum status segment_reader_open(struct segment_reader *reader, struct disk *disk, uint64_t number) MUST_CHECK;
void segment_reader_close(struct segment_reader *reader); /* harmless when none is open */
const struct segment_header *segment_reader_header(const struct segment_reader *reader);
/* Reads no further than this; may be raised later, for a segment that is still written. At first: to the end.
 */
void segment_reader_set_end(struct segment_reader *reader, uint64_t end);
/* OK: the next good frame, valid until the next call. AGAIN: call again, there was much to search. NOT_FOUND:
 * no more up to the end. Else the disk. */
enum status segment_reader_next(struct segment_reader *reader, struct frame *frame) MUST_CHECK;
/* Behind the last frame given. */
uint64_t segment_reader_position(const struct segment_reader *reader);
uint64_t segment_reader_file_bytes(const struct segment_reader *reader);
struct segment_damage segment_reader_damage(const struct segment_reader *reader);

#endif
