/* SPDX-License-Identifier: Apache-2.0
 * The whole of dedup, sessions, strays and fence in one simulated world: a log with replays and strays, a
 * transactional store, and workers that claim from each other, crash in every step of a batch, lose the reply
 * to a COMMIT and go on as zombies. Whatever happens, each hit is stored once and the sessions are those of
 * the set of hits. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/partition.h"
#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/simulated_store.h"

enum {
    SEEDS = 500,
    WORKERS = 3,
    BOOTS = 3,
    HITS = 300,
    STEPS = 150,
    GAP_MS = 300000,
    LATENESS_MS = 15000,
    BASE_MS = 1700000000,
    SPREAD_STEPS = 40,
    QUIET_MS = 60000,
};

struct message {
    size_t hit; /* number of the distinct hit */
    bool has_stream;
    struct hit_stream stream;
    int64_t seq;
    struct session part;
};

struct log {
    size_t count;
    struct message messages[SIM_MAX_HITS];
};

struct worker {
    struct claim *claims[SIM_PARTITIONS]; /* NULL: not its own, as far as it knows */
};

/* Where a batch is interrupted. */
enum crash {
    CRASH_NEVER,
    CRASH_AFTER_FENCE,
    CRASH_AFTER_SETS,
    CRASH_BEFORE_WRITING,
    CRASH_BEFORE_COMMIT,
    LOST_REPLY
};

struct counts { /* what happened, so that the test can see that it tested something */
    size_t committed, fenced, crashed, lost_replies, duplicates, strays, taken_back, forgotten_claims;
};

static struct world {
    struct choice choice;
    struct sim_store store;
    struct log logs[SIM_PARTITIONS];
    struct sessions_model expected;
    struct worker workers[WORKERS];
    size_t max_open;
    wall_ms wall;
    mono_ms mono;
} world;

static struct batch *batch;
static struct merge *merge;
static struct counts counts;
static uint64_t seed_under_way;

static void on_abort(int signal)
{
    (void)signal;
    fprintf(stderr, "the seed was %llu\n", (unsigned long long)seed_under_way);
}

static uint64_t below(uint64_t limit)
{
    return choice_below(&world.choice, limit);
}

/* ---- The log ---- */

static int home_of(const struct session *part)
{
    char key[PARTITION_KEY_MAX];
    size_t len = partition_key_write(part->host, part->ip, key);
    return partition_of_key((slice){key, len}, SIM_PARTITIONS);
}

static struct message random_message(size_t number, int64_t next_seqs[BOOTS][SIM_PARTITIONS])
{
    struct message message = {.hit = number,
                              .has_stream = below(5) > 0,
                              .part = random_part(&world.choice, (wall_ms){BASE_MS}, SPREAD_STEPS)};
    message.part.last = message.part.start;
    message.part.events = 1;
    message.part.bot_events = (int64_t)below(2);
    message.part.exit_url = message.part.entry_url;
    if (message.has_stream) {
        uint8_t boot = (uint8_t)below(BOOTS);
        int home = home_of(&message.part);
        message.stream = (struct hit_stream){.boot.bytes = {boot}, .partition = home};
        message.seq = ++next_seqs[boot][home];
    }
    return message;
}

/* Our collectors key by visitor and may say a thing twice; others put hits anywhere. */
static void make_logs(void)
{
    static struct message messages[2 * HITS];
    int64_t next_seqs[BOOTS][SIM_PARTITIONS] = {{0}};
    size_t count = 0;
    for (size_t i = 0; i < HITS; i++) {
        struct message message = random_message(i, next_seqs);
        model_add(&world.expected, &message.part, (mono_ms){0});
        messages[count++] = message;
        if (message.has_stream && below(8) == 0)
            messages[count++] = message;
    }
    choice_shuffle(&world.choice, messages, count, sizeof *messages);
    for (size_t i = 0; i < count; i++) {
        size_t partition =
            messages[i].has_stream ? (size_t)messages[i].stream.partition : below(SIM_PARTITIONS);
        struct log *log = &world.logs[partition];
        log->messages[log->count++] = messages[i];
    }
}

/* ---- Workers ---- */

static void forget(struct worker *worker, int partition)
{
    claim_free(&worker->claims[partition]);
    counts.forgotten_claims++;
}

static void claim(struct worker *worker, int partition)
{
    uuid owner = {{0}};
    for (size_t i = 0; i < sizeof owner.bytes; i++)
        owner.bytes[i] = (uint8_t)below(256);
    claim_free(&worker->claims[partition]);
    worker->claims[partition] = sim_claim(&world.store, partition, owner, world.max_open, world.mono);
}

static size_t gather_claims(const struct worker *worker, struct claim **claims)
{
    size_t count = 0;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        if (worker->claims[i] != NULL)
            claims[count++] = worker->claims[i];
    return count;
}

