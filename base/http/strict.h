/* SPDX-License-Identifier: Apache-2.0
 * strict: what a request must be like, whatever the parser lets through.
 *
 *   HTTP/0.9, other versions, request lines of other protocols           400
 *   CONNECT, the PRI preface, Upgrade                                    400
 *   another method than GET HEAD POST OPTIONS                            405
 *   a target that is not a path; a byte outside 0x21-0x7E or '#' in it   400, over the limit 414
 *   no Host, more than one, one that is not a host and port              400
 *   any Transfer-Encoding                                                411
 *   Content-Encoding; Expect                                             415; 417
 *   Content-Length twice, signed, hexadecimal, a list, above 2^63        400, over the limit 413
 *
 * Each of these ends the connection. What is left is one way to say where a request ends: the empty line,
 * then Content-Length bytes. So a front proxy and we cannot disagree about it. Pure, any thread. */
#ifndef BASE_HTTP_STRICT_H
#define BASE_HTTP_STRICT_H

#include "base/http/http.h"
#include "base/http/refusal.h"

struct request_line {
    enum http_method method;
    slice path;  /* starts with '/' */
    slice query; /* after the first '?' */
    bool is_http10;
};

/* line: without its CRLF. */
struct refusal strict_read_line(slice line, const struct http_limits *limits, struct request_line *out);

/* body_bytes: what Content-Length says, 0 without one. */
struct refusal strict_check_fields(const struct http_field *fields, size_t count,
                                   const struct http_limits *limits, size_t *body_bytes);

#endif
