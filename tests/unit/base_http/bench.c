/* SPDX-License-Identifier: Apache-2.0
 * bench: see the header. */
#include "tests/unit/base_http/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/http/conn.h"

enum { MAX_TALK_BYTES = 1 << 20 };

/* --- handlers --- */

static void give_text(struct http_request *request, slice body)
{
    http_reply(request,
               &(struct http_reply){.status = 200, .content_type = SLICE("text/plain"), .body = body});
}

static void give_ok(void *context, struct http_request *request)
{
    (void)context;
    give_text(request, SLICE("ok"));
}

static void give_echo(void *context, struct http_request *request)
{
    (void)context;
    give_text(request, request->body);
}

static void take_hit(void *context, struct http_request *request)
{
    (void)context;
    http_reply(request, &(struct http_reply){.status = 204});
}

static void give_big(void *context, struct http_request *request)
{
    static char big[BENCH_BIG_BYTES];
    (void)context;
    memset(big, 'x', sizeof(big));
    give_text(request, (slice){big, sizeof(big)});
}

static void give_peer(void *context, struct http_request *request)
{
    char text[IP_TEXT_MAX];
    (void)context;
    give_text(request, request->peer_is_unix ? SLICE("unix") : (slice){text, ip_write(request->peer, text)});
}

static void give_later(void *context, struct http_request *request)
{
    struct bench *bench = context;
    assert_true(bench->later_count < BENCH_MAX_LATER);
    bench->later[bench->later_count++] = request;
}

static void release_oldest(void *context, struct http_request *request)
{
    bench_answer(context, SLICE("released"));
    give_text(request, SLICE("ok"));
}

static void give_dump(void *context, struct http_request *request)
{
    struct buf dump;
    (void)context;
    buf_init_growing(&dump, 1024, 1 << 20);
    buf_add_int64(&dump, request->method);
    buf_add_char(&dump, '\n');
    buf_add(&dump, request->path);
    buf_add_char(&dump, '?');
    buf_add(&dump, request->query);
    for (size_t i = 0; i < request->field_count; i++) {
        buf_add_char(&dump, '\n');
        buf_add(&dump, request->fields[i].name);
        buf_add(&dump, SLICE("=<"));
        buf_add(&dump, request->fields[i].value);
        buf_add_char(&dump, '>');
    }
    buf_add_char(&dump, '\n');
    buf_add(&dump, request->body);
    give_text(request, buf_slice(&dump));
    buf_fini(&dump);
}

static const struct http_route routes[] = {
    {HTTP_GET, "/ok", give_ok},
    {HTTP_POST, "/echo", give_echo},
    {HTTP_POST, "/hit", take_hit},
    {HTTP_GET, "/big", give_big},
    {HTTP_GET, "/who", give_peer},
    {HTTP_GET | HTTP_POST, "/dump", give_dump},
    {HTTP_GET | HTTP_POST, "/later", give_later},
    {HTTP_GET, "/release", release_oldest},
};

/* --- life --- */

struct http_server_options bench_options(void)
{
    return (struct http_server_options){
        .listen = "127.0.0.1:0",
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
        .limits = http_limits_default(),
    };
}

static void begin(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    assert_int_equal(uv_loop_init(&bench->loop), 0);
}

void bench_start(struct bench *bench, const struct http_server_options *options)
{
    struct http_server_options with = *options;
    struct why why = {.text = ""};
    begin(bench);
    with.context = bench;
    bench->server = http_server_start(&bench->loop, &with, "test.listen", &why);
    if (!bench->server)
        fail_msg("%s", why.text);
    bench->port = http_server_port(bench->server);
}

void bench_start_alone(struct bench *bench, const struct http_server_options *options)
{
    struct http_server_options with = *options;
    begin(bench);
    with.context = bench;
    bench->server = server_new(&bench->loop, &with);
}

static void on_stopped(void *context)
{
    struct bench *bench = context;
    bench->is_stopped = true;
}