static void add_message(int partition, int64_t offset)
{
    const struct message *message = &world.logs[partition].messages[offset];
    const struct session *part = &message->part;
    struct batch_position at = {.partition = partition, .offset = offset, .written = part->start};
    struct hit hit = {.url = part->entry_url,
                      .referrer = part->referrer,
                      .ip = part->ip,
                      .host = part->host,
                      .event_time = part->start,
                      .has_stream = message->has_stream,
                      .stream = message->stream,
                      .seq = message->seq,
                      .flags = part->bot_events > 0 ? HIT_FLAG_BOT_AGENT : 0};
    struct place place = {
        .country = part->country, .state = part->state, .city = part->city, .geodata = SLICE("{}")};
    batch_add_hit(batch, &at, &hit, &place);
}

static void read_messages(const struct claim *of)
{
    int64_t offset = of->next_offset < 0 ? 0 : of->next_offset;
    int64_t end = (int64_t)world.logs[of->partition].count;
    for (uint64_t i = below(40); i > 0 && offset < end; i--)
        add_message(of->partition, offset++);
}

/* ---- A batch's transaction ---- */

static bool check_fence(struct worker *worker, struct claim *const *claims, size_t claim_count)
{
    bool is_held = true;
    for (size_t i = 0; i < claim_count; i++) {
        if (sim_holds(&world.store, claims[i]))
            continue;
        forget(worker, claims[i]->partition);
        is_held = false;
    }
    counts.fenced += !is_held;
    return is_held;
}

static void receive_hits(struct claim *const *claims, size_t claim_count)
{
    int partition;
    sim_load_streams(&world.store, claims, batch);
    MUST(merge_start(merge, batch, claims, claim_count, &partition) == STATUS_OK);
    for (size_t i = 0; i < claim_count; i++)
        sim_save_streams(&world.store, claims[i]);
}

static size_t count_deleted(const struct sim_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->committed; i++)
        count += table->rows[i].is_deleted;
    return count;
}

static void merge_sessions(struct claim *const *claims, size_t claim_count)
{
    int64_t quiet_ms[SIM_PARTITIONS];
    for (int i = 0; i < SIM_PARTITIONS; i++)
        quiet_ms[i] = batch->next_offsets[i] == -1 ? QUIET_MS : -1;
    for (size_t i = 0; i < claim_count; i++)
        sim_take_strays(&world.store, claims[i], merge);
    sim_take_stored(&world.store, merge);
    struct merge_time time = {.wall = world.wall, .mono = world.mono, .quiet_ms = quiet_ms};
    merge_finish(merge, &time);
    counts.strays += count_deleted(&world.store.strays);
    counts.taken_back += count_deleted(&world.store.sessions);
    counts.duplicates += merge_output(merge)->duplicate_count;
}

static int64_t offset_after(const struct claim *of)
{
    int64_t next = batch->next_offsets[of->partition];
    return next == -1 ? of->next_offset : next;
}

static void write_rows(struct claim *const *claims, size_t claim_count)
{
    sim_write_output(&world.store, merge_output(merge));
    sim_write_hits(&world.store, batch);
    for (size_t i = 0; i < claim_count; i++) {
        int64_t before;
        if (merge_forgets(merge, claims[i]->partition, &before))
            sim_forget_changes(&world.store, claims[i]->partition, before);
        sim_move(&world.store, claims[i], offset_after(claims[i]));
    }
}

/* True when it was committed and the worker knows it. */
static bool run_transaction(struct claim *const *claims, size_t claim_count, enum crash crash)
{
    if (crash == CRASH_AFTER_FENCE)
        return false;
    receive_hits(claims, claim_count);
    if (crash == CRASH_AFTER_SETS)
        return false;
    merge_sessions(claims, claim_count);
    if (crash == CRASH_BEFORE_WRITING)
        return false;
    write_rows(claims, claim_count);
    if (crash == CRASH_BEFORE_COMMIT)
        return false;
    sim_commit(&world.store);
    counts.committed++;
    return crash != LOST_REPLY;
}

static void write_batch(struct worker *worker, enum crash crash)
{
    struct claim *claims[SIM_PARTITIONS];
    size_t claim_count = gather_claims(worker, claims);
    if (claim_count == 0)
        return;
    batch_clear(batch);
    for (size_t i = 0; i < claim_count; i++)
        read_messages(claims[i]);
    if (!check_fence(worker, claims, claim_count))
        return;
    if (run_transaction(claims, claim_count, crash)) {
        for (size_t i = 0; i < claim_count; i++) {
            claims[i]->next_offset = offset_after(claims[i]);
            claims[i]->version++;
        }
        return;
    }
    sim_abort(&world.store); /* nothing is left to abort after a lost reply */
    for (size_t i = 0; i < claim_count; i++)
        forget(worker, claims[i]->partition);
    counts.crashed += crash != LOST_REPLY;
    counts.lost_replies += crash == LOST_REPLY;
}

