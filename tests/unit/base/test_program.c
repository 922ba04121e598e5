/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/program: each call runs in a child, whose words and exit code are looked at. */
#include "base/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

enum { RAN = 100 }; /* what the child leaves with when it is to run */

static int64_t size;

static const struct setting_row rows[] = {
    {"a", "size", SETTING_INT, 0, "3", 1, 9, NULL, "How large."},
};

static enum status check(const void *values, const struct settings *settings, struct why *why)
{
    int64_t given;
    if (settings_passed_count(settings) > 1)
        return why_say(why, STATUS_DENIED, "rdkafka: one is enough");
    memcpy(&given, values, sizeof(given));
    return given == 7 ? why_say(why, STATUS_CONFLICT, "a.size = 7: not with this weather") : STATUS_OK;
}

static const struct program_command commands[] = {
    {"grow", "BY…", "Grows.", false},
    {"look", "", "Looks.", true},
    {NULL, NULL, NULL, false},
};
static const struct program program = {.name = "footfall-sample",
                                       .summary = "grows things",
                                       .rows = rows,
                                       .row_count = 1,
                                       .values = &size,
                                       .passthrough = "rdkafka",
                                       .check = check,
                                       .commands = commands};

struct outcome {
    int exit_code;
    char words[8192]; /* stdout and stderr */
};

static void run_child(char **argv, int argc)
{
    int exit_code;
    struct program_call call;
    if (!program_start(&program, argc, argv, &call, &exit_code)) {
        fflush(NULL);
        _exit(exit_code);
    }
    printf("size %lld command %s", (long long)size, call.command ? call.command : "none");
    for (int i = 0; i < call.argument_count; i++)
        printf(" [%s]", call.arguments[i]);
    fflush(NULL);
    settings_free(&call.settings);
    _exit(RAN);
}

/* The arguments end with NULL. */
static struct outcome run(const char *first, ...)
{
    static struct outcome outcome;
    char *argv[16] = {"footfall-sample"};
    int argc = 1, ends[2], status;
    va_list list;
    va_start(list, first);
    for (const char *each = first; each; each = va_arg(list, const char *))
        argv[argc++] = (char *)each;
    va_end(list);
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        run_child(argv, argc);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], outcome.words + len, sizeof(outcome.words) - 1 - len)) > 0;)
        len += (size_t)got;
    outcome.words[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    outcome.exit_code = WEXITSTATUS(status);
    return outcome;
}

static void expect(struct outcome outcome, int exit_code, const char *words)
{
    assert_string_equal(outcome.words, words);
    assert_int_equal(outcome.exit_code, exit_code);
}

static void it_runs_with_its_settings(void **state)
{
    (void)state;
    expect(run(NULL), RAN, "size 3 command none");
    expect(run("--set", "a.size=4", "--set=a.size=5", NULL), RAN, "size 5 command none");
    expect(run("--set", "a.size=4", "grow", "--by", "2", NULL), RAN, "size 4 command grow [--by] [2]");
}

static void sources_have_their_precedence(void **state)
{
    (void)state;
    char path[] = "/tmp/footfall-program-XXXXXX";
    int fd = mkstemp(path);
    assert_true(write(fd, "[a]\nsize = 2\n", 13) == 13);
    close(fd);
    expect(run("--config", path, NULL), RAN, "size 2 command none");
    setenv("FOOTFALL_A_SIZE", "6", 1);
    expect(run("--config", path, NULL), RAN, "size 6 command none");
    expect(run("--set", "a.size=8", "--config", path, NULL), RAN, "size 8 command none");
    unsetenv("FOOTFALL_A_SIZE");
    unlink(path);
}

