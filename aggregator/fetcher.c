/* SPDX-License-Identifier: Apache-2.0
 * fetcher: see the header.
 *
 *   fetcher_ask -> curl_multi_add_handle -> on_curl_socket, on_curl_timer: what libcurl wants to hear of
 *   on_socket, on_timer -> curl_multi_socket_action -> settle_finished -> on_reply */
#include "aggregator/fetcher.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"

enum { START_BYTES = 1024 };

struct transfer {
    struct fetcher *fetcher;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    mono_ms started;
    bool is_sent;
    fetch_reply_fn *on_reply; /* NULL: free */
    void *context;
};

struct fetcher {
    struct uv_loop_s *loop;
    struct fetcher_options options;
    bool is_local;
    CURLM *multi;
    uv_timer_t timer;
    size_t in_flight;
    struct transfer *transfers;
    void (*on_closed)(void *context);
    void *closed_context;
};

const char *fetch_outcome_text(enum fetch_outcome outcome)
{
    static const char *const texts[] = {
        [FETCH_ANSWERED] = "answered",
        [FETCH_TIMED_OUT] = "timed out",
        [FETCH_UNREACHABLE] = "not reachable",
        [FETCH_INSECURE] = "its TLS certificate or handshake is bad",
        [FETCH_TOO_BIG] = "its answer is too big",
        [FETCH_BROKEN] = "its answer is cut or no HTTP",
    };
    MUST((size_t)outcome < sizeof texts / sizeof texts[0]);
    return texts[outcome];
}

/* ---- Which URLs are allowed ---- */

static bool has_part(CURLU *url, CURLUPart what)
{
    char *part = NULL;
    bool has = curl_url_get(url, what, &part, 0) == CURLUE_OK;
    curl_free(part);
    return has;
}

static bool part_is(CURLU *url, CURLUPart what, const char *expected)
{
    char *part = NULL;
    bool is = curl_url_get(url, what, &part, 0) == CURLUE_OK && strcmp(part, expected) == 0;
    curl_free(part);
    return is;
}

static bool is_loopback_text(const char *host)
{
    ip_address ip;
    slice text = slice_of(host);
    if (slice_starts_with(text, SLICE("[")) && slice_ends_with(text, SLICE("]")))
        text = slice_head(slice_from(text, 1), text.len - 2);
    if (ip_read(text, &ip) != STATUS_OK)
        return slice_equals_nocase(text, SLICE("localhost"));
    ip_range v4, v6;
    MUST(ip_range_read(SLICE("127.0.0.0/8"), &v4) == STATUS_OK &&
         ip_range_read(SLICE("::1"), &v6) == STATUS_OK);
    return ip_range_has(&v4, ip) || ip_range_has(&v6, ip);
}

static bool is_loopback(CURLU *url)
{
    char *host = NULL;
    bool is = curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && is_loopback_text(host);
    curl_free(host);
    return is;
}

/* Half a sentence; NULL: nothing is wrong. */
static const char *find_fault(CURLU *url, const char *base)
{
    if (strlen(base) > FETCHER_MAX_URL / 2 || curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK)
        return "is no URL";
    if (!part_is(url, CURLUPART_SCHEME, "https") && !part_is(url, CURLUPART_SCHEME, "http"))
        return "must begin with https://";
    if (part_is(url, CURLUPART_SCHEME, "http") && !is_loopback(url))
        return "must begin with https://, as the key would travel in the clear (http is for this host only)";
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
        has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
        return "must have no user, query or fragment";
    return NULL;
}

enum status fetcher_check(const char *setting, const char *base, struct why *why)
{
    CURLU *url = curl_url();
    MUST(url != NULL);
    const char *fault = find_fault(url, base);
    curl_url_cleanup(url);
    return fault == NULL ? STATUS_OK : why_say(why, STATUS_MALFORMED, "%s %s", setting, fault);
}

static bool base_is_loopback(const char *base)
{
    CURLU *url = curl_url();
    MUST(url != NULL && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK);
    bool is = is_loopback(url);
    curl_url_cleanup(url);
    return is;
}

/* ---- Ends ---- */

static enum fetch_outcome outcome_of(const struct transfer *transfer, CURLcode code)
{
    if (transfer->body.overflowed)
        return FETCH_TOO_BIG;
    switch (code) {
    case CURLE_OK:
        return FETCH_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_TIMED_OUT;
    case CURLE_FILESIZE_EXCEEDED:
        return FETCH_TOO_BIG;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return FETCH_UNREACHABLE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
        return FETCH_INSECURE;
    default:
        return FETCH_BROKEN;
    }
}

