/* SPDX-License-Identifier: Apache-2.0
 * listener: see the header. */
#include "base/http/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http/conn.h"

enum { MAX_ACCEPTS_A_TURN = 64 }; /* then the connections that are open have their turn */

struct listener {
    uv_poll_t poll;
    struct http_server *server;
    struct endpoint endpoint;
    bool is_paused;
    void (*on_closed)(struct http_server *server);
};

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un file;
};

static struct peer read_peer(const union socket_address *address)
{
    struct peer peer = {.is_unix = address->any.sa_family == AF_UNIX};
    if (address->any.sa_family == AF_INET6) {
        memcpy(peer.address.bytes, &address->v6.sin6_addr, sizeof(peer.address.bytes));
    } else if (address->any.sa_family == AF_INET) {
        memset(peer.address.bytes + 10, 0xff, 2); /* v4-mapped */
        memcpy(peer.address.bytes + 12, &address->v4.sin_addr, 4);
    }
    return peer;
}

/* A connection that comes too often gets no words: the end of it is the answer. */
static void take_socket(struct http_server *server, int fd, const union socket_address *address)
{
    struct peer peer = read_peer(address);
    if (server_admits(server, &peer))
        conn_open(server, fd, &peer);
    else
        close(fd);
}

static void pause_accepting(struct listener *listener, int error)
{
    listener->is_paused = true;
    uv_poll_stop(&listener->poll);
    server_start_tick(listener->server);
    listener->server->counters.connections_refused_total++;
    log_error(&listener->server->log, "accept_failed", "%s; connections wait: raise the limit of open files",
              strerror(error));
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Takes one connection. False: no more for now. */
static bool accept_one(struct listener *listener)
{
    union socket_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    int fd = accept4(listener->endpoint.fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        take_socket(listener->server, fd, &address);
    else if (is_shortage(errno))
        pause_accepting(listener, errno);
    else
        return errno != EAGAIN; /* others are about that one connection, which has gone */
    return fd >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct listener *listener = poll->data;
    int count = 0;
    while (status == 0 && !listener->on_closed && count < MAX_ACCEPTS_A_TURN && accept_one(listener))
        count++;
}

static void start_accepting(struct listener *listener)
{
    MUST(uv_poll_start(&listener->poll, UV_READABLE, on_readable) == 0);
}

enum status listener_open_take(struct http_server *server, const struct endpoint *endpoint,
                               struct listener **listener)
{
    struct listener *opened = must_calloc(1, sizeof(*opened));
    if (uv_poll_init(server->loop, &opened->poll, endpoint->fd) != 0) {
        free(opened);
        return STATUS_UNAVAILABLE;
    }
    opened->poll.data = opened;
    opened->server = server;
    opened->endpoint = *endpoint;
    start_accepting(opened);
    *listener = opened;
    return STATUS_OK;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct http_server *server = listener->server;
    void (*on_closed)(struct http_server *) = listener->on_closed;
    free(listener);
    on_closed(server);
}

void listener_close(struct listener *listener, void (*on_closed)(struct http_server *server))
{
    MUST(!listener->on_closed);
    listener->on_closed = on_closed;
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
    endpoint_close(&listener->endpoint);
}

int listener_port(const struct listener *listener)
{
    return listener->endpoint.port;
}

bool listener_is_paused(const struct listener *listener)
{
    return listener->is_paused;
}

void listener_resume(struct listener *listener)
{
    listener->is_paused = false;
    start_accepting(listener);
}
