/* SPDX-License-Identifier: Apache-2.0
 * collector: the program's parts wired together; the flow of a hit stands at the top of collector.c.
 *
 * main makes one on its loop; tests make one on theirs. Owns listeners, publisher, intake, capture, sites and
 * metrics; borrows loop and settings until collector_free. Loop thread only. What can fail: starting (*why);
 * a collector that did not start must be stopped and freed all the same. */
#ifndef COLLECTOR_COLLECTOR_H
#define COLLECTOR_COLLECTOR_H

#include "collector/settings.h"

struct uv_loop_s;
struct collector;

struct collector *collector_new(struct uv_loop_s *loop, const struct collector_settings *values,
                                const struct settings *settings);
enum status collector_start(struct collector *collector, struct why *why) MUST_CHECK;
/* The ports really bound; 0 for a unix socket or none. */
int collector_port(const struct collector *collector);
int collector_admin_port(const struct collector *collector);
/* Another allow-list; the old one stays when this one is no good. */
enum status collector_set_sites(struct collector *collector, slice hosts, struct why *why) MUST_CHECK;
/* Listens no more, answers what is in flight, gives Kafka a deadline to confirm what the journal holds, then
 * calls on_stopped. Once. */
typedef void collector_stopped_fn(void *context);
void collector_stop(struct collector *collector, collector_stopped_fn *on_stopped, void *context);
/* After on_stopped only, when the loop has run out. */
void collector_free(struct collector **collector);

#endif