static struct fetch_reply read_reply(const struct transfer *transfer, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    struct fetch_reply reply = {.outcome = outcome_of(transfer, code),
                                .took_ms = mono_now().ms - transfer->started.ms};
    if (reply.outcome != FETCH_ANSWERED)
        return reply;
    reply.http_status = (int)status;
    reply.body = buf_slice(&transfer->body);
    reply.retry_after_ms = retry_after_s > 0 && retry_after_s < INT32_MAX ? (int64_t)retry_after_s * 1000 : 0;
    return reply;
}

static void release(struct transfer *transfer)
{
    curl_multi_remove_handle(transfer->fetcher->multi, transfer->easy);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->on_reply = NULL;
    transfer->fetcher->in_flight--;
}

/* The transfer is free while the callback runs, but for the body, which it borrows: so it is told last. */
static void settle(struct transfer *transfer, CURLcode code)
{
    fetch_reply_fn *on_reply = transfer->on_reply;
    struct fetch_reply reply = read_reply(transfer, code);
    struct buf body = transfer->body;
    buf_init_growing(&transfer->body, START_BYTES, transfer->fetcher->options.max_bytes);
    release(transfer);
    on_reply(transfer->context, &reply);
    buf_fini(&body);
}

static void settle_finished(struct fetcher *fetcher)
{
    int left;
    CURLMsg *message;
    while (fetcher->multi != NULL && (message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        settle(transfer, code);
    }
}

/* ---- What libcurl wants to hear of ---- */

static void go_on(struct fetcher *fetcher, curl_socket_t socket, int events)
{
    int running;
    curl_multi_socket_action(fetcher->multi, socket, events, &running);
    settle_finished(fetcher);
}

struct watcher {
    uv_poll_t poll; /* memory of its own: it closes a turn later */
    curl_socket_t socket;
    int events;
};

static void on_socket(uv_poll_t *poll, int status, int events)
{
    const struct watcher *watcher = (const struct watcher *)poll;
    if (status < 0) /* libuv has stopped the watcher, yet there may be more to read */
        MUST(uv_poll_start(poll, watcher->events, on_socket) == 0);
    int happened = status < 0 ? CURL_CSELECT_ERR : 0;
    happened |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    happened |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    go_on(poll->data, watcher->socket, happened);
}

static void free_watcher(uv_handle_t *handle)
{
    free(handle);
}

static struct watcher *add_watcher(struct fetcher *fetcher, curl_socket_t socket)
{
    struct watcher *watcher = must_calloc(1, sizeof *watcher);
    watcher->socket = socket;
    watcher->poll.data = fetcher;
    MUST(uv_poll_init_socket(fetcher->loop, &watcher->poll, socket) == 0);
    curl_multi_assign(fetcher->multi, socket, watcher);
    return watcher;
}

static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
    struct fetcher *fetcher = context;
    struct watcher *watcher = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watcher != NULL)
            uv_close((uv_handle_t *)&watcher->poll, free_watcher);
        return 0;
    }
    if (watcher == NULL)
        watcher = add_watcher(fetcher, socket);
    watcher->events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    watcher->events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    MUST(uv_poll_start(&watcher->poll, watcher->events, on_socket) == 0);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct fetcher *fetcher = context;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&fetcher->timer);
    else
        uv_timer_start(&fetcher->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    buf_add_bytes(&transfer->body, bytes, size * count);
    return transfer->body.overflowed ? 0 : size * count; /* 0 ends the transfer */
}

/* libcurl sends a request once more when a kept connection ends before an answer; whoever is paid for requests
 * may have counted it, so it is sent once. */
static int on_send(void *context, char *to, char *from, int to_port, int from_port)
{
    struct transfer *transfer = context;
    (void)to, (void)from, (void)to_port, (void)from_port;
    if (transfer->is_sent)
        return CURL_PREREQFUNC_ABORT;
    transfer->is_sent = true;
    return CURL_PREREQFUNC_OK;
}

static bool read_ip(const struct curl_sockaddr *address, ip_address *ip)
{
    *ip = (ip_address){{[10] = 0xff, [11] = 0xff}};
    if (address->family == AF_INET)
        memcpy(ip->bytes + 12, &((const struct sockaddr_in *)(const void *)&address->addr)->sin_addr, 4);
    else if (address->family == AF_INET6)
        memcpy(ip->bytes, &((const struct sockaddr_in6 *)(const void *)&address->addr)->sin6_addr, 16);
    else
        return false;
    return true;
}

/* The service's name is fixed, what it resolves to is not: an address inside must not be reached by it. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct fetcher *fetcher = context;
    ip_address ip;
    (void)purpose;
    if (!read_ip(address, &ip) || (!fetcher->is_local && ip_is_private(ip)))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- Requests ---- */

#define SET(easy, option, value) MUST(curl_easy_setopt(easy, option, value) == CURLE_OK)

