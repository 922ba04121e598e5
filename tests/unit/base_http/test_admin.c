/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/http/admin. */
#include "base/http/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

struct world {
    struct bench bench;
    struct admin *admin;
    const char *missing; /* NULL: ready */
};

static bool is_ready(void *context, const char **reason)
{
    struct world *world = context;
    *reason = world->missing;
    return !world->missing;
}

static void write_metrics(void *context, struct buf *out)
{
    (void)context;
    buf_add(out, SLICE("footfall_up 1\n"));
}

static const char *ask(struct world *world, const char *request_line)
{
    char request[256];
    snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", request_line);
    return bench_talk(&world->bench, slice_of(request));
}

#define PLAIN(status, len, more, body)                                                                       \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " #len "\r\n" more    \
    "Connection: close\r\n\r\n" body

static void it_says_how_the_program_is(void **state)
{
    struct world *world = *state;
    assert_string_equal(ask(world, "GET /healthz"), PLAIN("200 OK", 6, "", "alive\n"));
    assert_string_equal(ask(world, "HEAD /healthz"), PLAIN("200 OK", 6, "", ""));
    assert_string_equal(ask(world, "GET /readyz"), PLAIN("200 OK", 6, "", "ready\n"));
    world->missing = "the broker was never reached";
    assert_string_equal(ask(world, "GET /readyz"), PLAIN("503 Service Unavailable", 29, "Retry-After: 1\r\n",
                                                         "the broker was never reached\n"));
    assert_string_equal(ask(world, "GET /metrics"),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                        "Content-Length: 14\r\nConnection: close\r\n\r\nfootfall_up 1\n");
    assert_string_equal(ask(world, "HEAD /metrics"),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                        "Content-Length: 14\r\nConnection: close\r\n\r\n");
}

static void it_only_shows(void **state)
{
    struct world *world = *state;
    static const char *paths[] = {"POST /healthz", "POST /readyz", "POST /metrics", "OPTIONS /metrics"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_string_equal(ask(world, paths[i]), PLAIN("405 Method Not Allowed", 26, "Allow: GET, HEAD\r\n",
                                                        "method not supported here\n"));
    assert_string_equal(ask(world, "GET /"), PLAIN("404 Not Found", 13, "", "no such path\n"));
}

static void none_is_wanted_and_none_is_there(void **state)
{
    struct world *world = *state;
    struct admin *none;
    struct admin_options options = {.listen = ""};
    assert_int_equal(admin_start(&world->bench.loop, &options, &none, &(struct why){.text = ""}), STATUS_OK);
    assert_null(none);
    admin_free(&none);
}

static void a_bad_address_is_told(void **state)
{
    struct world *world = *state;
    struct admin *none;
    struct why why = {.text = ""};
    struct admin_options options = {.listen = "nonsense"};
    assert_int_not_equal(admin_start(&world->bench.loop, &options, &none, &why), STATUS_OK);
    assert_null(none);
    assert_memory_equal(why.text, "admin.listen = nonsense: ", 25);
}

static int start(void **state)
{
    static struct world world;
    struct why why = {.text = ""};
    memset(&world, 0, sizeof(world));
    assert_int_equal(uv_loop_init(&world.bench.loop), 0);
    struct admin_options options = {
        .listen = "127.0.0.1:0", .is_ready = is_ready, .write_metrics = write_metrics, .context = &world};
    assert_int_equal(admin_start(&world.bench.loop, &options, &world.admin, &why), STATUS_OK);
    world.bench.port = admin_port(world.admin);
    *state = &world;
    return 0;
}

static void on_stopped(void *context)
{
    struct world *world = context;
    world->bench.is_stopped = true;
}

static int end(void **state)
{
    struct world *world = *state;
    admin_stop(world->admin, on_stopped, world);
    bench_wait(&world->bench, &world->bench.is_stopped);
    admin_free(&world->admin);
    assert_int_equal(uv_loop_close(&world->bench.loop), 0);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_says_how_the_program_is),
        TEST(it_only_shows),
        TEST(none_is_wanted_and_none_is_there),
        TEST(a_bad_address_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
