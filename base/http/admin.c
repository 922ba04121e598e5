/* SPDX-License-Identifier: Apache-2.0
 * admin: see the header. */
#include "base/http/admin.h"

#include <stdlib.h>

enum {
    METRICS_START_BYTES = 16 * 1024,
    METRICS_MAX_BYTES = 1024 * 1024,
    MAX_ADMIN_CONNECTIONS = 64,
};

struct admin {
    struct http_server *server; /* NULL: free it */
    struct admin_options options;
    struct buf metrics;
};

static void give_health(void *context, struct http_request *request)
{
    (void)context;
    http_reply_text(request, 200, SLICE("alive"));
}

static void give_readiness(void *context, struct http_request *request)
{
    struct admin *admin = context;
    const char *reason = "";
    if (admin->options.is_ready(admin->options.context, &reason))
        http_reply_text(request, 200, SLICE("ready"));
    else
        http_reply_text(request, 503, slice_of(reason));
}

static void give_metrics(void *context, struct http_request *request)
{
    struct admin *admin = context;
    buf_clear(&admin->metrics);
    admin->options.write_metrics(admin->options.context, &admin->metrics);
    MUST(!admin->metrics.overflowed);
    http_reply(request, &(struct http_reply){
                            .status = 200,
                            .content_type = SLICE("text/plain; version=0.0.4; charset=utf-8"),
                            .body = buf_slice(&admin->metrics),
                        });
}

static const struct http_route routes[] = {
    {HTTP_GET, "/healthz", give_health},
    {HTTP_GET, "/readyz", give_readiness},
    {HTTP_GET, "/metrics", give_metrics},
};

enum status admin_start(struct uv_loop_s *loop, const struct admin_options *options, struct admin **admin,
                        struct why *why)
{
    *admin = NULL;
    if (options->listen[0] == '\0')
        return STATUS_OK;
    struct admin *started = must_calloc(1, sizeof(*started));
    started->options = *options;
    buf_init_growing(&started->metrics, METRICS_START_BYTES, METRICS_MAX_BYTES);
    struct http_server_options server = {
        .listen = options->listen,
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .context = started,
        .limits = http_limits_default(),
    };
    server.limits.max_connections = MAX_ADMIN_CONNECTIONS;
    started->server = http_server_start(loop, &server, "admin.listen", why);
    if (!started->server) {
        admin_free(&started);
        return STATUS_UNAVAILABLE;
    }
    *admin = started;
    return STATUS_OK;
}

int admin_port(const struct admin *admin)
{
    return http_server_port(admin->server);
}

void admin_stop(struct admin *admin, http_stopped_fn *on_stopped, void *context)
{
    enum { DRAIN_MS = 1000 }; /* its answers are never deferred */
    http_server_stop(admin->server, DRAIN_MS, on_stopped, context);
}

void admin_free(struct admin **admin)
{
    if (!*admin)
        return;
    http_server_free(&(*admin)->server);
    buf_fini(&(*admin)->metrics);
    free(*admin);
    *admin = NULL;
}
