/* SPDX-License-Identifier: Apache-2.0
 * sim_worker: see the header. */
#include "tests/unit/aggregator/sim_worker.h"

#include "tests/unit/aggregator/sim_trace.h"

enum {
    MAX_CLOSED = 5,
    MANY_OPEN = 1000,
    FEW_OPEN = 4,
    MESSAGES_A_TURN = 6,
    MAX_BATCH = 24,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
};

static void open_store(struct worker *worker, bool is_tight, bool is_lazy)
{
    struct store_options options = {.conninfo = "",
                                    .topic = "hits",
                                    .gap_ms = WORKER_GAP_MS,
                                    .max_open_sessions = is_tight ? FEW_OPEN : MANY_OPEN,
                                    .commits_lazily = is_lazy};
    struct worker_store *opened = &worker->stores[is_tight][is_lazy];
    opened->store = store_new(NULL, &options);
    opened->database = sim_database_newest();
    store_set_cluster(opened->store, "cluster", SIM_PARTITIONS);
}

void worker_init(struct worker *worker, int number)
{
    *worker = (struct worker){.number = number};
    worker->filling = batch_new("hits", SIM_PARTITIONS);
    worker->writing = batch_new("hits", SIM_PARTITIONS);
    for (int i = 0; i < 4; i++)
        open_store(worker, i & 1, i & 2);
}

static void note_closed(void *context)
{
    (void)context;
}

void worker_fini(struct worker *worker)
{
    for (int i = 0; i < 4; i++)
        store_close(&worker->stores[i & 1][i >> 1].store, note_closed, NULL);
    batch_free(&worker->writing);
    batch_free(&worker->filling);
}

void worker_start(struct worker *worker, bool is_tight, bool is_lazy)
{
    static const struct merge_rules rules = {.topic = "hits",
                                             .gap_ms = WORKER_GAP_MS,
                                             .lateness_ms = WORKER_LATENESS_MS,
                                             .max_closed = MAX_CLOSED};
    worker->store = worker->stores[is_tight][is_lazy].store;
    worker->database = worker->stores[is_tight][is_lazy].database;
    worker->merge = merge_new(&rules); /* it remembers whose turn it is to close sessions */
    sim_database_begin(worker->database);
    assignment_init(&worker->assignment, SIM_PARTITIONS);
    worker->backoff = (struct backoff){.min_ms = BACKOFF_MIN_MS, .max_ms = BACKOFF_MAX_MS};
    worker->resume_at = (mono_ms){0};
    batch_clear(worker->filling);
    batch_clear(worker->writing);
}

void worker_stop(struct worker *worker)
{
    MUST(!store_is_busy(worker->store));
    merge_free(&worker->merge);
    assignment_fini(&worker->assignment);
}

/* ---- What the group says ---- */

static void revoke(struct worker *worker)
{
    assignment_clear(&worker->assignment);
    batch_clear(worker->filling);
}

void worker_assign(struct worker *worker, const int *partitions, size_t count)
{
    revoke(worker);
    MUST(assignment_set(&worker->assignment, partitions, count, worker->net->mono));
}

void worker_forget(struct worker *worker)
{
    revoke(worker);
    worker->resume_at = (mono_ms){0};
}

const struct claim *worker_find_claim(const struct worker *worker, int partition)
{
    const struct assignment_part *part = assignment_find_held(&worker->assignment, partition);
    return part != NULL ? part->claim : NULL;
}

/* ---- Failures (recovering.c) ---- */

static bool is_stale(const struct worker *worker)
{
    return worker->generation != worker->assignment.generation;
}

static void fence(struct worker *worker, const struct store_result *result)
{
    for (size_t i = 0; i < worker->claim_count; i++)
        if (result->partition < 0 || result->partition == worker->claims[i]->partition)
            assignment_fence(&worker->assignment, worker->claims[i]->partition, worker->net->mono);
}

static void recover(struct worker *worker, const struct store_result *result)
{
    trace_say("  worker %d: %s", worker->number, result->reason);
    if (result->outcome == STORE_FENCED) {
        worker->counts->fenced++;
        fence(worker, result);
    } else if (result->outcome == STORE_RETRY) {
        worker->counts->retries++;
        worker->resume_at.ms = worker->net->mono.ms + backoff_next(&worker->backoff);
    } else {
        trace_fail("the store wants a person: %s", result->reason);
    }
    assignment_drop(&worker->assignment);
    batch_clear(worker->filling);
    batch_clear(worker->writing);
}

