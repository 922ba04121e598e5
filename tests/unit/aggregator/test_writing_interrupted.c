/* SPDX-License-Identifier: Apache-2.0
 * A writer killed or stopped at each named place of a batch, and its successor: every hit is stored exactly
 * once. The writer is this program run again with an argument and FOOTFALL_FAILPOINT set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/aggregator/store_bench.h"

enum { FIRST_HITS = 300, ALL_HITS = 400, PARTITION = 3 };

static void fill(struct store_bench *bench, int64_t from, int64_t to)
{
    batch_clear(bench->batch);
    for (int64_t number = from; number < to; number++)
        store_bench_add_hit(bench, PARTITION, number);
}

/* Writes two batches; the exit code tells the outcome of each. */
static int write_as_child(const char *conninfo)
{
    struct store_bench bench;
    store_bench_start(&bench, conninfo);
    struct claim *claim = store_bench_claim(&bench, PARTITION);
    fill(&bench, 0, FIRST_HITS);
    enum store_outcome first = store_bench_write(&bench, &claim, 1);
    enum store_outcome second = first;
    if (first == STORE_DONE) {
        fill(&bench, FIRST_HITS, ALL_HITS);
        second = store_bench_write(&bench, &claim, 1);
    }
    claim_free(&claim);
    store_bench_stop(&bench);
    return (int)(first * 8 + second);
}

static pid_t start_writer(struct store_bench *bench, const char *failpoint)
{
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no stopped process behind */
        setenv("FOOTFALL_FAILPOINT", failpoint, 1);
        execl("/proc/self/exe", "writer", bench->conninfo, (char *)NULL);
        _exit(127);
    }
    return writer;
}

/* What a successor does: claims, and writes everything from the offset that it finds. */
static void succeed(struct store_bench *bench)
{
    struct claim *claim = store_bench_claim(bench, PARTITION);
    assert_non_null(claim);
    fill(bench, claim->next_offset < 0 ? 0 : claim->next_offset - 100, ALL_HITS);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    claim_free(&claim);
}

static void assert_exactly_once(struct store_bench *bench)
{
    store_bench_ask(bench,
                    "SELECT count(*) || ' ' || count(DISTINCT kafka_offset) || ' ' || max(kafka_offset)"
                    "  FROM processed_events",
                    "400 400 499");
    store_bench_ask(bench, "SELECT ranges FROM footfall.received", "{[1,401)}");
    store_bench_ask(bench, "SELECT next_offset FROM footfall.partitions", "500");
    store_bench_ask(bench, "SELECT sum(events) FROM footfall.open_sessions", "400");
}

static void killed_at(struct store_bench *bench, const char *failpoint, const char *stored)
{
    pid_t writer = start_writer(bench, failpoint);
    int how;
    assert_int_equal(waitpid(writer, &how, 0), writer);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", stored);
    succeed(bench);
    assert_exactly_once(bench);
}

static void killed_after_the_fence_check(void **state)
{
    killed_at(*state, "after_fence_check", "0");
}

static void killed_inside_copy(void **state)
{
    killed_at(*state, "inside_copy", "0");
}

static void killed_inside_the_second_copy(void **state)
{
    killed_at(*state, "inside_copy:2", "0");
}

static void killed_before_commit(void **state)
{
    killed_at(*state, "before_commit", "0");
}

static void killed_after_commit(void **state)
{
    killed_at(*state, "after_commit", "300");
}

/* The zombie holds the row's lock; the successor takes over; the zombie wakes and applies nothing. */
static void stopped_at(struct store_bench *bench, const char *failpoint, enum store_outcome first,
                       enum store_outcome second)
{
    pid_t writer = start_writer(bench, failpoint);
    int how;
    assert_int_equal(waitpid(writer, &how, WUNTRACED), writer);
    assert_true(WIFSTOPPED(how));
    succeed(bench);
    assert_exactly_once(bench);
    assert_int_equal(kill(writer, SIGCONT), 0);
    assert_int_equal(waitpid(writer, &how, 0), writer);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), first * 8 + second);
    assert_exactly_once(bench);
}

static void stopped_after_the_fence_check(void **state)
{
    stopped_at(*state, "after_fence_check:1:stop", STORE_RETRY, STORE_RETRY);
}

static void stopped_inside_copy(void **state)
{
    stopped_at(*state, "inside_copy:1:stop", STORE_RETRY, STORE_RETRY);
}

static void stopped_before_commit(void **state)
{
    stopped_at(*state, "before_commit:1:stop", STORE_RETRY, STORE_RETRY);
}

static void stopped_after_commit(void **state)
{
    stopped_at(*state, "after_commit:1:stop", STORE_DONE, STORE_FENCED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(int argc, char **argv)
{
    if (argc > 1)
        return write_as_child(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(killed_after_the_fence_check), TEST(killed_inside_copy),    TEST(killed_inside_the_second_copy),
        TEST(killed_before_commit),         TEST(killed_after_commit),   TEST(stopped_after_the_fence_check),
        TEST(stopped_inside_copy),          TEST(stopped_before_commit), TEST(stopped_after_commit),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
