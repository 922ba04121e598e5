/* SPDX-License-Identifier: Apache-2.0
 * admin: the operators' listener of a program: /healthz, /readyz, /metrics; GET only, meant for loopback.
 *
 * /healthz is 200 while the loop turns. /readyz is 200 "ready" or 503 with one line that says what is
 * missing. /metrics is the Prometheus text that the program writes. Owns its http server. Loop thread only.
 */
#ifndef BASE_HTTP_ADMIN_H
#define BASE_HTTP_ADMIN_H

#include "base/buf.h"
#include "base/http/http.h"

struct admin;

struct admin_options {
    const char *listen; /* empty: no admin listener, admin_start gives NULL with STATUS_OK */
    /* True when ready; else *reason (borrowed until the next call) says what is missing. */
    bool (*is_ready)(void *context, const char **reason);
    void (*write_metrics)(void *context, struct buf *out);
    void *context;
};

enum status admin_start(struct uv_loop_s *loop, const struct admin_options *options, struct admin **admin,
                        struct why *why) MUST_CHECK;
int admin_port(const struct admin *admin);
void admin_stop(struct admin *admin, http_stopped_fn *on_stopped, void *context);
void admin_free(struct admin **admin); /* accepts NULL */

#endif