/* ---- Halts (halting.c, committing.c) ---- */

static void halt(struct worker *worker, int partition, const char *reason)
{
    if (!assignment_halt(&worker->assignment, partition, reason, worker->net->mono))
        return;
    worker->counts->halts++;
    trace_say("  worker %d halts %d: %s", worker->number, partition, reason);
}

static void on_halt_kept(void *context, const struct store_result *result)
{
    struct worker *worker = context;
    if (result->outcome == STORE_RETRY)
        recover(worker, result);
    else if (is_stale(worker))
        return;
    else if (result->outcome == STORE_FENCED)
        assignment_fence(&worker->assignment, worker->halting, worker->net->mono);
    else if (result->outcome == STORE_DONE)
        assignment_note_halt_kept(&worker->assignment, worker->halting, worker->net->mono);
    else
        trace_fail("the halt is not kept: %s", result->reason);
}

/* When what was read before is stored. False: there is nothing to keep now. */
static bool keep_halt(struct worker *worker)
{
    int partition = assignment_find_halt(&worker->assignment);
    if (partition < 0 || worker->filling->next_offsets[partition] >= 0)
        return false;
    const struct assignment_part *part = &worker->assignment.parts[partition];
    worker->halting = partition;
    store_keep_halt(worker->store, &(struct store_halt){partition, part->halt_owner, part->halt_reason},
                    on_halt_kept, worker);
    return true;
}

/* ---- Claims (committing.c) ---- */

static void hold_take(struct worker *worker, struct claim *claim)
{
    int partition = claim->partition;
    backoff_reset(&worker->backoff);
    worker->counts->claims++;
    bool is_ours = assignment_hold_take(&worker->assignment, worker->generation, claim);
    worker->counts->stale_claims += !is_ours;
    trace_say("  worker %d %s %d", worker->number, is_ours ? "holds" : "has no use any more for", partition);
}

static void on_claimed(void *context, const struct store_result *result, struct claim *claim)
{
    struct worker *worker = context;
    if (result->outcome == STORE_DONE)
        hold_take(worker, claim);
    else if (result->outcome == STORE_RETRY)
        recover(worker, result);
    else if (is_stale(worker))
        return;
    else if (result->outcome == STORE_FENCED)
        assignment_fence(&worker->assignment, worker->claiming, worker->net->mono);
    else
        halt(worker, worker->claiming, result->reason);
}

/* ---- Batches (committing.c) ---- */

static void note_committed(struct worker *worker)
{
    const struct merge_output *output = merge_output(worker->merge);
    struct worker_counts *counts = worker->counts;
    backoff_reset(&worker->backoff);
    counts->commits++;
    counts->hits += output->new_hit_count;
    counts->duplicates += output->duplicate_count;
    counts->strays += output->stray_count;
    counts->closed += output->closed_count;
    counts->stale_commits += is_stale(worker);
    trace_say("  worker %d committed %zu hits, %zu duplicates, %zu closed, %zu changes, %zu strays",
              worker->number, output->new_hit_count, output->duplicate_count, output->closed_count,
              output->change_count, output->stray_count);
    if (is_stale(worker))
        return;
    for (size_t i = 0; i < worker->claim_count; i++) {
        int64_t before;
        counts->forgotten += merge_forgets(worker->merge, worker->claims[i]->partition, &before);
        assignment_note_committed(&worker->assignment, worker->claims[i]->partition);
        worker->on_committed(worker->claims[i]);
    }
}

static void on_written(void *context, const struct store_result *result)
{
    struct worker *worker = context;
    if (result->outcome == STORE_DONE)
        note_committed(worker);
    else if (!is_stale(worker) || result->outcome == STORE_RETRY)
        recover(worker, result);
    batch_clear(worker->writing);
}

static bool needs_upkeep(const struct worker *worker, const struct claim *held)
{
    wall_ms watermark =
        claim_watermark(held, worker->net->wall, worker->quiet_ms[held->partition], WORKER_LATENESS_MS);
    struct sessions_question question = {.watermark = watermark,
                                         .lateness_ms = WORKER_LATENESS_MS,
                                         .now = worker->net->mono,
                                         .looks = SESSIONS_LOOKS_A_TURN};
    return held->has_strays || sessions_has_due(held->sessions, &question);
}

