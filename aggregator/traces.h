/* SPDX-License-Identifier: Apache-2.0
 * traces: where an address stands in the two tables that cannot be asked for it at once: when its hits were, and
 * which rejects name it.
 *
 * erase -> traces_look, before it locks anything: hits are looked through day by day, rejects one by one (mention.h).
 * -> traces_note and traces_look_again, when all is locked: what has come since. Hits are kept as times from, to;
 * what does not fit in TRACES_MAX_SPANS_BYTES is one span of all times. Owns its texts, borrows connection, address
 * and why. Blocks; commands only. */
#ifndef AGGREGATOR_TRACES_H
#define AGGREGATOR_TRACES_H

#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"

struct pg_conn;
struct pg_result;

enum {
    TRACES_MAX_SPANS_BYTES = 32 * 1024 * 1024, /* half a million sessions */
    TRACES_MAX_NAMED_BYTES = 64 * 1024 * 1024, /* half a million rejects */
};

struct traces {
    struct pg_conn *conn;
    ip_address ip;
    char ip_text[IP_TEXT_MAX + 1];
    struct why *why;
    char began[TIMESTAMP_TEXT_LEN + 1]; /* an hour before the look: no batch takes that long */
    mono_ms told_at;
    struct buf spans; /* the inside of a tsmultirange */
    struct buf named; /* the inside of a JSON array */
};

void traces_init(struct traces *traces, struct pg_conn *conn, ip_address ip, struct why *why);
void traces_fini(struct traces *traces);

/* Without a transaction. Tells its progress on stderr when that takes long. */
enum status traces_look(struct traces *traces) MUST_CHECK;
/* Rows of two columns: hits of the address were from then to then. */
void traces_note(struct traces *traces, const struct pg_result *times);
/* In a transaction: for the rejects that came since traces_look began. CONFLICT: there are too many. */
enum status traces_look_again(struct traces *traces) MUST_CHECK;

/* A text for $n::tsmultirange, and one for $n::json: an array of [topic, partition, offset, rejected_at]. Borrowed
 * until the next call of any function here. */
const char *traces_spans(struct traces *traces);
const char *traces_named(struct traces *traces);

#endif
