/* SPDX-License-Identifier: Apache-2.0
 * The program itself, in a process of its own with librdkafka's mock broker inside: it starts, takes a hit,
 * reads its sites again on SIGHUP, ends with 0 on SIGTERM, and says what is wrong with its settings. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

enum { PATIENCE_MS = 30000 };

#define HIT(host)                                                                                            \
    "POST /v1/hits HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 28\r\n\r\n"                   \
    "{\"url\":\"http://" host "/abc\"}"

struct program {
    pid_t pid;
    char folder[64];
    char log_path[128]; /* of its stderr */
    char settings_path[128];
};

static void write_sites(const struct program *program, const char *hosts)
{
    FILE *file = fopen(program->settings_path, "w");
    assert_non_null(file);
    fprintf(file,
            "[sites]\nhosts = %s\n[http]\nlisten = 127.0.0.1:0\n[admin]\nlisten =\n[kafka]\npartitions = 4\n"
            "[journal]\ndirectory = %s/journal\n[rdkafka]\ntest.mock.num.brokers = 1\n",
            hosts, program->folder);
    assert_int_equal(fclose(file), 0);
}

static void start(struct program *program, const char *hosts)
{
    strcpy(program->folder, "/tmp/collector-program-XXXXXX");
    assert_non_null(mkdtemp(program->folder));
    snprintf(program->log_path, sizeof(program->log_path), "%s/log", program->folder);
    snprintf(program->settings_path, sizeof(program->settings_path), "%s/settings", program->folder);
    write_sites(program, hosts);
    program->pid = fork();
    assert_true(program->pid >= 0);
    if (program->pid > 0)
        return;
    int fd = open(program->log_path, O_WRONLY | O_CREAT, 0600);
    dup2(fd, STDERR_FILENO);
    execl(FOOTFALL_COLLECTOR, "footfall-collector", "--config", program->settings_path, (char *)NULL);
    _exit(EX_OSERR);
}

/* Waits until the log holds the word and gives what stands from there on. */
static const char *wait_for_log(const struct program *program, const char *word)
{
    static char text[64 * 1024];
    mono_ms since = mono_now();
    do {
        FILE *file = fopen(program->log_path, "r");
        size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        text[len] = '\0';
        if (file)
            fclose(file);
        if (strstr(text, word))
            return strstr(text, word);
        usleep(2000);
    } while (mono_now().ms - since.ms < PATIENCE_MS);
    fail_msg("no \"%s\" in: %s", word, text);
    return NULL;
}

static int ask(int port, const char *request)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    char reply[4096] = "";
    int status = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    assert_true(read(fd, reply, sizeof(reply) - 1) > 0);
    close(fd);
    assert_int_equal(sscanf(reply, "HTTP/1.1 %d ", &status), 1);
    return status;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static int end(struct program *program, int number)
{
    int status;
    kill(program->pid, number);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    assert_int_equal(nftw(program->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_serves_reloads_and_ends(void **state)
{
    struct program program;
    int port;
    (void)state;
    start(&program, "old.net");
    wait_for_log(&program, "event=topic_ready");
    assert_int_equal(sscanf(wait_for_log(&program, "127.0.0.1:0, port "), "127.0.0.1:0, port %d", &port), 1);
    assert_int_equal(ask(port, HIT("old.net")), 204);
    assert_int_equal(ask(port, HIT("new.net")), 403);
    write_sites(&program, "new.net");
    kill(program.pid, SIGHUP);
    wait_for_log(&program, "event=sites_reloaded");
    assert_int_equal(ask(port, HIT("new.net")), 204);
    assert_int_equal(ask(port, HIT("old.net")), 403);
    write_sites(&program, "http://wrong");
    kill(program.pid, SIGHUP);
    wait_for_log(&program, "event=sites_kept");
    assert_int_equal(ask(port, HIT("new.net")), 204);
    assert_int_equal(end(&program, SIGTERM), 0);
}

static void wrong_settings_end_it(void **state)
{
    struct program program;
    (void)state;
    start(&program, "");
    wait_for_log(&program, "sites.hosts is empty");
    assert_int_equal(end(&program, 0), EX_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_serves_reloads_and_ends),
        cmocka_unit_test(wrong_settings_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
