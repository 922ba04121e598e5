/* SPDX-License-Identifier: Apache-2.0
 * sim_world: see the header. */
#include "tests/unit/aggregator/sim_world.h"

#include <stdio.h>

#include "aggregator/resume.h"
#include "base/log.h"
#include "tests/unit/aggregator/sim_checks.h"
#include "tests/unit/aggregator/sim_trace.h"

enum {
    WORKERS = 3,
    MIN_STEPS = 300,
    MAX_STEPS = 1500,
    REST_STEPS = 20000,
    STEP_MS = 900,
    REST_STEP_MS = 500,
    MAX_FREEZE = 40,
    MAX_LOST = 4,
};
#define BASE_MS INT64_C(1700000000000)

static struct world {
    struct sim_net net;
    struct topic topic;
    struct worker workers[WORKERS];
    int frozen[WORKERS];    /* turns that it stands still */
    bool has_news[WORKERS]; /* the group has not told it yet */
    int given_to[SIM_PARTITIONS];
    bool has_pooler, has_standby, has_retention, is_restored;
    uint64_t fault_every, event_every; /* so rare are they */
    const struct mutant *mutant;       /* NULL: none */
    struct world_counts counts;
} world;

static uint64_t below(uint64_t limit)
{
    return choice_below(&world.net.choice, limit);
}

static bool one_in(uint64_t count)
{
    return choice_one_in(&world.net.choice, count);
}

static void pass_time(uint64_t max_ms)
{
    int64_t ms = (int64_t)below(max_ms);
    world.net.mono.ms += ms;
    world.net.wall.ms += ms;
    sim_database_end_idle();
}

static void on_committed(const struct claim *claim)
{
    if (one_in(4))
        checks_memory(&world.net.postgres, claim);
    if (one_in(16))
        checks_sum(&world.net.postgres);
}

/* ---- The group ---- */

static void give_around(void)
{
    world.counts.faults.rebalances++;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        world.given_to[i] = (int)below(WORKERS);
    for (int i = 0; i < WORKERS; i++)
        world.has_news[i] = true;
    trace_say("the group gives partitions 0, 1, 2 to workers %d, %d, %d", world.given_to[0],
              world.given_to[1], world.given_to[2]);
}

static void hear_news(int number)
{
    int partitions[SIM_PARTITIONS];
    size_t count = 0;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        if (world.given_to[i] == number)
            partitions[count++] = i;
    world.has_news[number] = false;
    trace_say("  worker %d hears what the group gave it", number);
    worker_assign(&world.workers[number], partitions, count);
}

/* ---- What goes wrong ---- */

static enum sim_fault some_fault(const struct worker *worker)
{
    uint64_t every = sim_database_is_committing(worker->database) ? world.fault_every / 8 : world.fault_every;
    uint64_t what = below(every);
    if (what > 3)
        return SIM_NO_FAULT;
    world.counts.faults.late += what < 2;
    world.counts.faults.cuts += what >= 2;
    return what < 2 ? SIM_LATE : what == 2 ? SIM_CUT_BEFORE : SIM_CUT_AFTER;
}

static void kill_worker(int number)
{
    trace_say("worker %d dies", number);
    world.counts.faults.crashes++;
    sim_database_cut(world.workers[number].database, one_in(2));
    worker_forget(&world.workers[number]);
    world.frozen[number] = (int)below(MAX_FREEZE / 2);
    give_around();
}

/* A server that knows `kept` commits takes the place of this one. */
static void move_server(size_t kept, bool has_pooler)
{
    struct sim_postgres *postgres = &world.net.postgres;
    for (size_t i = 0; i < postgres->backend_count; i++)
        if (postgres->backends[i].is_alive)
            sim_end_backend(postgres, i);
    trace_say("%zu of %zu commits are left", kept, postgres->commit_count);
    sim_lose_commits(postgres, kept);
    checks_forget_offsets(postgres);
    for (int i = 0; i < WORKERS; i++)
        sim_database_move_server(world.workers[i].database, has_pooler);
}

static void crash_server(void)
{
    const struct sim_postgres *postgres = &world.net.postgres;
    size_t flushed = sim_flushed(postgres);
    trace_say("the server crashes");
    world.counts.faults.crashes++;
    move_server(flushed + below(postgres->commit_count - flushed + 1), false);
}

static void fail_over(void)
{
    size_t count = world.net.postgres.commit_count;
    size_t lost = below(MAX_LOST);
    bool is_pooled = world.has_pooler && !one_in(4);
    trace_say("a standby takes over%s", is_pooled ? " behind a pooler" : "");
    world.counts.faults.failovers++;
    world.counts.faults.pooled += is_pooled;
    move_server(lost < count ? count - lost : 0, is_pooled);
}

static void restore(void)
{
    trace_say("the server is restored");
    world.counts.faults.restores++;
    move_server(below(world.net.postgres.commit_count + 1), false);
}

