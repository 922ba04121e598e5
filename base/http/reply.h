/* SPDX-License-Identifier: Apache-2.0
 * reply: the bytes of a reply, and the table of status codes that may be sent.
 *
 * conn -> reply_encode -> a batch of replies that leaves in one write. A body is announced with
 * Content-Length; 204 and 304 have none; HEAD gets the head alone. Which fields a reply carries beyond that
 * is the handler's to say. A status outside the table stops the process: it is a bug. Pure, any thread. */
#ifndef BASE_HTTP_REPLY_H
#define BASE_HTTP_REPLY_H

#include "base/buf.h"
#include "base/http/http.h"

enum { REPLY_MAX_BYTES = 8 * 1024 * 1024 }; /* fields and body; a page of a dashboard is far below */

enum reply_connection {
    REPLY_KEEP,        /* HTTP/1.1: nothing need be said */
    REPLY_KEEP_HTTP10, /* Connection: keep-alive */
    REPLY_CLOSE,       /* Connection: close */
};

/* Appends the reply. */
void reply_encode(struct buf *out, const struct http_reply *reply, bool is_head,
                  enum reply_connection connection);

/* A one-line answer in plain text, and where it lives. A 503 says when to come again, a 405 what is allowed.
 */
enum { REPLY_MAX_REASON_BYTES = 240 }; /* longer ones are cut */
struct reply_text {
    struct http_reply reply; /* points into what follows */
    char body[REPLY_MAX_REASON_BYTES + 1];
    char fields[64];
};
/* allowed: or-ed enum http_method, for a 405. */
void reply_text_init(struct reply_text *text, int status, slice reason, unsigned allowed);

#endif
