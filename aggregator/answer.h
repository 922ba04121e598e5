/* SPDX-License-Identifier: Apache-2.0
 * answer: what ip2location.io said of one address.
 *
 * locator -> answer_read, with what the service sent. Nothing in it is believed: an answer is a place only
 * when it came with 200, is one JSON object of at most ANSWER_MAX_BYTES, speaks of the very address that was
 * asked, and has a country of two capital letters and names of bounded length. Pure, any thread. What a kind
 * means for the next request is decided by the locator, not here. */
#ifndef AGGREGATOR_ANSWER_H
#define AGGREGATOR_ANSWER_H

#include "aggregator/place.h"
#include "base/address.h"

enum { ANSWER_MAX_BYTES = 16 * 1024 };

#define ANSWER_LIST(X)                                                                                       \
    X(PLACE, "place")                                                                                        \
    X(UNKNOWN, "unknown")             /* the service knows the address, and nothing of its place */          \
    X(BAD_ADDRESS, "bad_address")     /* it takes the address for none */                                    \
    X(REFUSED, "refused")             /* bad key or credit used up: the service has one code for both */     \
    X(MISCONFIGURED, "misconfigured") /* we ask for something that the plan does not have */                 \
    X(BUSY, "busy")                   /* too many requests */                                                \
    X(FAILED, "failed")               /* an error of the service, or a status that it should not send */     \
    X(MALFORMED, "malformed")         /* 200, and not an answer to what was asked */

enum answer_kind {
#define X(id, text) ANSWER_##id,
    ANSWER_LIST(X)
#undef X
        ANSWER_KIND_COUNT
};
const char *answer_kind_text(enum answer_kind kind);

/* parts are set for ANSWER_PLACE only; their texts are borrowed from body and *scratch, which is emptied
 * first and holds ANSWER_MAX_BYTES. */
enum answer_kind answer_read(int http_status, slice body, ip_address asked, struct buf *scratch,
                             struct place_parts *parts);

#endif