static void init_transfer(struct fetcher *fetcher, struct transfer *transfer)
{
    const struct fetcher_options *options = &fetcher->options;
    transfer->fetcher = fetcher;
    buf_init_growing(&transfer->body, START_BYTES, options->max_bytes);
    CURL *easy = transfer->easy = curl_easy_init();
    MUST(easy != NULL);
    SET(easy, CURLOPT_PRIVATE, transfer);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs does not hold up our end */
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms);
    SET(easy, CURLOPT_TIMEOUT_MS, (long)options->total_ms);
    SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_bytes);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(easy, CURLOPT_USERAGENT, "footfall/" FOOTFALL_VERSION);
    SET(easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(easy, CURLOPT_WRITEDATA, transfer);
    SET(easy, CURLOPT_PREREQFUNCTION, on_send);
    SET(easy, CURLOPT_PREREQDATA, transfer);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(easy, CURLOPT_OPENSOCKETDATA, fetcher);
    if (options->ca_file[0] != '\0') {
        SET(easy, CURLOPT_CAINFO, options->ca_file);
        SET(easy, CURLOPT_CAPATH, NULL);
    }
}

struct fetcher *fetcher_new(struct uv_loop_s *loop, const struct fetcher_options *options)
{
    struct fetcher *fetcher = must_calloc(1, sizeof *fetcher);
    MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    fetcher->loop = loop;
    fetcher->options = *options;
    fetcher->is_local = base_is_loopback(options->base);
    fetcher->multi = curl_multi_init();
    MUST(fetcher->multi != NULL);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    MUST(uv_timer_init(loop, &fetcher->timer) == 0);
    fetcher->timer.data = fetcher;
    fetcher->transfers = must_calloc(options->max_in_flight, sizeof *fetcher->transfers);
    for (size_t i = 0; i < options->max_in_flight; i++)
        init_transfer(fetcher, &fetcher->transfers[i]);
    return fetcher;
}

bool fetcher_has_room(const struct fetcher *fetcher)
{
    return fetcher->in_flight < fetcher->options.max_in_flight;
}

bool fetcher_is_idle(const struct fetcher *fetcher)
{
    return fetcher->in_flight == 0;
}

static struct transfer *find_free(struct fetcher *fetcher)
{
    struct transfer *transfer = fetcher->transfers;
    while (transfer->on_reply != NULL)
        transfer++;
    return transfer;
}

static void add_header(struct transfer *transfer, const char *field)
{
    struct curl_slist *headers = curl_slist_append(transfer->headers, field);
    MUST(headers != NULL);
    transfer->headers = headers;
}

static void set_body(struct transfer *transfer, const char *body)
{
    if (body[0] == '\0') {
        SET(transfer->easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    add_header(transfer, "Content-Type: application/json");
    SET(transfer->easy, CURLOPT_POSTFIELDSIZE, -1L);
    SET(transfer->easy, CURLOPT_COPYPOSTFIELDS, body);
}

void fetcher_ask(struct fetcher *fetcher, const struct fetch_request *request, fetch_reply_fn *on_reply,
                 void *context)
{
    MUST(fetcher_has_room(fetcher) && strlen(request->url) <= FETCHER_MAX_URL);
    struct transfer *transfer = find_free(fetcher);
    fetcher->in_flight++;
    transfer->on_reply = on_reply;
    transfer->context = context;
    transfer->started = mono_now();
    transfer->is_sent = false;
    buf_clear(&transfer->body);
    if (request->header[0] != '\0')
        add_header(transfer, request->header);
    set_body(transfer, request->body);
    SET(transfer->easy, CURLOPT_URL, request->url);
    SET(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    MUST(curl_multi_add_handle(fetcher->multi, transfer->easy) == CURLM_OK);
}

/* ---- The end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetcher *fetcher = handle->data;
    void (*on_closed)(void *) = fetcher->on_closed;
    void *context = fetcher->closed_context;
    free(fetcher->transfers);
    free(fetcher);
    curl_global_cleanup();
    if (on_closed != NULL)
        on_closed(context);
}

void fetcher_close(struct fetcher **fetcher, void (*on_closed)(void *context), void *context)
{
    struct fetcher *closing = *fetcher;
    *fetcher = NULL;
    closing->on_closed = on_closed;
    closing->closed_context = context;
    for (size_t i = 0; i < closing->options.max_in_flight; i++) {
        struct transfer *transfer = &closing->transfers[i];
        if (transfer->on_reply != NULL)
            release(transfer);
        curl_easy_cleanup(transfer->easy);
        buf_fini(&transfer->body);
    }
    curl_multi_cleanup(closing->multi);
    closing->multi = NULL;
    uv_close((uv_handle_t *)&closing->timer, on_timer_closed);
}
