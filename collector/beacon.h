/* SPDX-License-Identifier: Apache-2.0
 * beacon: the body of POST /v1/hits as pages: one JSON object, an array of 1 to 64, or one urlencoded form.
 *
 * All or nothing: one bad member and none is read; the reason names its index ("hits[3]: url is no text").
 * The kind comes from the content type: text/plain (what sendBeacon sends with a string) and none at all are
 * read as JSON; parameters such as charset are passed over, the reader insists on UTF-8 anyway. Pages borrow
 * from the body or from *scratch (room for the body's own length is enough). Pure, any thread. */
#ifndef COLLECTOR_BEACON_H
#define COLLECTOR_BEACON_H

#include "collector/page.h"

enum { BEACON_MAX_HITS = 64 };

enum beacon_kind { BEACON_JSON, BEACON_FORM, BEACON_UNKNOWN };

struct beacon {
    bool is_array;
    size_t count;
    struct page pages[BEACON_MAX_HITS];
};

enum beacon_kind beacon_kind(slice content_type);
/* kind: not unknown. *beacon is worth nothing after a failure. */
enum status beacon_read(enum beacon_kind kind, slice body, struct buf *scratch, struct beacon *beacon,
                        struct why *why) MUST_CHECK;
/* Puts "hits[index]: " before the reason. */
void beacon_name_index(struct why *why, size_t index);

#endif
