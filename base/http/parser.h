/* SPDX-License-Identifier: Apache-2.0
 * parser: llhttp, narrowed to one call: a whole header block in, its fields out.
 *
 * Called once a request, after scan: the block is complete and in one piece, so each name and value is one
 * slice of it and llhttp keeps no state between calls. Bodies never pass through it: framing is
 * Content-Length, decided by strict. The only file that includes llhttp.h. Pure, any thread, no allocation.
 */
#ifndef BASE_HTTP_PARSER_H
#define BASE_HTTP_PARSER_H

#include "base/http/fields.h"

struct parsed_fields {
    struct http_field *fields; /* the caller's room for HTTP_MAX_FIELDS */
    size_t count;
    bool keep_alive; /* by version and Connection */
};

/* MALFORMED: llhttp refuses the block; *parsed holds what came before. TOO_BIG: more than HTTP_MAX_FIELDS. */
enum status parser_read(slice head, struct parsed_fields *parsed) MUST_CHECK;

#endif