/* Only where all hits are numbered: others have no identity but their offset. */
static void rewind_by_hand(int partition)
{
    struct sim_postgres *postgres = &world.net.postgres;
    struct sim_row *row = sim_find_place(postgres, partition, 0);
    if (!world.topic.is_numbered || row == NULL || row->as.place.next_offset <= 0 ||
        postgres->locks[partition] != 0)
        return;
    struct sim_place place = row->as.place;
    place.next_offset = (int64_t)below((uint64_t)place.next_offset);
    trace_say("a person moves the offset of partition %d back to %lld", partition,
              (long long)place.next_offset);
    sim_replace_place(postgres, row, &place);
    world.counts.faults.rewinds++;
}

/* What is stored already, as far as the server knows now, or more. */
static void expire(int partition)
{
    const struct topic_log *log = &world.topic.logs[partition];
    const struct sim_row *row = sim_find_place(&world.net.postgres, partition, 0);
    if (log->shown == 0)
        return;
    int64_t offset = log->messages[below(log->shown)].offset;
    if (row != NULL && row->as.place.next_offset < offset && one_in(2))
        offset = row->as.place.next_offset;
    trace_say("the log of partition %d begins at %lld", partition, (long long)offset);
    topic_expire(&world.topic, partition, offset);
    world.counts.faults.expired++;
}

/* `resume PARTITION --accept-loss`, by a person who has seen the halt. */
static void resume(int partition)
{
    static const struct topic_facts facts = {.cluster_id = "cluster", .partition_count = SIM_PARTITIONS};
    struct sim_postgres *postgres = &world.net.postgres;
    struct sim_row *row = sim_find_place(postgres, partition, 0);
    if (row == NULL || row->as.place.halt_reason.data == NULL || postgres->locks[partition] != 0)
        return;
    struct sim_place place = row->as.place;
    struct resume_order order = {
        .topic = "hits", .partition = partition, .accepts_loss = true, .facts = &facts};
    struct resume_row seen = {.next_offset = place.next_offset,
                              .is_halted = true,
                              .cluster_id = "cluster",
                              .partition_count = SIM_PARTITIONS};
    struct loss_log log = {world.topic.logs[partition].first, topic_end(&world.topic, partition)};
    struct why said;
    struct resume_verdict verdict = resume_judge(&order, &seen, &log, &said);
    MUST(verdict.may_go_on);
    trace_say("%s", said.text);
    place.next_offset = verdict.loss.to;
    place.version++;
    place.owner = (uuid){{0}};
    place.halt_reason = (slice){NULL, 0};
    sim_replace_place(postgres, row, &place);
    world.counts.faults.resumes++;
}

static void something_happens(void)
{
    int number = (int)below(WORKERS);
    switch (below(12)) {
    case 0:
        give_around();
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        trace_say("worker %d stands still", number);
        world.frozen[number] = (int)below(MAX_FREEZE);
        world.counts.faults.frozen++;
        break;
    case 5:
        kill_worker(number);
        break;
    case 6:
        crash_server();
        break;
    case 7:
    case 8:
        if (world.has_standby)
            fail_over();
        break;
    case 9:
        if (world.is_restored && one_in(4))
            restore();
        else
            rewind_by_hand((int)below(SIM_PARTITIONS));
        break;
    default:
        if (world.has_retention && one_in(2))
            expire((int)below(SIM_PARTITIONS));
        else
            resume((int)below(SIM_PARTITIONS));
    }
}

/* ---- Life ---- */

static void take_turn(int number, enum sim_fault fault)
{
    if (world.has_news[number] && one_in(12))
        hear_news(number);
    worker_turn(&world.workers[number], fault);
}

static void step(void)
{
    int number = (int)below(WORKERS);
    pass_time(STEP_MS);
    if (one_in(4))
        topic_grow(&world.topic, &world.net.choice);
    if (one_in(world.event_every)) {
        something_happens();
    } else if (world.frozen[number] > 0) {
        world.frozen[number]--;
    } else {
        take_turn(number, some_fault(&world.workers[number]));
    }
}

static bool find_claims(const struct claim **claims)
{
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        claims[i] = worker_find_claim(&world.workers[world.given_to[i]], i);
        if (claims[i] == NULL)
            return false;
    }
    return true;
}

static bool is_at_rest(void)
{
    const struct claim *claims[SIM_PARTITIONS];
    for (int i = 0; i < WORKERS; i++)
        if (world.has_news[i] || store_is_busy(world.workers[i].store))
            return false;
    if (!find_claims(claims))
        return false;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        if (claims[i]->next_offset < topic_end(&world.topic, i) ||
            sim_next(&world.net.postgres, SIM_STRAYS, i, 0, NULL) != NULL)
            return false;
    return true;
}