/* ---- What must hold ---- */

static void check_hits(void)
{
    static size_t times[HITS];
    memset(times, 0, sizeof times);
    MUST(world.store.hit_count == HITS);
    for (size_t i = 0; i < world.store.hit_count; i++) {
        const struct batch_position *at = &world.store.hits[i];
        times[world.logs[at->partition].messages[at->offset].hit]++;
    }
    for (size_t i = 0; i < HITS; i++)
        MUST(times[i] == 1);
}

/* Stored and open sessions together are those of the set of hits. */
static void check_sessions(void)
{
    static struct session expected[MODEL_MAX], found[MODEL_MAX];
    size_t count = 0;
    for (size_t i = 0; i < world.store.sessions.count; i++)
        found[count++] = world.store.sessions.rows[i].value;
    for (int partition = 0; partition < SIM_PARTITIONS; partition++) {
        size_t cursor = 0;
        while (sessions_next(world.workers[0].claims[partition]->sessions, &cursor, &found[count]))
            count++;
    }
    MUST(count == world.expected.count);
    for (size_t i = 0; i < count; i++)
        expected[i] = world.expected.open[i].value;
    qsort(expected, count, sizeof *expected, session_order);
    qsort(found, count, sizeof *found, session_order);
    for (size_t i = 0; i < count; i++)
        MUST(session_is_same(&expected[i], &found[i]));
}

static bool is_read_to_the_end(void)
{
    for (int i = 0; i < SIM_PARTITIONS; i++)
        if (world.logs[i].count > 0 && world.store.partitions[i].next_offset < (int64_t)world.logs[i].count)
            return false;
    return world.store.strays.count == 0;
}

static size_t count_open(void)
{
    size_t count = 0;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        count += sessions_count(world.workers[0].claims[i]->sessions);
    return count;
}

/* One worker goes on alone, in peace. */
static void finish(void)
{
    struct worker *last = &world.workers[0];
    for (int i = 0; i < SIM_PARTITIONS; i++)
        claim(last, i);
    for (int round = 0; !is_read_to_the_end(); round++) {
        MUST(round < 1000);
        write_batch(last, CRASH_NEVER);
    }
    check_hits();
    check_sessions();
    for (int round = 0; count_open() > 0; round++) {
        MUST(round < 1000);
        world.mono.ms += 10000;
        write_batch(last, CRASH_NEVER);
    }
    check_sessions();
    for (int i = 0; i < SIM_PARTITIONS; i++)
        claim(last, i); /* what is stored as changes says the same */
    MUST(count_open() == 0);
}

/* ---- The life ---- */

static void step(void)
{
    struct worker *worker = &world.workers[below(WORKERS)];
    int partition = (int)below(SIM_PARTITIONS);
    uint64_t what = below(16);
    world.mono.ms += (int64_t)below(3000);
    if (what < 3)
        claim(worker, partition);
    else if (what < 4)
        forget(worker, partition);
    else
        write_batch(worker, below(3) > 0 ? CRASH_NEVER : (enum crash)below(LOST_REPLY + 1));
}

static void run_world(uint64_t seed)
{
    seed_under_way = seed;
    memset(&world, 0, sizeof world);
    sim_init(&world.store);
    world.choice = choice_seeded(seed);
    world.expected.gap_ms = GAP_MS;
    world.max_open = below(2) > 0 ? 1000 : 1 + below(8);
    world.wall.ms = BASE_MS + (int64_t)10 * SPREAD_STEPS * GAP_MS;
    make_logs();
    for (int i = 0; i < STEPS; i++)
        step();
    finish();
    for (size_t i = 0; i < WORKERS; i++)
        for (int partition = 0; partition < SIM_PARTITIONS; partition++)
            claim_free(&world.workers[i].claims[partition]);
}

static void nothing_is_lost_and_nothing_counts_twice(void **state)
{
    (void)state;
    struct merge_rules rules = {
        .topic = "hits", .gap_ms = GAP_MS, .lateness_ms = LATENESS_MS, .max_closed = 5};
    batch = batch_new("hits", SIM_PARTITIONS);
    merge = merge_new(&rules);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_world(seed);
    merge_free(&merge);
    batch_free(&batch);
    printf("%zu commits, %zu fenced, %zu crashes, %zu lost replies, %zu duplicates, %zu strays, %zu rows "
           "taken back\n",
           counts.committed, counts.fenced, counts.crashed, counts.lost_replies, counts.duplicates,
           counts.strays, counts.taken_back);
    assert_true(counts.fenced > SEEDS && counts.crashed > SEEDS && counts.lost_replies > SEEDS / 2);
    assert_true(counts.duplicates > SEEDS && counts.strays > SEEDS && counts.taken_back > SEEDS);
}

int main(void)
{
    signal(SIGABRT, on_abort);
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_and_nothing_counts_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
