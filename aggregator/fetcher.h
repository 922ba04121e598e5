/* SPDX-License-Identifier: Apache-2.0
 * fetcher: requests to one web service, driven by the loop, that can neither hang nor grow.
 *
 * locator -> fetcher_ask -> libcurl (keep-alive, HTTP/2 over TLS), its sockets watched by uv_poll, its timer
 * a uv_timer -> on_reply, never before the call returns. Only https, but for a service on the loopback; the
 * certificate is checked; redirects are not followed, no proxy is used, no request is sent twice; a name that resolves to a private
 * address is not connected to. Connecting, the whole request and the body have limits. Names are resolved on
 * a thread of libcurl's. Owns its connections and buffers. What can fail comes as an outcome; URLs, which
 * hold the key, are never logged nor part of a reason. Loop thread only. Not here: retries, what an answer
 * means. */
#ifndef AGGREGATOR_FETCHER_H
#define AGGREGATOR_FETCHER_H

#include "base/slice.h"

struct uv_loop_s;
struct fetcher;

enum { FETCHER_MAX_URL = 2048 };

enum fetch_outcome {
    FETCH_ANSWERED, /* http_status, body and retry_after_ms are those of the answer */
    FETCH_TIMED_OUT,
    FETCH_UNREACHABLE, /* no such name, refused, a private address */
    FETCH_INSECURE,    /* TLS: not the one it says it is, or no TLS at all */
    FETCH_TOO_BIG,
    FETCH_BROKEN, /* cut, or no HTTP */
};
const char *fetch_outcome_text(enum fetch_outcome outcome); /* "timed out" */

struct fetch_reply {
    enum fetch_outcome outcome;
    int http_status;
    slice body;             /* borrowed during the callback */
    int64_t retry_after_ms; /* 0: the service did not say */
    int64_t took_ms;
};
typedef void fetch_reply_fn(void *context, const struct fetch_reply *reply);

struct fetch_request { /* copied */
    const char *url;
    const char *header; /* one more field ("Authorization: …"); empty: none */
    const char *body;   /* JSON that is posted; empty: it is a GET */
};

struct fetcher_options {
    const char *base;    /* a URL that fetcher_check took: decides whether private addresses are allowed */
    const char *ca_file; /* authorities that are trusted; empty: those of the system */
    size_t max_in_flight;
    size_t max_bytes;
    int64_t connect_ms;
    int64_t total_ms;
};

/* A base URL that may be asked: https (http on the loopback only), no user, query or fragment. The sentence
 * starts with the setting's name. */
enum status fetcher_check(const char *setting, const char *base, struct why *why) MUST_CHECK;
/* Texts of options are borrowed until fetcher_close. */
struct fetcher *fetcher_new(struct uv_loop_s *loop, const struct fetcher_options *options);
/* Requests under way are abandoned: their callbacks are not called. */
void fetcher_close(struct fetcher **fetcher, void (*on_closed)(void *context), void *context);

bool fetcher_has_room(const struct fetcher *fetcher);
bool fetcher_is_idle(const struct fetcher *fetcher);
/* There is room. */
void fetcher_ask(struct fetcher *fetcher, const struct fetch_request *request, fetch_reply_fn *on_reply,
                 void *context);

#endif
