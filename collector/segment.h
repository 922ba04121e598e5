/* SPDX-License-Identifier: Apache-2.0
 * segment: one file of the journal: its name, and its header, which stands there twice.
 *
 * A file is: header, the same header again, frames one behind the other, zeros up to the preallocated size. A
 * header says all that is needed to send its frames again: boot id, topic, number of partitions, and for each
 * partition the last number given before this segment, so that what is missing between segments, or at the
 * end of one, is known to the number. A file of zeros is a spare that was never used.
 * Its magic is no UTF-8, so that no hit can hold a header. Pure, no allocation, any thread. */
#ifndef COLLECTOR_SEGMENT_H
#define COLLECTOR_SEGMENT_H

#include "base/clock.h"
#include "base/uuid.h"
#include "proto/partition.h"

enum {
    SEGMENT_BLOCK = 4096,
    SEGMENT_NAME_LEN = 16 + 8, /* 16 hex digits, ".segment" */
    SEGMENT_MAX_TOPIC = 249,
    SEGMENT_MAX_HEADER = 9 * SEGMENT_BLOCK, /* with PARTITIONS_MAX numbers */
};

struct segment_header {
    uint64_t number; /* counts up over all starts: the order of segments */
    uint64_t salt;
    uuid boot;
    wall_ms created;
    bool
        is_marked; /* hits may have been handed to Kafka before this segment: of this boot and of all older */
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

#endif
