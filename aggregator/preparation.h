/* SPDX-License-Identifier: Apache-2.0
 * preparation: what must be so before the aggregator can run: migrations applied, the group's name known.
 *
 * The questions block, so they are asked on libuv's thread pool, again and again with a back-off until
 * Postgres answers, while the admin listener says what is missing. Migrations are applied when the role may;
 * when it may not and some are pending, somebody else is waited for. Foreign tables, a schema newer than the
 * program and a server that is too old are not waited for: on_refused. Loop thread. */
#ifndef AGGREGATOR_PREPARATION_H
#define AGGREGATOR_PREPARATION_H

#include "base/status.h"

struct uv_loop_s;
struct preparation;

enum { PREPARATION_GROUP_MAX = 256 };

struct preparation_options {
    const char *conninfo;
    const char *owner_conninfo; /* empty: conninfo */
    const char *group;          /* empty: the one in the database */
};

struct preparation_events {
    void (*on_ready)(void *context, const char *group);
    void (*on_refused)(void *context, const char *reason);
};

struct preparation *preparation_start(struct uv_loop_s *loop, const struct preparation_options *options,
                                      const struct preparation_events *events, void *context);
/* What is waited for, one line; borrowed until the loop turns. */
const char *preparation_missing(const struct preparation *preparation);
/* No event comes after this. A question under way ends by itself, within CONNECTION_TIMEOUT_S, and keeps the
 * loop until then. */
void preparation_stop(struct preparation **preparation); /* accepts NULL, leaves NULL */

#endif