static void mistakes_have_their_codes(void **state)
{
    (void)state;
    expect(run("--set", "a.size=10", NULL), EX_CONFIG,
           "footfall-sample: --set: a.size = 10: must be a whole number from 1 to 9\n");
    expect(run("--set", "a.size=7", NULL), EX_CONFIG, "footfall-sample: a.size = 7: not with this weather\n");
    expect(run("--config", "/nowhere/a.conf", NULL), EX_NOINPUT,
           "footfall-sample: /nowhere/a.conf: cannot be opened: No such file or directory\n");
    expect(run("shrink", NULL), EX_USAGE,
           "footfall-sample: unknown command shrink; see footfall-sample --help\n");
    expect(run("--config", "a", "--config", "b", NULL), EX_USAGE,
           "footfall-sample: more than one --config; see footfall-sample --help\n");
    assert_int_equal(run("--wrong", NULL).exit_code, EX_USAGE);
    assert_int_equal(run("--set", NULL).exit_code, EX_USAGE);
}

static void a_refusal_is_for_now_or_for_a_person(void **state)
{
    static const struct {
        enum status status;
        int exit_code;
    } cases[] = {
        {STATUS_UNAVAILABLE, EX_TEMPFAIL}, {STATUS_AGAIN, EX_TEMPFAIL},   {STATUS_DENIED, EX_CONFIG},
        {STATUS_MALFORMED, EX_CONFIG},     {STATUS_NOT_FOUND, EX_CONFIG}, {STATUS_RANGE, EX_CONFIG},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct why why;
        (void)why_say(&why, cases[i].status, "this program cannot start");
        assert_int_equal(program_refusal(&why), cases[i].exit_code);
    }
}

/* The memory of a process that has begun to read its settings: 1 when it may be dumped to a file, 2 when others of its
 * user may read it. */
static int leaks_of_a_started_program(void)
{
    char *argv[] = {"footfall-sample", NULL};
    struct program_call call;
    struct rlimit cores;
    int exit_code, leaks = 0;
    getrlimit(RLIMIT_CORE, &cores);
    cores.rlim_cur = cores.rlim_max;
    setrlimit(RLIMIT_CORE, &cores);
    if (!program_start(&program, 1, argv, &call, &exit_code))
        return exit_code;
    settings_free(&call.settings);
    getrlimit(RLIMIT_CORE, &cores);
    if (cores.rlim_cur != 0 || cores.rlim_max != 0)
        leaks |= 1;
#ifndef __SANITIZE_ADDRESS__
    if (prctl(PR_GET_DUMPABLE) != 0)
        leaks |= 2;
#endif
    return leaks;
}

static void nobody_else_gets_at_its_memory(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(leaks_of_a_started_program());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_command_may_need_no_settings(void **state)
{
    (void)state;
    expect(run("--set", "a.size=7", "look", NULL), RAN, "size 7 command look");
    expect(run("--set", "a.size=7", "grow", NULL), EX_CONFIG,
           "footfall-sample: a.size = 7: not with this weather\n");
}

static void questions_are_answered(void **state)
{
    (void)state;
    expect(run("--version", NULL), EX_OK, "footfall-sample " FOOTFALL_VERSION "\n");
    expect(run("--check-config", NULL), EX_OK, "footfall-sample: the settings are valid\n");
    assert_int_equal(run("--check-config", "--set", "a.size=7", NULL).exit_code, EX_CONFIG);
    expect(run("--check-config", "--set", "rdkafka.a=1", "--set", "rdkafka.b=1", NULL), EX_CONFIG,
           "footfall-sample: rdkafka: one is enough\n");
    struct outcome help = run("--help", NULL);
    assert_int_equal(help.exit_code, EX_OK);
    static const char *const words[] = {"footfall-sample: grows things",
                                        "--config FILE",
                                        "--set SECTION.KEY=VALUE",
                                        "--check-config",
                                        "--print-config",
                                        "--version",
                                        "--help",
                                        "grow BY…\n      Grows."};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_non_null(strstr(help.words, words[i]));
    struct outcome printed = run("--print-config", "--set", "a.size=9", NULL);
    assert_int_equal(printed.exit_code, EX_OK);
    assert_non_null(
        strstr(printed.words, "[a]\n\n# How large.\n# a whole number from 1 to 9; default 3\nsize = 9\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_with_its_settings),
        cmocka_unit_test(sources_have_their_precedence),
        cmocka_unit_test(mistakes_have_their_codes),
        cmocka_unit_test(a_command_may_need_no_settings),
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(a_refusal_is_for_now_or_for_a_person),
        cmocka_unit_test(nobody_else_gets_at_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
