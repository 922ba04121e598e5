/* SPDX-License-Identifier: Apache-2.0
 * reader: reads the frames of one segment, one by one, and gets past damage.
 *
 * It streams through one window of READER_WINDOW_BYTES, whatever the size of the file. Where no good frame
 * begins it searches, 8 bytes by 8, for the next one: found, the span between is damage; not found, the rest
 * is a torn tail. Time is linear in the size of the file: a search that put READER_MAX_WASTE times the file
 * through the checksum in vain gives up the rest. Each call does bounded work, about one window. A segment
 * whose header is not whole has no frames; it can be read all the same, to learn whether it is nothing but
 * zeros. One thread; allocates when it is made. */
#ifndef COLLECTOR_READER_H
#define COLLECTOR_READER_H

#include "collector/disk.h"
#include "collector/frame.h"
#include "collector/segment.h"

enum { READER_WINDOW_BYTES = 1024 * 1024, READER_MAX_WASTE = 4 };

/* What stands between and behind good frames. */
struct reader_damage {
    int64_t spans;  /* damaged, with good frames after them; a header not whole in both copies counts too */
    uint64_t bytes; /* in them */
    uint64_t torn;  /* bytes behind the last good frame up to the last that is not zero; 0: a clean end */
};

struct reader;

struct reader *reader_new(void);
void reader_free(struct reader **reader); /* accepts NULL */
/* Opens the file and reads its header; closes what was open before. What segment_header_read says, or the
 * disk. */
enum status reader_open(struct reader *reader, struct disk *disk, uint64_t number) MUST_CHECK;
void reader_close(struct reader *reader); /* harmless when none is open */
const struct segment_header *reader_header(const struct reader *reader);
/* Reads no further than this; may be raised later, for a segment that is still written. At first: to the
 * end. */
void reader_set_end(struct reader *reader, uint64_t end);
/* OK: the next good frame, valid until the next call. AGAIN: call again, there was much to search. NOT_FOUND:
 * no more up to the end. Else the disk. */
enum status reader_next(struct reader *reader, struct frame *frame) MUST_CHECK;
/* Behind the last frame given. */
uint64_t reader_position(const struct reader *reader);
uint64_t reader_file_bytes(const struct reader *reader);
struct reader_damage reader_damage(const struct reader *reader);

#endif
