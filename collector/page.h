/* SPDX-License-Identifier: Apache-2.0
 * page: what a page says of one of its views: url, referrer, title, language, screen, id, age.
 *
 * One table of these fields serves the JSON object, the form body and the pixel's query. Names that are not
 * in it are passed over; a JSON null is a field that is not there. A field of the wrong kind, a name that
 * stands twice, a url or referrer or id over its limit is refused with one line that names it; a long title,
 * language or screen is cut later (proto/hit.h says where). Whether the url is there and good is asked when
 * the hit is made (stamp). Slices borrow from the text or from *scratch
 * (room for the text's own length is enough). Pure, any thread. */
#ifndef COLLECTOR_PAGE_H
#define COLLECTOR_PAGE_H

#include "base/json.h"

enum { PAGE_MAX_ID = 128 };

struct page {
    slice url;
    slice referrer;
    slice title;
    slice language;
    slice screen;
    slice id;
    int64_t age_ms; /* 0 … PAGE_MAX_AGE_MS: out of range is clamped, not refused */
};
#define PAGE_MAX_AGE_MS (INT64_C(24) * 60 * 60 * 1000)

/* One JSON value that json_read has checked. *page is untouched on failure. */
enum status page_read_json(const struct json_value *value, struct buf *scratch, struct page *page,
                           struct why *why) MUST_CHECK;
/* name=value&…, percent-encoded. */
enum status page_read_form(slice form, struct buf *scratch, struct page *page, struct why *why) MUST_CHECK;

#endif
