/* SPDX-License-Identifier: Apache-2.0
 * pages: changes of open sessions as rows of footfall.open_session_pages, many in a row.
 *
 * merge begins with a partition and its version, adds each change and ends. A page is a JSON array that holds
 * an array for each change: ip, host, start and last hit in ms since 1970, events, bot events, entry url,
 * referrer, country, state, city, exit url; an empty text is null. View footfall.open_session_changes shows
 * them one by one. Why pages: a row for each change costs Postgres four times as much, most of it for the
 * index. A page ends with the change that takes it over PAGES_FULL_BYTES. Pure, any thread. */
#ifndef AGGREGATOR_PAGES_H
#define AGGREGATOR_PAGES_H

#include "aggregator/session.h"
#include "base/buf.h"

enum { PAGES_FULL_BYTES = 32 * 1024 };

struct pages {
    struct buf *out; /* borrowed; an overflow is its owner's to see */
    slice topic;     /* borrowed */
    int partition;
    int64_t version;
    int32_t ordinal; /* of the next change within the version */
    size_t text_at;  /* where the open page's text begins in out; 0: no page is open */
};

/* COPY BINARY tuples are appended to out. */
void pages_begin(struct pages *pages, struct buf *out, slice topic, int partition, int64_t version);
void pages_add(struct pages *pages, const struct session *change);
void pages_end(struct pages *pages);

#endif
