/* SPDX-License-Identifier: Apache-2.0
 * bench: an http server and its clients in one thread, over real sockets; waiting turns the loop.
 *
 * Waits end by what happens, never by time; BENCH_PATIENCE_MS without the awaited thing fails the test.
 * Routes of the bench: GET /ok, POST /echo (the body), POST /hit (204), GET /big (BENCH_BIG_BYTES of 'x'),
 * GET /who (the peer), GET and POST /dump (the request as the handler sees it), GET and POST /later (kept in
 * bench->later until bench_answer), GET /release (answers the oldest of them first, then itself). */
#ifndef TESTS_UNIT_BASE_HTTP_BENCH_H
#define TESTS_UNIT_BASE_HTTP_BENCH_H

#include <uv.h>

#include "base/http/http.h"
#include "base/http/server.h"

enum { BENCH_PATIENCE_MS = 30000, BENCH_MAX_LATER = 64, BENCH_BIG_BYTES = 3 * 1024 * 1024 };

struct bench {
    uv_loop_t loop;
    struct http_server *server;
    int port; /* where clients connect */
    struct http_request *later[BENCH_MAX_LATER];
    size_t later_count;
    size_t answered_count; /* of later */
    bool is_stopped;
};

/* What the server is started with; tests change it before bench_start. */
struct http_server_options bench_options(void);
void bench_start(struct bench *bench, const struct http_server_options *options);
/* Without a listener: clients come by bench_adopt. */
void bench_start_alone(struct bench *bench, const struct http_server_options *options);
/* Stops and frees what is still there and checks that the loop is empty. */
void bench_end(struct bench *bench);
/* A case of cmocka's whose *state is a bench, started with bench_options() and ended afterwards. */
#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
int bench_set_up(void **state);
int bench_tear_down(void **state);
/* For a set-up of one's own: the bench (static memory) with other options. */
int bench_set_up_with(void **state, const struct http_server_options *options);
/* Answers the oldest request to /later with 200 and this body. */
void bench_answer(struct bench *bench, slice body);

int bench_connect(struct bench *bench);
/* A pair of sockets that keep the borders of messages: each send is one read of the server, each of its
 * writes is one message to us. */
int bench_adopt(struct bench *bench);
/* A stream whose server side holds only a few KiB that we have not read. */
int bench_adopt_narrow(struct bench *bench);

void bench_turn(struct bench *bench);
/* Turns the loop until *flag. */
void bench_wait(struct bench *bench, const bool *flag);
void bench_wait_for_later(struct bench *bench, size_t count);
/* Turns the loop until the server holds so many connections. */
void bench_wait_for_open(struct bench *bench, int64_t count);

/* Sends all of it, turning the loop when the socket is full. */
void bench_send(struct bench *bench, int fd, slice bytes);
/* Everything that comes until the server closes; false when it was reset. Appends at most cap bytes to out.
 */
bool bench_read_all(struct bench *bench, int fd, char *out, size_t cap, size_t *len);
/* The next len bytes; fails when the server closes before. */
void bench_read(struct bench *bench, int fd, char *out, size_t len);
/* Reads exactly this text. */
void bench_expect(struct bench *bench, int fd, slice text);
/* The server closes, having sent nothing more. */
void bench_expect_end(struct bench *bench, int fd);
/* Connects, sends, reads until the server closes, gives the text (static memory, NUL at the end). */
const char *bench_talk(struct bench *bench, slice bytes);

#endif
