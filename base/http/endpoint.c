/* SPDX-License-Identifier: Apache-2.0
 * endpoint: see the header. */
#include "base/http/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEND_BUFFER_BYTES = 64 * 1024, /* what a peer that does not read can hold in the kernel */
    USER_TIMEOUT_MS = 5000,        /* sent and not acknowledged: the peer has gone */
    MAX_HOST_BYTES = 255,
    DEFAULT_UNIX_MODE = 0660,
};

/* What is not allowed stays so until a person allows it; all else may be another moment's. */
static enum status fail(const struct endpoint_options *options, int error, const char *mend, struct why *why)
{
    return why_say(why, error == EACCES ? STATUS_DENIED : STATUS_UNAVAILABLE, "%s = %s: %s; %s",
                   options->setting, options->listen, strerror(error), mend);
}

/* --- unix --- */

/* DENIED: not a socket. CONFLICT: somebody listens there. OK: nothing is there, or what a dead process left.
 */
static enum status check_file(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return STATUS_OK; /* bind says what else may be wrong */
    if (!S_ISSOCK(file.st_mode))
        return STATUS_DENIED;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return STATUS_UNAVAILABLE;
    bool is_dead =
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_dead ? STATUS_OK : STATUS_CONFLICT;
}

static enum status make_room(const struct endpoint_options *options, const struct sockaddr_un *address,
                             struct why *why)
{
    enum status status = check_file(address);
    if (status == STATUS_DENIED)
        return why_say(why, status, "%s = %s: there is a file that is not a socket; choose another path",
                       options->setting, options->listen);
    if (status == STATUS_CONFLICT)
        return why_say(why, STATUS_UNAVAILABLE,
                       "%s = %s: another process listens there; stop it or choose another path",
                       options->setting, options->listen);
    if (status)
        return fail(options, errno, "raise the limit of open files", why);
    unlink(address->sun_path);
    return STATUS_OK;
}

/* Nobody gets in before listen, so the mode is set in time. */
static bool bind_file(int fd, const struct sockaddr_un *address, unsigned mode)
{
    return bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
           chmod(address->sun_path, mode ? mode : DEFAULT_UNIX_MODE) == 0 && listen(fd, SOMAXCONN) == 0;
}

static enum status open_unix(const struct endpoint_options *options, const char *path,
                             struct endpoint *endpoint, struct why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
        return why_say(why, STATUS_RANGE, "%s = %s: the path must be absolute and shorter than %zu bytes",
                       options->setting, options->listen, sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    enum status status = make_room(options, &address, why);
    if (status)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !bind_file(fd, &address, options->unix_mode)) {
        status = fail(options, errno, "the folder must exist and be writable for this user", why);
        if (fd >= 0)
            close(fd);
        return status;
    }
    *endpoint = (struct endpoint){.fd = fd, .is_unix = true, .address = address};
    return STATUS_OK;
}

/* --- TCP --- */

/* "[v6]:port" or "host:port", cut into two C strings. */
static enum status split(const char *listen, char host[MAX_HOST_BYTES + 1], const char **port)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || colon[1] == '\0')
        return STATUS_MALFORMED;
    slice name = {listen, (size_t)(colon - listen)};
    bool is_bracketed = slice_starts_with(name, SLICE("[")) && slice_ends_with(name, SLICE("]"));
    if (is_bracketed)
        name = (slice){name.data + 1, name.len - 2};
    if (name.len == 0 || name.len > MAX_HOST_BYTES || (!is_bracketed && slice_find(name, ':') < name.len))
        return STATUS_MALFORMED;
    memcpy(host, name.data, name.len);
    host[name.len] = '\0';
    *port = colon + 1;
    int64_t number;
    return slice_to_int64(slice_of(*port), 0, UINT16_MAX, &number);
}

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool set_options(int fd, int family, bool reuse_port)
{
    return set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
           set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES) &&
           set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

/* A listening socket, or -1 with errno. */
static int listen_at(const struct addrinfo *address, bool reuse_port)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_options(fd, address->ai_family, reuse_port) &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int get_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t len = sizeof(address);
    MUST(getsockname(fd, &address.any, &len) == 0);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static enum status open_tcp(const struct endpoint_options *options, struct endpoint *endpoint,
                            struct why *why)
{
    char host[MAX_HOST_BYTES + 1];
    const char *port;
    if (split(options->listen, host, &port))
        return why_say(why, STATUS_MALFORMED, "%s = %s: write host:port, [v6]:port or unix:/path",
                       options->setting, options->listen);
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &wanted, &found);
    if (error)
        return why_say(why, error == EAI_AGAIN ? STATUS_UNAVAILABLE : STATUS_NOT_FOUND,
                       "%s = %s: %s; write an address of this machine", options->setting, options->listen,
                       gai_strerror(error));
    int fd = listen_at(found, options->reuse_port);
    int listen_error = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return fail(options, listen_error, "choose an address of this machine and a free port", why);
    *endpoint = (struct endpoint){.fd = fd, .port = get_port(fd)};
    return STATUS_OK;
}

/* --- both --- */

enum status endpoint_open(const struct endpoint_options *options, struct endpoint *endpoint, struct why *why)
{
    static const slice unix_prefix = SLICE("unix:");
    if (slice_starts_with(slice_of(options->listen), unix_prefix))
        return open_unix(options, options->listen + unix_prefix.len, endpoint, why);
    return open_tcp(options, endpoint, why);
}

/* A successor may have put its own file there already: only one that nobody answers is removed. */
void endpoint_close(struct endpoint *endpoint)
{
    close(endpoint->fd);
    endpoint->fd = -1;
    if (endpoint->is_unix && check_file(&endpoint->address) == STATUS_OK)
        unlink(endpoint->address.sun_path);
}
