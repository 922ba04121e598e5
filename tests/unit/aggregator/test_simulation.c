/* SPDX-License-Identifier: Apache-2.0
 * Exactly once and exact sessions, in simulated worlds.
 *
 * A world is made from a number: a log of three partitions with replays, strays, skipped and lost numbers
 * (sim_topic); a Postgres whose transactions overlap, with row locks and READ COMMITTED (sim_postgres); and
 * three workers (sim_worker), which run the program's own store, claims, fence, received sets, audit, merge and
 * sessions, statement by statement, in any interleaving. Connections break before a statement arrives or
 * after it was carried out, at COMMIT most of all; backends outlive their clients and keep their locks;
 * workers die, stand still and go on when others have their partitions; the group gives partitions around at
 * any moment, and tells each worker when it likes; answers are read late. The server crashes (and loses what
 * synchronous_commit = off may lose), fails over to a standby that lacks the last commits, is restored to any
 * earlier moment, moves behind a pooler that keeps connections alive; a person moves an offset back by hand; the
 * log loses its beginning, read or not, and a person resumes what halts over it.
 * Then the world comes to rest, and everything must be as if nothing had happened (sim_checks, which looks at
 * each commit, too).
 *
 * The program's SQL is read, not run: the columns that the fence compares, its lock and the take-back are
 * taken from the statements' text, the rest of their meaning is written down in sim_claims.c and
 * sim_batches.c. That Postgres means the same is for the tests with a real server (test_writing*,
 * test_claiming, tests/flow). Not here: places, rejects, folds, days, erasure, and aggregator.c itself.
 *
 *   test_simulation                 5,000 worlds, and the mutants
 *   test_simulation --long          100,000 worlds; so does FOOTFALL_TEST_LONG
 *   test_simulation NUMBER [MUTANT] one world, with a trace of what happens on stderr */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/aggregator/sim_trace.h"
#include "tests/unit/aggregator/sim_world.h"

enum { WORLDS = 5000, LONG_WORLDS = 100000, MUTANT_WORLDS = 3000 };

static uint64_t wanted_worlds = WORLDS;

static void run_worlds(uint64_t count, const struct mutant *mutant)
{
    world_set_up(mutant);
    for (uint64_t seed = 1; seed <= count; seed++)
        world_run(seed);
    world_tear_down();
}

static void on_abort(int signal)
{
    (void)signal;
    fprintf(stderr, "in world %llu: give the number as an argument to see what happens there\n",
            (unsigned long long)trace_kept->seed);
}

/* What was to go wrong did: the worlds test something. */
static void check_counts(const struct world_counts *counts)
{
    const struct worker_counts *work = &counts->work;
    const struct world_faults *faults = &counts->faults;
    size_t few = wanted_worlds / 20;
    assert_true(work->claims > wanted_worlds && work->commits > wanted_worlds);
    assert_true(work->hits > wanted_worlds && work->duplicates > wanted_worlds);
    assert_true(work->strays > wanted_worlds && work->closed > wanted_worlds);
    assert_true(work->forgotten > wanted_worlds);
    assert_true(work->stale_claims > few && work->stale_commits > few && work->fenced > few);
    assert_true(faults->cuts > few && faults->late > few && faults->frozen > few && faults->crashes > few);
    assert_true(faults->failovers > few && faults->pooled > few && faults->restores > few);
    assert_true(faults->rewinds > few && counts->waits > few);
    assert_true(faults->expired > few && work->halts > few && faults->resumes > few);
}

static void nothing_is_lost_and_nothing_counts_twice(void **state)
{
    (void)state;
    run_worlds(wanted_worlds, NULL);
    struct world_counts counts = world_count();
    world_print(&counts);
    check_counts(&counts);
}

/* Nothing is left of those that were run before. */
static void a_world_depends_on_its_number_alone(void **state)
{
    enum { COUNT = 20 };
    struct world_counts up, down;
    (void)state;
    world_set_up(NULL);
    for (uint64_t seed = 1; seed <= COUNT; seed++)
        world_run(seed);
    up = world_count();
    world_tear_down();
    world_set_up(NULL);
    for (uint64_t seed = COUNT; seed > 0; seed--)
        world_run(seed);
    down = world_count();
    world_tear_down();
    assert_memory_equal(&up, &down, sizeof up);
}

/* ---- Mutants are caught ---- */

#define CHECK_COLUMNS "USING (partition, owner, next_offset, version)"

/* The guards overlap, so some show only where the others do not reach:
 *   no_lock_by_the_check  the move compares once more under a lock of its own, so rows stay right; a successor
 *                         waits inside his batch for a zombie whom no claim has ended
 *   no_offset             version says the same, but for an offset that a person moves
 *   no_position           whoever loses his connection drops his claims, so it takes a pooler that keeps
 *                         connections over a failover which loses commits
 *   no_owner              a zombie goes on beside the new owner, whose memory is then behind what is stored */
