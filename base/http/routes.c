/* SPDX-License-Identifier: Apache-2.0
 * routes: see the header. */
#include "base/http/routes.h"

#include <stdlib.h>

struct row {
    slice path;
    unsigned methods;
    http_handler_fn *handler;
};

struct routes {
    slice prefix;
    size_t count;
    struct row rows[];
};

struct routes *routes_new(slice prefix, const struct http_route *routes, size_t count)
{
    struct routes *made = must_calloc(1, sizeof(*made) + count * sizeof(made->rows[0]));
    made->prefix = prefix;
    made->count = count;
    for (size_t i = 0; i < count; i++) {
        unsigned methods = routes[i].methods;
        MUST(methods != 0 && routes[i].handler && routes[i].path[0] == '/');
        made->rows[i] = (struct row){
            .path = slice_of(routes[i].path),
            .methods = methods & HTTP_GET ? methods | HTTP_HEAD : methods,
            .handler = routes[i].handler,
        };
    }
    return made;
}

void routes_free(struct routes **routes)
{
    free(*routes);
    *routes = NULL;
}

/* "/ff/v1/hits" without "/ff"; "/ffx" is not below "/ff". */
static bool take_prefix(slice prefix, slice *path)
{
    if (prefix.len == 0)
        return true;
    if (!slice_starts_with(*path, prefix) || path->len == prefix.len || path->data[prefix.len] != '/')
        return false;
    *path = slice_from(*path, prefix.len);
    return true;
}

struct route_match routes_find(const struct routes *routes, struct http_request *request)
{
    struct route_match match = {0};
    if (!take_prefix(routes->prefix, &request->path))
        return match;
    for (const struct row *row = routes->rows; row < routes->rows + routes->count; row++) {
        if (!slice_equals(row->path, request->path))
            continue;
        match.allowed |= row->methods;
        if (row->methods & request->method)
            match.handler = row->handler;
    }
    return match;
}