static size_t count_open(void)
{
    const struct claim *claims[SIM_PARTITIONS];
    size_t count = 0;
    if (!find_claims(claims))
        return SIZE_MAX;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        count += sessions_count(claims[i]->sessions);
    return count;
}

/* Peace, until all is read; and until nothing is open, if it is told so. */
static void come_to_rest(bool until_closed)
{
    for (int i = 0; !is_at_rest() || (until_closed && count_open() > 0); i++) {
        if (i == REST_STEPS)
            trace_fail("the world does not come to rest: %s",
                       is_at_rest() ? "sessions stay open" : "not everything is read");
        pass_time(REST_STEP_MS);
        resume(i % SIM_PARTITIONS);
        take_turn(i % WORKERS, SIM_NO_FAULT);
    }
    const struct claim *claims[SIM_PARTITIONS];
    MUST(find_claims(claims));
    checks_rest(&world.net.postgres, claims);
}

static void begin_world(uint64_t seed)
{
    const struct mutant *mutant = world.mutant;
    struct sim_postgres *postgres = &world.net.postgres;
    trace_kept->seed = seed;
    world.net.choice = choice_seeded(seed);
    world.net.mono.ms = 1000;
    world.net.wall.ms = BASE_MS + TOPIC_SPREAD_MS * (int64_t)(1 + below(3));
    world.has_pooler = one_in(2);
    world.has_standby = one_in(2);
    world.is_restored = one_in(4);
    world.has_retention = one_in(2);
    world.fault_every = (uint64_t[]){150, 500, 3000}[below(3)];
    world.event_every = (uint64_t[]){25, 60, 200}[below(3)];
    sim_init(postgres);
    postgres->on_commit = checks_commit;
    postgres->commits_late = one_in(3);
    postgres->locks_no_row = mutant != NULL && mutant->locks_no_row;
    sim_statements_edit(mutant != NULL ? mutant->edits : NULL);
    topic_make(&world.topic, &world.net.choice, (wall_ms){BASE_MS});
    checks_use(&world.topic, mutant != NULL && !mutant->is_seen_by_offsets);
    bool is_tight = one_in(3), is_lazy = one_in(2);
    for (int i = 0; i < WORKERS; i++) {
        world.frozen[i] = 0;
        world.workers[i].keeps_strays = mutant != NULL && mutant->keeps_strays;
        worker_start(&world.workers[i], is_tight, is_lazy);
    }
    give_around();
}

void world_run(uint64_t seed)
{
    begin_world(seed);
    for (uint64_t i = MIN_STEPS + below(MAX_STEPS - MIN_STEPS); i > 0; i--)
        step();
    trace_say("peace");
    topic_show_all(&world.topic);
    come_to_rest(false);
    give_around(); /* what others load says the same */
    come_to_rest(false);
    come_to_rest(true);
    give_around();
    come_to_rest(true);
    for (int i = 0; i < WORKERS; i++)
        worker_stop(&world.workers[i]);
}

/* ---- Many worlds ---- */

static void say_nothing(slice line)
{
    (void)line;
}

void world_set_up(const struct mutant *mutant)
{
    log_set_sink(say_nothing);
    sim_database_use(&world.net);
    world.mutant = mutant;
    world.counts = (struct world_counts){.waits = 0};
    world.net.waits = 0;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &world.workers[i];
        worker_init(worker, i);
        worker->net = &world.net;
        worker->topic = &world.topic;
        worker->counts = &world.counts.work;
        worker->on_committed = on_committed;
    }
}

void world_tear_down(void)
{
    for (int i = 0; i < WORKERS; i++)
        worker_fini(&world.workers[i]);
    sim_fini(&world.net.postgres);
}

struct world_counts world_count(void)
{
    struct world_counts counts = world.counts;
    counts.waits = world.net.waits;
    return counts;
}

void world_print(const struct world_counts *counts)
{
    const struct worker_counts *work = &counts->work;
    const struct world_faults *faults = &counts->faults;
    printf(
        "%zu claims, %zu of them too late; %zu commits, %zu of them by zombies; %zu fenced, %zu tried again;"
        " %zu hits, %zu duplicates, %zu strays, %zu sessions closed,"
        " changes forgotten %zu times\n",
        work->claims, work->stale_claims, work->commits, work->stale_commits, work->fenced, work->retries,
        work->hits, work->duplicates, work->strays, work->closed, work->forgotten);
    printf(
        "%zu cuts, %zu late answers, %zu standstills, %zu rebalances, %zu crashes, %zu failovers, %zu of them"
        " unseen, %zu restores, %zu offsets moved by hand; %zu times"
        " the log lost its beginning, %zu halts, %zu resumed; %zu waits\n",
        faults->cuts, faults->late, faults->frozen, faults->rebalances, faults->crashes, faults->failovers,
        faults->pooled, faults->restores, faults->rewinds, faults->expired, work->halts, faults->resumes,
        counts->waits);
}