static const struct mutant mutants[] = {
    {.name = "no_row_lock", .locks_no_row = true},
    {.name = "no_lock_by_the_check", .edits = {{"FOR UPDATE OF p", ""}}, .is_seen_by_offsets = true},
    {.name = "no_position",
     .edits = {{CHECK_COLUMNS, "USING (partition, owner)"},
               {"   AND p.next_offset = held.next_offset AND p.version = held.version", ""}}},
    {.name = "no_offset",
     .edits = {{CHECK_COLUMNS, "USING (partition, owner, version)"},
               {"   AND p.next_offset = held.next_offset", ""}},
     .is_seen_by_offsets = true},
    {.name = "no_owner",
     .edits = {{CHECK_COLUMNS, "USING (partition, next_offset, version)"},
               {" AND p.owner = held.owner", ""}}},
    {.name = "no_take_back", .edits = {{" WHERE s.host = part.host", " WHERE false AND s.host = part.host"}}},
    {.name = "stray_stays", .keeps_strays = true},
    {.name = "no_received_sets",
     .edits = {{"FROM footfall.received r WHERE r.topic = $1", "FROM footfall.received r WHERE false"}}},
};
enum { MUTANT_COUNT = sizeof mutants / sizeof mutants[0] };

static _Noreturn void be_mutant(const struct mutant *mutant)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    MUST(freopen("/dev/null", "w", stderr) != NULL);
    run_worlds(MUTANT_WORLDS, mutant);
    _exit(0);
}

/* In a process of its own, which ends in the world that shows it. */
static bool is_caught(const struct mutant *mutant)
{
    int state;
    memset(trace_kept, 0, sizeof *trace_kept);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        be_mutant(mutant);
    MUST(waitpid(child, &state, 0) == child);
    bool is_red = WIFSIGNALED(state) && WTERMSIG(state) == SIGABRT;
    if (is_red)
        printf("%s: world %llu: %s\n", mutant->name, (unsigned long long)trace_kept->seed,
               trace_kept->text[0] != '\0' ? trace_kept->text : "stopped by a MUST");
    else
        printf("%s: not seen in %d worlds\n", mutant->name, MUTANT_WORLDS);
    return is_red;
}

static void each_guard_is_needed(void **state)
{
    size_t caught = 0;
    (void)state;
    struct trace_end *own = trace_kept;
    trace_kept = mmap(NULL, sizeof *trace_kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(trace_kept != MAP_FAILED);
    for (size_t i = 0; i < MUTANT_COUNT; i++)
        caught += is_caught(&mutants[i]);
    munmap(trace_kept, sizeof *trace_kept);
    trace_kept = own;
    assert_int_equal(caught, MUTANT_COUNT);
}

/* ---- One world ---- */

/* True for no name: no mutant. */
static bool find_mutant(const char *name, const struct mutant **mutant)
{
    *mutant = NULL;
    for (size_t i = 0; name != NULL && i < MUTANT_COUNT; i++)
        if (strcmp(mutants[i].name, name) == 0)
            *mutant = &mutants[i];
    return name == NULL || *mutant != NULL;
}

static int show_world(const char *number, const char *mutant_name)
{
    const struct mutant *mutant;
    int64_t seed;
    if (slice_to_int64(slice_of(number), 0, INT64_MAX, &seed) != STATUS_OK ||
        !find_mutant(mutant_name, &mutant)) {
        fprintf(stderr, "usage: test_simulation [--long | NUMBER [MUTANT]]\n");
        return 64;
    }
    trace_is_on = true;
    world_set_up(mutant);
    world_run((uint64_t)seed);
    struct world_counts counts = world_count();
    world_print(&counts);
    world_tear_down();
    return 0;
}

int main(int argc, char **argv)
{
    const char *is_long = getenv("FOOTFALL_TEST_LONG");
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_and_nothing_counts_twice),
                                       cmocka_unit_test(a_world_depends_on_its_number_alone),
                                       cmocka_unit_test(each_guard_is_needed)};
    signal(SIGABRT, on_abort);
    setenv("FOOTFALL_FAILPOINT_NUMBERS", "changes_forgotten=6", 1); /* 5,000 is more than a world has */
    if (argc > 1 && strcmp(argv[1], "--long") != 0)
        return show_world(argv[1], argc > 2 ? argv[2] : NULL);
    if (argc > 1 || (is_long != NULL && is_long[0] != '\0'))
        wanted_worlds = LONG_WORLDS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
