/* SPDX-License-Identifier: Apache-2.0
 * answer: what ip2location.io said of one address, or of many.
 *
 * locator -> answer_read, with what the service sent. Nothing in it is believed: an answer is a place only
 * when it came with 200, is one JSON object of at most ANSWER_MAX_BYTES, speaks of the very address that was
 * asked, and has a country of two capital letters and names of bounded length. An answer to a question about
 * many addresses is an object by address; one that speaks of an address that was not asked, or twice of one,
 * is no answer at all. Pure, any thread. What a kind means for the next request is decided by the locator, not
 * here. */
#ifndef AGGREGATOR_ANSWER_H
#define AGGREGATOR_ANSWER_H

#include "aggregator/place.h"
#include "base/address.h"
#include "base/json.h"

enum {
    ANSWER_MAX_BYTES = 16 * 1024,
    ANSWER_MAX_MANY = JSON_MAX_MEMBERS, /* addresses in one question */
    ANSWER_MAX_MANY_BYTES = ANSWER_MAX_MANY * 4 * 1024,
};

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

struct answer_many {
    enum answer_kind rest; /* what is true of the addresses that it does not speak of */
    struct json_object object;
    const struct json_value *values[ANSWER_MAX_MANY]; /* in the order in which was asked; NULL: none */
};

/* asked: at most ANSWER_MAX_MANY distinct addresses. *many borrows body, and must not be copied. */
void answer_read_many(int http_status, slice body, const ip_address *asked, size_t count,
                      struct answer_many *many);
/* Of the address that was asked as number `which`; parts and scratch as above. */
enum answer_kind answer_of(const struct answer_many *many, size_t which, ip_address asked,
                           struct buf *scratch, struct place_parts *parts);
/* Of two answers in one reply the one that says more of the service: that it does not want us, else that it
 * works, else that it fails. */
enum answer_kind answer_weightier(enum answer_kind a, enum answer_kind b);

#endif
