/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/http/endpoint, and of a server behind each kind. */
#include "base/http/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/base_http/bench.h"

static char folder[] = "/tmp/footfall-endpoint.XXXXXX";

static enum status open_at(const char *listen, struct endpoint *endpoint, struct why *why)
{
    return endpoint_open(&(struct endpoint_options){.setting = "http.listen", .listen = listen}, endpoint,
                         why);
}

static void bad_texts_are_told_in_a_sentence(void **state)
{
    static const struct {
        const char *listen;
        const char *says;
    } bad[] = {
        {"7110", "write host:port"},
        {"127.0.0.1", "write host:port"},
        {"127.0.0.1:", "write host:port"},
        {":7110", "write host:port"},
        {"127.0.0.1:x", "write host:port"},
        {"127.0.0.1:65536", "write host:port"},
        {"127.0.0.1:-1", "write host:port"},
        {"::1:7110", "write host:port"},
        {"[]:7110", "write host:port"},
        {"300.0.0.1:0", "write an address of this machine"},
        {"192.0.2.1:0", "choose an address of this machine"},
        {"unix:relative.sock", "must be absolute"},
        {"unix:/nowhere/at/all.sock", "the folder must exist"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct endpoint endpoint;
        struct why why = {.text = ""};
        char start[128];
        assert_int_not_equal(open_at(bad[i].listen, &endpoint, &why), STATUS_OK);
        snprintf(start, sizeof(start), "http.listen = %s: ", bad[i].listen);
        if (strncmp(why.text, start, strlen(start)) != 0 || !strstr(why.text, bad[i].says))
            fail_msg("%s: %s", bad[i].listen, why.text);
    }
}

static void a_port_is_given_once_unless_shared(void **state)
{
    struct endpoint first, second;
    struct why why = {.text = ""};
    char listen[32];
    (void)state;
    assert_int_equal(open_at("127.0.0.1:0", &first, &why), STATUS_OK);
    assert_true(first.port > 0 && !first.is_unix);
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", first.port);
    assert_int_equal(open_at(listen, &second, &why), STATUS_UNAVAILABLE);
    assert_non_null(
        strstr(why.text, "Address already in use; choose an address of this machine and a free port"));
    endpoint_close(&first);
    struct endpoint_options shared = {.setting = "http.listen", .listen = listen, .reuse_port = true};
    assert_int_equal(endpoint_open(&shared, &first, &why), STATUS_OK);
    assert_int_equal(endpoint_open(&shared, &second, &why), STATUS_OK);
    assert_int_equal(first.port, second.port);
    endpoint_close(&first);
    endpoint_close(&second);
}

static const char *make_path(const char *name, char path[64], char listen[80])
{
    snprintf(path, 64, "%s/%s", folder, name);
    snprintf(listen, 80, "unix:%s", path);
    return listen;
}

static void a_socket_file_has_its_mode_and_goes_with_its_owner(void **state)
{
    struct endpoint endpoint;
    struct why why = {.text = ""};
    struct stat file;
    char path[64], listen[80];
    (void)state;
    make_path("a.sock", path, listen);
    assert_int_equal(open_at(listen, &endpoint, &why), STATUS_OK);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0660);
    assert_int_equal(endpoint.port, 0);
    endpoint_close(&endpoint);
    assert_int_not_equal(stat(path, &file), 0);
    struct endpoint_options open_to_all = {.setting = "mirror.listen", .listen = listen, .unix_mode = 0666};
    assert_int_equal(endpoint_open(&open_to_all, &endpoint, &why), STATUS_OK);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0666);
    endpoint_close(&endpoint);
}

static void a_dead_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
    struct endpoint first, second;
    struct why why = {.text = ""};
    char path[64], listen[80];
    (void)state;
    make_path("b.sock", path, listen);
    assert_int_equal(open_at(listen, &first, &why), STATUS_OK);
    assert_int_equal(open_at(listen, &second, &why), STATUS_UNAVAILABLE);
    assert_non_null(strstr(why.text, "another process listens there; stop it or choose another path"));
    close(first.fd); /* as a kill -9 would */
    assert_int_equal(open_at(listen, &second, &why), STATUS_OK);
    first.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    endpoint_close(&first); /* does not remove its successor's file */
    assert_int_equal(access(path, F_OK), 0);
    endpoint_close(&second);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct endpoint endpoint;
    struct why why = {.text = ""};
    char path[64], listen[80];
    (void)state;
    make_path("file", path, listen);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(open_at(listen, &endpoint, &why), STATUS_DENIED);
    assert_non_null(strstr(why.text, "there is a file that is not a socket"));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
}

static void a_path_may_be_so_long(void **state)
{
    struct endpoint endpoint;
    struct why why = {.text = ""};
    char path[64], listen[80], longest[256];
    (void)state;
    make_path("", path, listen);
    int len = snprintf(longest, sizeof(longest), "unix:%s", path);
    memset(longest + len, 'x', sizeof(longest) - (size_t)len);
    longest[5 + 107] = '\0';
    assert_int_equal(open_at(longest, &endpoint, &why), STATUS_OK);
    endpoint_close(&endpoint);
    longest[5 + 107] = 'x';
    longest[5 + 108] = '\0';
    assert_int_equal(open_at(longest, &endpoint, &why), STATUS_RANGE);
    assert_non_null(strstr(why.text, "shorter than 108 bytes"));
}

/* --- behind a server --- */

#define ASK SLICE("GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
#define WHO(n, x)                                                                                            \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #n "\r\nConnection: close\r\n\r\n" x

static void requests_come_through_a_unix_socket(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[64], listen[80];
    options.listen = make_path("c.sock", path, listen);
    options.limits.max_connections_per_address = 1; /* not for these */
    bench_start(bench, &options);
    assert_int_equal(http_server_port(bench->server), 0);
    memcpy(address.sun_path, path, strlen(path));
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
    }
    bench_wait_for_open(bench, 2);
    for (int i = 0; i < 2; i++) {
        bench_send(bench, fds[i], ASK);
        bench_expect(bench, fds[i], SLICE(WHO(4, "unix")));
        bench_expect_end(bench, fds[i]);
    }
    bench_end(bench);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* A listener for both families gives IPv4 peers their plain address. */
static void peers_have_one_address_whatever_the_listener(void **state)
{
    struct bench *bench = *state;
    struct http_server_options options = bench_options();
    options.listen = "[::]:0";
    bench_start(bench, &options);
    assert_string_equal(bench_talk(bench, ASK), WHO(9, "127.0.0.1"));
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6,
        .sin6_port = htons((uint16_t)http_server_port(bench->server)),
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    bench_send(bench, fd, ASK);
    bench_expect(bench, fd, SLICE(WHO(3, "::1")));
    bench_expect_end(bench, fd);
    bench_end(bench);
}

static int make(void **state)
{
    static struct bench bench;
    *state = &bench;
    return mkdtemp(folder) ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_texts_are_told_in_a_sentence),
        cmocka_unit_test(a_port_is_given_once_unless_shared),
        cmocka_unit_test(a_socket_file_has_its_mode_and_goes_with_its_owner),
        cmocka_unit_test(a_dead_socket_file_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_path_may_be_so_long),
        cmocka_unit_test(requests_come_through_a_unix_socket),
        cmocka_unit_test(peers_have_one_address_whatever_the_listener),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
