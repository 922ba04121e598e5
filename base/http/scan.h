/* SPDX-License-Identifier: Apache-2.0
 * scan: finds the end of a header block and refuses what no parser shall see.
 *
 * conn reads -> scan_advance, again with each piece -> parser, once, with the whole block. What two programs
 * could read differently ends here: bare CR, bare LF, folded lines, lines without a name, control characters,
 * an empty line before the request. The limits of the block, the URL and one field are kept here too, so a
 * block that is too long is refused before it is all there. The result depends on the bytes only, never on
 * how they were cut into reads. Pure, any thread, no allocation. */
#ifndef BASE_HTTP_SCAN_H
#define BASE_HTTP_SCAN_H

#include "base/http/http.h"
#include "base/http/refusal.h"

struct scan {           /* all zero: at the start of a block */
    size_t checked;     /* bytes that are known to be good */
    size_t line_start;  /* of the line being read */
    size_t line_count;  /* complete lines */
    size_t line_length; /* of the first line, once it is complete */
};

enum scan_result { SCAN_MORE, SCAN_COMPLETE, SCAN_REFUSED };

/* bytes: all that is here since the start of the block; the same and more at each call. COMPLETE:
 * scan->checked is the length of the block, final empty line included. */
enum scan_result scan_advance(struct scan *scan, slice bytes, const struct http_limits *limits,
                              struct refusal *refusal);

#endif