void bench_end(struct bench *bench)
{
    if (!bench->server->is_stopping)
        http_server_stop(bench->server, 0, on_stopped, bench);
    while (!bench->server->is_stopped)
        uv_run(&bench->loop, UV_RUN_ONCE);
    http_server_free(&bench->server);
    while (bench->answered_count < bench->later_count)
        bench_answer(bench, SLICE("too late for everybody"));
    assert_int_equal(uv_run(&bench->loop, UV_RUN_NOWAIT), 0);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

int bench_set_up_with(void **state, const struct http_server_options *options)
{
    static struct bench bench;
    bench_start(&bench, options);
    *state = &bench;
    return 0;
}

int bench_set_up(void **state)
{
    struct http_server_options options = bench_options();
    return bench_set_up_with(state, &options);
}

int bench_tear_down(void **state)
{
    bench_end(*state);
    return 0;
}

void bench_answer(struct bench *bench, slice body)
{
    assert_true(bench->answered_count < bench->later_count);
    give_text(bench->later[bench->answered_count++], body);
}

/* --- waiting --- */

void bench_turn(struct bench *bench)
{
    uv_run(&bench->loop, UV_RUN_NOWAIT);
}

static void lose_patience(mono_ms since)
{
    if (mono_now().ms - since.ms > BENCH_PATIENCE_MS)
        fail_msg("waited in vain");
    usleep(100); /* the other side of a socket is the kernel: no need to burn the core */
}

void bench_wait(struct bench *bench, const bool *flag)
{
    mono_ms since = mono_now();
    while (!*flag) {
        bench_turn(bench);
        lose_patience(since);
    }
}

void bench_wait_for_later(struct bench *bench, size_t count)
{
    mono_ms since = mono_now();
    while (bench->later_count < count) {
        bench_turn(bench);
        lose_patience(since);
    }
}

void bench_wait_for_open(struct bench *bench, int64_t count)
{
    mono_ms since = mono_now();
    while (http_server_counters(bench->server)->connections_open != count) {
        bench_turn(bench);
        lose_patience(since);
    }
}

/* --- clients --- */

int bench_connect(struct bench *bench)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)bench->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int adopt(struct bench *bench, int type, int send_buffer_bytes)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes)),
                     0);
    conn_open(bench->server, fds[0], &(struct peer){.is_unix = true});
    return fds[1];
}

int bench_adopt(struct bench *bench)
{
    return adopt(bench, SOCK_SEQPACKET, 200 * 1024);
}

int bench_adopt_narrow(struct bench *bench)
{
    return adopt(bench, SOCK_STREAM, 4096);
}

void bench_send(struct bench *bench, int fd, slice bytes)
{
    mono_ms since = mono_now();
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = slice_from(bytes, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN)
            return; /* the server has gone: what it said before is what the test looks at */
        bench_turn(bench);
        lose_patience(since);
    }
}

/* The next bytes, 0 at the end, -1 after a reset. */
static ssize_t read_some(struct bench *bench, int fd, char *out, size_t cap)
{
    mono_ms since = mono_now();
    while (true) {
        bench_turn(bench);
        ssize_t count = recv(fd, out, cap, MSG_DONTWAIT);
        if (count >= 0 || errno != EAGAIN)
            return count;
        lose_patience(since);
    }
}

bool bench_read_all(struct bench *bench, int fd, char *out, size_t cap, size_t *len)
{
    ssize_t count;
    *len = 0;
    while ((count = read_some(bench, fd, out + *len, cap - *len)) > 0) {
        *len += (size_t)count;
        assert_true(*len < cap);
    }
    return count == 0;
}

void bench_read(struct bench *bench, int fd, char *out, size_t len)
{
    while (len > 0) {
        ssize_t count = read_some(bench, fd, out, len);
        assert_true(count > 0);
        out += count;
        len -= (size_t)count;
    }
}

void bench_expect(struct bench *bench, int fd, slice text)
{
    char got[4096] = "";
    assert_true(text.len < sizeof(got));
    bench_read(bench, fd, got, text.len);
    assert_string_equal(got, text.data);
}

void bench_expect_end(struct bench *bench, int fd)
{
    char byte;
    assert_int_equal(read_some(bench, fd, &byte, 1), 0);
    close(fd);
}

const char *bench_talk(struct bench *bench, slice bytes)
{
    static char got[MAX_TALK_BYTES];
    size_t len;
    int fd = bench_connect(bench);
    bench_send(bench, fd, bytes);
    assert_true(bench_read_all(bench, fd, got, sizeof(got), &len)); /* the reply is never lost to a reset */
    got[len] = '\0';
    close(fd);
    return got;
}
