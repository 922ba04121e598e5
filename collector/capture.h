/* SPDX-License-Identifier: Apache-2.0
 * capture: the handlers of the routes that take hits; one desk for all of them.
 *
 *   POST /v1/hits    beacon_read  -+
 *   GET  /v1/hit.gif page_read_form+-> origin -> client_find -> visit_read -> stamp_hit each -> intake_take
 *   GET  /v1/mirror  mirror_read  ------------------------------^
 * A request is checked whole before the intake sees any of it. Refusals are counted here, answered by
 * replies. Owns the scratch memory that pages and hits of the request being handled borrow from; borrows all
 * the rest. Loop thread only; nothing is allocated after the start. */
#ifndef COLLECTOR_CAPTURE_H
#define COLLECTOR_CAPTURE_H

#include "collector/client.h"
#include "collector/replies.h"

struct http_request;
struct intake;
struct metrics;
struct capture;

struct capture_options {
    struct replies *replies;
    struct client_trust trust;
    struct intake *intake;
    struct metrics *metrics;
};

struct capture *capture_new(const struct capture_options *options);
void capture_free(struct capture **capture); /* accepts NULL */

/* Handlers; context: the capture. */
void capture_beacon(void *context, struct http_request *request);
void capture_pixel(void *context, struct http_request *request);
void capture_preflight(void *context, struct http_request *request);
void capture_mirror(void *context, struct http_request *request);

#endif
