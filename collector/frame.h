/* SPDX-License-Identifier: Apache-2.0
 * frame: one record of a segment: a hit with its stream number, or a mark; how it lies on disk and how it is
 * known to be whole.
 *
 *    0-7   checksum
 *    8-11  payload length
 *   12-13  key length
 *   14-15  partition
 *   16-19  kind
 *   20-23  zero
 *   24-31  seq
 *   32-39  written (wall ms)
 *   40-…   payload: key, then value
 *     …    zeros up to a multiple of 8
 *
 * All numbers little endian. The checksum is XXH3-64 over everything from byte 8 to the end of the payload,
 * seeded with the segment's secret salt plus the frame's position in the file: bytes that a visitor sent, or
 * that lie on the disk from before, or that stood elsewhere in the file, never pass for a frame. Pure, no
 * allocation, any thread. */
#ifndef COLLECTOR_FRAME_H
#define COLLECTOR_FRAME_H

#include "base/clock.h"
#include "proto/hit.h"
#include "proto/partition.h"

enum {
    FRAME_HEAD_BYTES = 40,
    FRAME_ALIGN = 8,
    FRAME_MAX_KEY = PARTITION_KEY_MAX,
    FRAME_MAX_PAYLOAD = PARTITION_KEY_MAX + HIT_MAX_BYTES,
    FRAME_MAX_BYTES = (FRAME_HEAD_BYTES + FRAME_MAX_PAYLOAD + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN,
};

enum frame_kind {
    FRAME_HIT = 1,
    FRAME_MARK = 2, /* from here on, hits of this boot and of all older ones may have been sent; no payload */
};

struct frame {
    enum frame_kind kind;
    int partition;
    int64_t seq; /* 1 …; 0 for a mark */
    wall_ms written;
    slice key;
    slice value;
};

/* Bytes on disk, padding included. */
size_t frame_bytes(size_t key_len, size_t value_len);
/* Writes frame_bytes() bytes without checksum, which needs a position. */
void frame_write(const struct frame *frame, char *out);
/* Of bytes that frame_write made: how many, and what they say (slices borrow from them). */
size_t frame_written_bytes(const char *written);
void frame_written_read(const char *written, struct frame *frame);
/* Makes it valid for this place; may be called again for another. */
void frame_seal(char *written, uint64_t salt, uint64_t position);
struct frame_place {
    uint64_t salt;
    uint64_t position;
    int partitions; /* of the segment: a partition is below it */
};
/* Reads the frame that begins at bytes.data. MALFORMED: none does. TOO_BIG: its head is plausible but it is
 * longer than the bytes given. *need says how long it is in both cases, 0 when its head is not plausible: so
 * much was put through the checksum. Slices borrow from bytes. */
enum status frame_read(slice bytes, const struct frame_place *place, struct frame *frame,
                       size_t *need) MUST_CHECK;

#endif