static void gather_claims(struct worker *worker)
{
    worker->claim_count = 0;
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        struct claim *held = worker->assignment.parts[i].claim;
        worker->quiet_ms[i] = assignment_quiet_ms(&worker->assignment, i, worker->net->mono);
        if (held != NULL && (worker->filling->next_offsets[i] >= 0 || needs_upkeep(worker, held)))
            worker->claims[worker->claim_count++] = held;
    }
}

static void write_batch(struct worker *worker)
{
    gather_claims(worker);
    if (worker->claim_count == 0)
        return;
    struct batch *batch = worker->filling;
    worker->filling = worker->writing;
    worker->writing = batch;
    trace_say("  worker %d begins a batch of %zu messages, %zu partitions", worker->number,
              batch->message_count, worker->claim_count);
    store_write(worker->store,
                &(struct store_batch){.batch = batch,
                                      .merge = worker->merge,
                                      .claims = worker->claims,
                                      .claim_count = worker->claim_count,
                                      .quiet_ms = worker->quiet_ms},
                on_written, worker);
}

/* ---- Strays (committing.c) ---- */

static void on_peeked(void *context, const struct store_result *result)
{
    struct worker *worker = context;
    if (result->outcome != STORE_DONE && (!is_stale(worker) || result->outcome == STORE_RETRY))
        recover(worker, result);
}

static void peek(struct worker *worker)
{
    worker->claim_count = 0;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        if (worker->assignment.parts[i].claim != NULL)
            worker->claims[worker->claim_count++] = worker->assignment.parts[i].claim;
    if (worker->claim_count > 0)
        store_peek_strays(worker->store, worker->claims, worker->claim_count, on_peeked, worker);
}

/* ---- Reading (aggregator.c, intake.c) ---- */

static void add_hit(struct worker *worker, const struct batch_position *at,
                    const struct topic_message *message)
{
    const struct session *part = &message->part;
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
    batch_add_hit(worker->filling, at, &hit, &place);
    if (worker->keeps_strays)
        worker->filling->hits[worker->filling->hit_count - 1].home = at->partition;
}

/* False: there is nothing more to read now. */
static bool read_one(struct worker *worker, int partition)
{
    const struct assignment_part *held = assignment_find_held(&worker->assignment, partition);
    if (held->read_offset >= 0 && held->read_offset < worker->topic->logs[partition].first) {
        halt(worker, partition, "the log begins later");
        return false;
    }
    const struct topic_message *message = topic_next(worker->topic, partition, held->read_offset);
    if (message == NULL) {
        assignment_note_end(&worker->assignment, partition, worker->net->mono);
        return false;
    }
    MUST(assignment_accept(&worker->assignment, partition, message->offset) != NULL);
    struct batch_position at = {
        .partition = partition, .offset = message->offset, .written = message->written};
    if (!message->is_control) {
        add_hit(worker, &at, message);
        return true;
    }
    batch_pass(worker->filling, &at);
    batch_note_control(worker->filling, &at, &message->control);
    return true;
}

static void read_some(struct worker *worker)
{
    for (int partition = 0; partition < SIM_PARTITIONS; partition++) {
        uint64_t left = choice_below(&worker->net->choice, MESSAGES_A_TURN);
        if (worker_find_claim(worker, partition) == NULL ||
            worker->assignment.parts[partition].halt != HALT_NONE)
            continue;
        while (left-- > 0 && worker->filling->message_count < MAX_BATCH && read_one(worker, partition))
            continue;
    }
}

/* ---- One thing at a time ---- */

static void start_something(struct worker *worker)
{
    assignment_bury(&worker->assignment);
    if (worker->net->mono.ms < worker->resume_at.ms)
        return;
    int partition = assignment_find_due(&worker->assignment, worker->net->mono);
    worker->generation = worker->assignment.generation;
    if (partition >= 0) {
        worker->claiming = partition;
        trace_say("  worker %d claims %d", worker->number, partition);
        store_claim(worker->store, partition, on_claimed, worker);
    } else if (keep_halt(worker)) {
        return;
    } else if (choice_one_in(&worker->net->choice, 4)) {
        peek(worker);
    } else {
        write_batch(worker);
    }
}

void worker_turn(struct worker *worker, enum sim_fault fault)
{
    read_some(worker);
    if (store_is_busy(worker->store))
        sim_database_turn(worker->database, fault);
    else
        start_something(worker);
}
