/* SPDX-License-Identifier: Apache-2.0
 * listener: accepts connections from an endpoint and gives each, as a descriptor with its peer, to its owner.
 *
 * Accepts with accept4 on a poll handle rather than through uv_listen: the peer's address comes with it, a
 * refused connection never becomes a handle, and running out of descriptors is ours to handle: accepting
 * stops and listener_resume, called by the owner's tick, tries again, so the loop does not spin on what waits
 * in the backlog. Owns the endpoint. Loop thread only. */
#ifndef BASE_HTTP_LISTENER_H
#define BASE_HTTP_LISTENER_H

#include "base/http/endpoint.h"
#include "base/http/server.h"

struct listener;

/* Borrows the server; takes the endpoint. UNAVAILABLE: the loop cannot watch it. */
enum status listener_open_take(struct http_server *server, const struct endpoint *endpoint,
                               struct listener **listener) MUST_CHECK;
/* Stops at once; on_closed is called when it has left the loop and is freed. */
void listener_close(struct listener *listener, void (*on_closed)(struct http_server *server));
int listener_port(const struct listener *listener);
/* True: it had run out of descriptors, and listener_resume is to be called soon. */
bool listener_is_paused(const struct listener *listener);
void listener_resume(struct listener *listener);

#endif
