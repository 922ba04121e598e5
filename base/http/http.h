/* SPDX-License-Identifier: Apache-2.0
 * http: the HTTP/1 server that all programs use, on libuv and llhttp.
 *
 * socket -> conn (buffers, deadlines) -> request head and body, checked -> route -> handler -> http_reply ->
 * one write. A handler gets a whole, bounded request and answers exactly once, at once or later (http_reply);
 * while a request is unanswered its connection reads no further. Replies to pipelined requests that are
 * answered at once leave in one write. The server owns connections and their memory; request slices are valid
 * until the reply. A peer that goes away meanwhile is no concern of the handler: its reply is dropped.
 * Strictness is ours, not the parser's (table in http/strict.h): after any error one reply, then close.
 * Loop thread only. What can fail: listening (struct why); everything later is answered to the peer and
 * counted. Not here: TLS (front proxy), chunked requests (411), compression, files. */
#ifndef BASE_HTTP_HTTP_H
#define BASE_HTTP_HTTP_H

#include "base/address.h"
#include "base/clock.h"
#include "base/http/fields.h"
#include "base/slice.h"

struct uv_loop_s;
struct http_server;

enum http_method { HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4, HTTP_OPTIONS = 8 };

enum { HTTP_MAX_BODY_BYTES = 64 * 1024 }; /* what max_body_bytes may be at most; browsers stop there too */

struct http_request {
    enum http_method method;
    slice path;  /* without the server's prefix, without the query; starts with '/' */
    slice query; /* after '?', still percent-encoded; may be empty */
    slice body;
    ip_address peer;   /* meaningless when peer_is_unix */
    bool peer_is_unix; /* came through a unix socket */
    wall_ms arrival;   /* when its head was complete */
    size_t field_count;
    struct http_field fields[HTTP_MAX_FIELDS];
    uint64_t handler_data[2]; /* free for the handler, zero at first */
};

/* The value of a field (ASCII case-insensitive), the empty slice when absent. When it stands more than once:
 * the first. */
slice http_field(const struct http_request *request, slice name);
/* All values of a field joined with ", " (for X-Forwarded-For) into out; TOO_BIG when they do not fit. */
struct buf;
enum status http_field_joined(const struct http_request *request, slice name, struct buf *out) MUST_CHECK;

struct http_reply {
    int status;         /* 200, 204, 400 … */
    slice content_type; /* empty: no body */
    slice body;         /* copied before http_reply returns */
    slice fields;       /* further complete header lines, each ending in CRLF; may be empty */
    bool close;         /* close the connection afterwards */
};

/* Answers a request; exactly once for each. The request and its slices are gone when this returns. */
void http_reply(struct http_request *request, const struct http_reply *reply);
/* A plain-text one-line reply: the reason for a 4xx or 5xx. Adds Retry-After: 1 to a 503. Keeps the
 * connection for 4xx of a well-formed request. */
void http_reply_text(struct http_request *request, int status, slice reason);

typedef void http_handler_fn(void *context, struct http_request *request);

struct http_route {
    unsigned methods; /* enum http_method, or-ed; HEAD is answered by a GET handler (no body sent) */
    const char *path; /* exact */
    http_handler_fn *handler;
};

struct http_limits { /* defaults and reasons: reference table in docs; all are settings of the program */
    int64_t max_connections;
    int64_t max_connections_per_address; /* IPv6: per /64; unix sockets and trusted peers are exempt */
    int64_t max_head_bytes;
    int64_t max_url_bytes;
    int64_t max_body_bytes;
    int64_t head_deadline_ms;
    int64_t request_deadline_ms; /* head and body together */
    int64_t answer_deadline_ms;  /* for the handler; then 503 and close, and its reply is dropped */
    int64_t stall_ms; /* a peer must take some bytes of its replies in this time, else it is closed */
    int64_t idle_ms;
    int64_t max_requests; /* a connection; then it is closed politely */
    int64_t max_life_ms;
    int64_t max_memory_bytes; /* http_server_start refuses limits whose sum is above it */
};

/* The defaults: 10,000 connections, 256 an address, 8 KiB, 4 KiB, 16 KiB, 5 s, 10 s, 30 s, 5 s, 15 s, 1,000,
 * 300 s, 1 GiB. */
struct http_limits http_limits_default(void);

struct http_counters { /* owned by the server, read by whoever writes metrics */
    int64_t connections_open;
    int64_t connections_total;
    int64_t connections_refused_total; /* over a limit */
    int64_t requests_total;
    int64_t replies_total[6]; /* by status class: [2] = 2xx … */
    int64_t deadlines_total;  /* 408 */
    int64_t rejected_total;   /* malformed: closed after one 4xx */
    int64_t unanswered_total; /* the handler took too long: 503 */
    int64_t stalled_total;    /* closed because the peer did not read its replies */
};

struct http_server_options {
    const char *listen; /* host:port, [v6]:port, unix:/path */
    bool reuse_port;    /* SO_REUSEPORT, TCP only */
    unsigned unix_mode; /* mode of the unix socket, 0660 */
    slice prefix;       /* "/ff": stripped before routing; empty: none. Borrowed for the server's life */
    const struct http_route *routes; /* borrowed for the server's life */
    size_t route_count;
    void *context; /* given to handlers */
    struct http_limits limits;
    const ip_range *exempt; /* peers without a connection cap (trusted proxies); borrowed */
    size_t exempt_count;
};

/* Listens at once. NULL and *why on failure (setting_name, e.g. "http.listen", is named in the sentence). */
struct http_server *http_server_start(struct uv_loop_s *loop, const struct http_server_options *options,
                                      const char *setting_name, struct why *why);
/* The port really bound (for :0), 0 for a unix socket. */
int http_server_port(const struct http_server *server);
const struct http_counters *http_server_counters(const struct http_server *server);
/* Stops accepting, closes idle connections, lets requests in flight be answered (new ones on kept connections
 * get 503 and close), then calls on_stopped. After deadline_ms the rest is closed. */
typedef void http_stopped_fn(void *context);
void http_server_stop(struct http_server *server, int64_t deadline_ms, http_stopped_fn *on_stopped,
                      void *context);
/* After on_stopped only. */
void http_server_free(struct http_server **server);

#endif
