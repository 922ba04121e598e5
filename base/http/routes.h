/* SPDX-License-Identifier: Apache-2.0
 * routes: which handler answers which path and method.
 *
 * Exact paths, compared as they were sent: nothing is decoded or normalised. A GET route answers HEAD too. A
 * path below the server's prefix loses it first; any other is unknown. Owner: the server. Pure, any thread.
 */
#ifndef BASE_HTTP_ROUTES_H
#define BASE_HTTP_ROUTES_H

#include "base/http/http.h"

struct routes;

/* The arguments are borrowed for the life of the routes. */
struct routes *routes_new(slice prefix, const struct http_route *routes, size_t count);
void routes_free(struct routes **routes); /* accepts NULL */

struct route_match {
    http_handler_fn *handler; /* NULL: none */
    unsigned allowed;         /* the methods that the path has; 0: no such path */
};
/* Takes the prefix off request->path and finds who answers it. */
struct route_match routes_find(const struct routes *routes, struct http_request *request);

#endif
