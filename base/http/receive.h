/* SPDX-License-Identifier: Apache-2.0
 * receive: bytes to a request: scan, parser and strict in one step that is asked again whenever more bytes
 * came.
 *
 * conn -> receive_request -> MORE (read on) | REQUEST (exchange->request is whole and checked) | REFUSED.
 * The outcome depends on the bytes only, never on how reads cut them. Pure, no allocation. */
#ifndef BASE_HTTP_RECEIVE_H
#define BASE_HTTP_RECEIVE_H

#include "base/http/exchange.h"
#include "base/http/refusal.h"

enum receive_result { RECEIVE_MORE, RECEIVE_REQUEST, RECEIVE_REFUSED };

/* Looks at the bytes from exchange->begin. Fills all of exchange->request but the peer. now: the arrival,
 * when this is the call in which the head is complete. */
enum receive_result receive_request(struct exchange *exchange, const struct http_limits *limits, wall_ms now,
                                    struct refusal *refusal);

#endif
