/* SPDX-License-Identifier: Apache-2.0
 * control: what a producer says about a stream of hits, as it travels on Kafka: that it has ended (fin), or
 * that some of its numbers will never come (skip).
 *
 * The value of such a record is null, so that readers of hits pass over it; this JSON is in its header
 * CONTROL_HEADER. It stands in the partition of its stream. The publisher encodes, the aggregator decodes and
 * keeps it for the audit (README.md beside this file). The decoder is strict about size, types and numbers
 * and tolerant of unknown names. Slices borrow from the header or from the caller's scratch buffer. No I/O,
 * no allocation, any thread. */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include "proto/hit.h"

#define CONTROL_HEADER "footfall-control"

/* CONTROL_MAX_BYTES holds all that control_encode writes, and is the most that is read: twice the reason (of
 * quotes alone), a stream and two numbers need 700. */
enum { CONTROL_MAX_REASON = 256, CONTROL_MAX_BYTES = 1024 };

enum control_kind {
    CONTROL_FIN, /* `last` was the last number; 0: there was none */
    CONTROL_SKIP /* from … last will never come */
};

struct control {
    enum control_kind kind;
    struct hit_stream stream;
    int64_t from; /* CONTROL_SKIP: 1 <= from <= last; CONTROL_FIN: 0 */
    int64_t last; /* below INT64_MAX */
    slice reason; /* CONTROL_SKIP: for people; may be empty */
};

/* Appends the JSON; the numbers must be as said above (MUST). The reason is cleaned and cut at
 * CONTROL_MAX_REASON. Overflow of the buf is the caller's to check. */
void control_encode(const struct control *control, struct buf *out);

/* Why a header cannot be a control record; the text goes into rejected_hits.reason. */
enum control_fault {
    CONTROL_GOOD,
    CONTROL_TOO_BIG,
    CONTROL_NOT_JSON,
    CONTROL_NO_KIND,
    CONTROL_BAD_STREAM,
    CONTROL_BAD_NUMBER,
    CONTROL_BAD_REASON,
    CONTROL_BAD_PARTITION, /* never of control_decode: the reader knows where the record stood */
};
slice control_fault_text(enum control_fault fault);

/* Decodes a header's value; *control means nothing unless CONTROL_GOOD. The reason may be added to *scratch,
 * in which header.len bytes of room are always enough. */
enum control_fault control_decode(slice header, struct buf *scratch, struct control *control) MUST_CHECK;

#endif
