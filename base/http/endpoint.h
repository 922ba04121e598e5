/* SPDX-License-Identifier: Apache-2.0
 * endpoint: a listening socket, from the text of a setting: host:port, [v6]:port or unix:/path.
 *
 * Called at start by http_server_start; may ask the resolver when the host is a name. Accepted sockets
 * inherit what is set here: no delay, a small send buffer, TCP_USER_TIMEOUT. A socket file that a dead
 * process left is replaced; one that answers is refused. endpoint_close removes our own socket file and
 * nobody else's. What can fail is told in *why with the setting, its value and the mend. No loop, any thread.
 */
#ifndef BASE_HTTP_ENDPOINT_H
#define BASE_HTTP_ENDPOINT_H

#include <sys/un.h>

#include "base/slice.h"

struct endpoint {
    int fd;
    int port; /* the one really bound; 0 for a unix socket */
    bool is_unix;
    struct sockaddr_un address; /* of a unix socket */
};

struct endpoint_options {
    const char *setting; /* "http.listen", for sentences */
    const char *listen;
    bool reuse_port;    /* TCP: several processes share the port */
    unsigned unix_mode; /* 0: 0660 */
};

/* Listens, non-blocking. *endpoint is untouched on failure. */
enum status endpoint_open(const struct endpoint_options *options, struct endpoint *endpoint,
                          struct why *why) MUST_CHECK;
void endpoint_close(struct endpoint *endpoint);

#endif
