/* SPDX-License-Identifier: Apache-2.0
 * merge_world: see the header. */
#include "tests/unit/aggregator/merge_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/partition.h"
#include "tests/lib/sessions_model.h"
#include "tests/unit/aggregator/merge_oracle.h"
#include "tests/unit/aggregator/tuples.h"

static const wall_ms base = {1738470000000}; /* 2025-02-02T04:20:00Z */
enum { SPREAD_STEPS = 40, STEP_MS = 100000 /* as in random_part */ };

static void check(const struct world *world, bool holds, const char *what)
{
    if (!holds)
        fail_msg("seed %llu: %s", (unsigned long long)world->seed, what);
}

/* ---- Making one ---- */

static void add_message(struct world *world, int partition, const struct world_message *message)
{
    struct world_log *log = &world->logs[partition];
    log->messages[log->count++] = *message;
}

static int home_of(const struct session *hit)
{
    char key[PARTITION_KEY_MAX];
    size_t len = partition_key_write(hit->host, hit->ip, key);
    return partition_of_key((slice){key, len}, WORLD_PARTITIONS);
}

static void make_hits(struct world *world)
{
    world->hit_count = 1 + choice_below(&world->choice, WORLD_MAX_HITS);
    for (size_t i = 0; i < world->hit_count; i++) {
        struct session *hit = &world->hits[i];
        *hit = random_part(&world->choice, base, SPREAD_STEPS);
        hit->last = hit->start;
        hit->events = 1;
        hit->bot_events = (int64_t)choice_below(&world->choice, 2);
        hit->exit_url = hit->entry_url;
    }
}

/* Each hit in its home or not, with a number of one of three streams or without; then some once more. */
static void make_logs(struct world *world)
{
    int64_t seqs[WORLD_PARTITIONS][3] = {{0}};
    for (size_t i = 0; i < world->hit_count; i++) {
        int partition = home_of(&world->hits[i]);
        if (choice_one_in(&world->choice, 4))
            partition = (int)choice_below(&world->choice, WORLD_PARTITIONS);
        size_t boot = choice_below(&world->choice, 4);
        struct world_message message = {.number = i, .has_stream = boot < 3};
        if (message.has_stream) {
            message.stream = (struct hit_stream){.boot = {{(uint8_t)boot + 1}}, .partition = partition};
            message.seq = ++seqs[partition][boot];
        }
        add_message(world, partition, &message);
    }
    for (int partition = 0; partition < WORLD_PARTITIONS; partition++) {
        struct world_log *log = &world->logs[partition];
        choice_shuffle(&world->choice, log->messages, log->count, sizeof log->messages[0]);
        size_t once = log->count;
        for (size_t i = 0; i < once; i++)
            if (log->messages[i].has_stream && choice_one_in(&world->choice, 3))
                add_message(world, partition, &log->messages[i]);
    }
}

void world_make(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->choice = choice_seeded(seed);
    make_hits(world);
    make_logs(world);
    world->wall = base;
    world->max_open = choice_one_in(&world->choice, 3) ? 1 + choice_below(&world->choice, 5) : 1000;
    struct merge_rules rules = {.topic = "hits",
                                .gap_ms = WORLD_GAP_MS,
                                .lateness_ms = WORLD_LATENESS_MS,
                                .max_closed = 1 + choice_below(&world->choice, 4)};
    world->merge = merge_new(&rules);
    world->batch = batch_new("hits", WORLD_PARTITIONS);
    for (int i = 0; i < WORLD_PARTITIONS; i++)
        world->tables.partitions[i].stored_until.ms = INT64_MIN;
}

void world_unmake(struct world *world)
{
    for (int i = 0; i < WORLD_PARTITIONS; i++)
        claim_free(&world->claims[i]);
    batch_free(&world->batch);
    merge_free(&world->merge);
}

/* ---- Claims ---- */

static struct claim *claim_partition(struct world *world, int partition)
{
    const struct world_tables *tables = &world->tables;
    struct claim *claim = claim_new(partition, WORLD_GAP_MS, world->max_open);
    claim->next_offset = tables->partitions[partition].next_offset;
    claim->version = tables->partitions[partition].version;
    claim->stored_until = tables->partitions[partition].stored_until;
    for (size_t i = 0; i < tables->change_count; i++)
        if (tables->changes[i].partition == partition)
            sessions_replay(claim->sessions, &tables->changes[i].value, world->mono);
    return claim;
}

static const struct world_set *find_set(const struct world_tables *tables, int partition,
                                        const struct hit_stream *stream)
{
    for (size_t i = 0; i < tables->set_count; i++)
        if (tables->sets[i].partition == partition && uuid_equals(tables->sets[i].stream.boot, stream->boot))
            return &tables->sets[i];
    return NULL;
}

static void load_streams(struct world *world)
{
    for (size_t i = 0; i < world->batch->hit_count; i++) {
        const struct batch_hit *hit = &world->batch->hits[i];
        struct claim *claim = world->claims[hit->at.partition];
        if (!hit->has_stream || claim_stream_find(claim, &hit->stream) != NULL)
            continue;
        struct received set = {.count = 0};
        const struct world_set *saved = find_set(&world->tables, hit->at.partition, &hit->stream);
        if (saved != NULL)
            check(world, received_read((slice){saved->text, saved->len}, &set) == STATUS_OK,
                  "a set is readable");
        claim_stream_add(claim, &hit->stream, set);
    }
}

static void save_set(struct world *world, const struct claim *claim, struct claim_stream *stream)
{
    struct world_tables *tables = &world->tables;
    struct world_set *saved = (struct world_set *)find_set(tables, claim->partition, &stream->stream);
    if (saved == NULL) {
        saved = &tables->sets[tables->set_count++];
        saved->partition = claim->partition;
        saved->stream = stream->stream;
    }
    struct buf out;
    buf_init(&out, saved->text, sizeof saved->text);
    received_write(&stream->set, &out);
    check(world, !out.overflowed, "a set has room");
    saved->len = out.len;
    stream->changed = false;
}

static void save_streams(struct world *world, struct claim *const *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct claim_stream *stream;
        for (size_t cursor = 0; (stream = claim_stream_next(claims[i], &cursor)) != NULL;)
            if (stream->changed)
                save_set(world, claims[i], stream);
    }
}

/* ---- The tables ---- */

static void take_strays(struct world *world, size_t limit)
{
    struct world_tables *tables = &world->tables;
    for (size_t i = 0; i < tables->stray_count && limit > 0;) {
        const struct world_row *stray = &tables->strays[i];
        if (!world->claims[stray->partition]->has_strays) {
            i++;
            continue;
        }
        merge_take_stray(world->merge, stray->partition, &stray->value);
        tables->strays[i] = tables->strays[--tables->stray_count];
        world->counts.strays_taken++;
        limit--;
    }
}

static bool is_looked_for(const struct merge_lookup *lookup, const struct session *stored)
{
    return ip_equals(lookup->ip, stored->ip) && slice_equals(lookup->host, stored->host) &&
           stored->last.ms + WORLD_GAP_MS >= lookup->from.ms && stored->start.ms <= lookup->to.ms;
}

/* All look-ups are made before the first row is given, as by one statement. */
static void take_stored(struct world *world)
{
    static struct merge_lookup lookups[2 * WORLD_MAX_HITS];
    struct world_tables *tables = &world->tables;
    size_t lookup_count = 0;
    size_t cursor = 0;
    while (merge_next_lookup(world->merge, &cursor, &lookups[lookup_count]))
        lookup_count++;
    world->counts.lookups += lookup_count;
    for (size_t i = 0; i < tables->session_count;) {
        size_t at = 0;
        while (at < lookup_count && !is_looked_for(&lookups[at], &tables->sessions[i]))
            at++;
        if (at == lookup_count) {
            i++;
            continue;
        }
        merge_take_stored(world->merge, lookups[at].partition, &tables->sessions[i]);
        tables->sessions[i] = tables->sessions[--tables->session_count];
        world->counts.taken_back++;
    }
}

static void store_hits(struct world *world)
{
    for (size_t i = 0; i < world->batch->hit_count; i++) {
        const struct batch_hit *hit = &world->batch->hits[i];
        size_t number = world->logs[hit->at.partition].messages[hit->at.offset].number;
        check(world, hit->is_duplicate == world->tables.has_hit[number],
              "a hit is a duplicate iff it is stored");
        world->tables.has_hit[number] = true;
        world->counts.duplicates += hit->is_duplicate;
    }
}

static void store_closed(struct world *world, const struct merge_output *output)
{
    struct world_tables *tables = &world->tables;
    slice rest = buf_slice(&output->closed);
    size_t count = 0;
    struct session session;
    for (; tuples_next_session(&rest, WORLD_GAP_MS, &session); count++)
        tables->sessions[tables->session_count++] = pooled(&session);
    check(world, count == output->closed_count && tables->session_count < WORLD_MAX_ROWS,
          "closed are counted");
    world->counts.closed += count;
}

static void store_changes(struct world *world, const struct merge_output *output)
{
    struct world_tables *tables = &world->tables;
    struct tuples_changes rest = {.rest = buf_slice(&output->changes)};
    size_t count = 0;
    for (struct tuples_change change; tuples_next_change(&rest, SLICE("hits"), &change); count++)
        tables->changes[tables->change_count++] = (struct world_row){.partition = change.partition,
                                                                     .version = change.version,
                                                                     .ordinal = change.ordinal,
                                                                     .value = pooled(&change.value)};
    check(world, count == output->change_count && tables->change_count < WORLD_MAX_ROWS,
          "changes are counted");
}

static void store_strays(struct world *world, const struct merge_output *output)
{
    struct world_tables *tables = &world->tables;
    slice rest = buf_slice(&output->strays);
    size_t count = 0;
    for (struct tuples_stray stray; tuples_next_stray(&rest, SLICE("hits"), &stray); count++)
        tables->strays[tables->stray_count++] =
            (struct world_row){.partition = stray.home, .value = pooled(&stray.value)};
    check(world, count == output->stray_count && tables->stray_count < WORLD_MAX_ROWS, "strays are counted");
    world->counts.strays_made += count;
}

/* ---- One batch ---- */

static void read_messages(struct world *world, const struct claim *claim, size_t count)
{
    const struct world_log *log = &world->logs[claim->partition];
    for (size_t at = (size_t)claim->next_offset; at < log->count && count > 0; at++, count--) {
        const struct world_message *message = &log->messages[at];
        const struct session *source = &world->hits[message->number];
        struct batch_position position = {claim->partition, (int64_t)at, source->start};
        struct place place = {.country = source->country, .state = source->state, .city = source->city};
        struct hit hit = {.url = source->entry_url,
                          .referrer = source->referrer,
                          .ip = source->ip,
                          .host = source->host,
                          .event_time = source->start,
                          .has_stream = message->has_stream,
                          .stream = message->stream,
                          .seq = message->seq,
                          .flags = source->bot_events > 0 ? HIT_FLAG_BOT_AGENT : HIT_FLAG_PRIVACY};
        batch_add_hit(world->batch, &position, &hit, &place);
    }
}

static void drive_merge(struct world *world, struct claim *const *claims, size_t count, size_t max_strays,
                        const struct merge_time *time)
{
    int partition;
    load_streams(world);
    check(world, merge_start(world->merge, world->batch, claims, count, &partition) == STATUS_OK,
          "merge starts");
    save_streams(world, claims, count);
    take_strays(world, max_strays);
    take_stored(world);
    merge_finish(world->merge, time);
}

static void commit(struct world *world, struct claim *const *claims, size_t count)
{
    const struct merge_output *output = merge_output(world->merge);
    store_hits(world);
    store_closed(world, output);
    store_changes(world, output);
    store_strays(world, output);
    for (size_t i = 0; i < count; i++) {
        struct claim *claim = claims[i];
        int64_t next = world->batch->next_offsets[claim->partition];
        claim->next_offset = next >= 0 ? next : claim->next_offset;
        claim->version++;
        claim->has_strays = false;
        world->tables.partitions[claim->partition].next_offset = claim->next_offset;
        world->tables.partitions[claim->partition].version = claim->version;
        check(world, claim->stored_until.ms >= world->tables.partitions[claim->partition].stored_until.ms,
              "stored_until never goes back");
        world->tables.partitions[claim->partition].stored_until = claim->stored_until;
    }
}

/* What was taken out of the tables comes back, and no claim of the batch survives. */
static void roll_back(struct world *world, struct claim *const *claims, size_t count)
{
    int partitions[WORLD_PARTITIONS];
    for (size_t i = 0; i < count; i++)
        partitions[i] = claims[i]->partition;
    for (size_t i = 0; i < count; i++)
        claim_free(&world->claims[partitions[i]]);
    world->tables = world->before;
    world->counts.rollbacks++;
}

static void run_batch(struct world *world, const bool *takes_part, const struct merge_time *time,
                      bool is_lost)
{
    struct claim *claims[WORLD_PARTITIONS];
    size_t count = 0;
    world->before = world->tables;
    batch_clear(world->batch);
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        if (world->claims[i] == NULL)
            world->claims[i] = claim_partition(world, i);
        if (!takes_part[i])
            continue;
        claims[count++] = world->claims[i];
        world->claims[i]->has_strays = choice_one_in(&world->choice, 2);
        read_messages(world, world->claims[i], choice_below(&world->choice, 12));
    }
    drive_merge(world, claims, count, 1 + choice_below(&world->choice, 8), time);
    if (is_lost)
        roll_back(world, claims, count);
    else
        commit(world, claims, count);
}

/* ---- What always holds ---- */

static bool is_replaced(const struct world_tables *tables, size_t at)
{
    const struct world_row *row = &tables->changes[at];
    for (size_t i = at + 1; i < tables->change_count; i++) {
        const struct world_row *later = &tables->changes[i];
        if (later->partition == row->partition && session_is_same_key(&later->value, &row->value) &&
            later->value.start.ms <= row->value.last.ms && later->value.last.ms >= row->value.start.ms)
            return true;
    }
    return false;
}

/* What footfall.open_sessions shows, then what is stored. */
static size_t list_sessions(const struct world_tables *tables, struct session *out)
{
    size_t count = 0;
    for (size_t i = 0; i < tables->change_count; i++)
        if (tables->changes[i].value.events > 0 && !is_replaced(tables, i))
            out[count++] = tables->changes[i].value;
    memcpy(out + count, tables->sessions, tables->session_count * sizeof *out);
    return count + tables->session_count;
}

static void check_tables(struct world *world)
{
    static struct session all[WORLD_MAX_ROWS];
    size_t count = list_sessions(&world->tables, all);
    int64_t events = 0;
    for (size_t i = 0; i < count; i++) {
        events += all[i].events;
        for (size_t other = 0; other < i; other++)
            check(world,
                  !session_is_same_key(&all[i], &all[other]) ||
                      !session_touches(&all[i], &all[other], WORLD_GAP_MS),
                  "sessions of a visitor are more than the gap apart");
    }
    for (size_t i = 0; i < world->tables.stray_count; i++)
        events += world->tables.strays[i].value.events;
    for (size_t i = 0; i < world->hit_count; i++)
        events -= world->tables.has_hit[i];
    check(world, events == 0, "every stored hit is in one session or stray");
}

static void check_memory(struct world *world)
{
    size_t open_count = 0;
    for (int i = 0; i < WORLD_PARTITIONS; i++)
        open_count += world->claims[i] != NULL ? sessions_count(world->claims[i]->sessions) : 0;
    size_t shown_count = 0;
    for (size_t i = 0; i < world->tables.change_count; i++) {
        const struct world_row *row = &world->tables.changes[i];
        if (world->claims[row->partition] != NULL)
            shown_count += row->value.events > 0 && !is_replaced(&world->tables, i);
    }
    check(world, open_count == shown_count, "memory holds what the changes show");
}

/* ---- Steps ---- */

static void pass_time(struct world *world)
{
    world->mono.ms += (int64_t)choice_below(&world->choice, 6000);
    if (choice_one_in(&world->choice, 3))
        world->wall.ms += (int64_t)choice_below(&world->choice, SPREAD_STEPS / 2 * STEP_MS);
    if (choice_one_in(&world->choice, 8))
        world->wall.ms -= (int64_t)choice_below(&world->choice, SPREAD_STEPS / 2 * STEP_MS);
}

void world_step(struct world *world)
{
    bool takes_part[WORLD_PARTITIONS] = {false};
    int64_t quiet_ms[WORLD_PARTITIONS];
    takes_part[choice_below(&world->choice, WORLD_PARTITIONS)] = true;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        if (choice_one_in(&world->choice, 12)) {
            claim_free(&world->claims[i]);
            world->counts.restarts++;
        }
        takes_part[i] |= choice_one_in(&world->choice, 2);
        quiet_ms[i] = choice_one_in(&world->choice, 3) ? WORLD_LATENESS_MS : -1;
    }
    pass_time(world);
    struct merge_time time = {.wall = world->wall, .mono = world->mono, .quiet_ms = quiet_ms};
    run_batch(world, takes_part, &time, choice_one_in(&world->choice, 8));
    check_tables(world);
    check_memory(world);
}

static bool is_drained(const struct world *world, bool is_closing)
{
    if (world->tables.stray_count > 0)
        return false;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        if (world->claims[i] == NULL || world->claims[i]->next_offset < (int64_t)world->logs[i].count)
            return false;
        if (is_closing && sessions_count(world->claims[i]->sessions) > 0)
            return false;
    }
    return true;
}

void world_drain(struct world *world, bool is_closing)
{
    static const bool takes_part[WORLD_PARTITIONS] = {true, true, true};
    static const int64_t quiet_ms[WORLD_PARTITIONS] = {1 << 30, 1 << 30, 1 << 30};
    static const int64_t awake_ms[WORLD_PARTITIONS] = {-1, -1, -1};
    if (is_closing)
        world->wall.ms = base.ms + 3 * SPREAD_STEPS * STEP_MS;
    for (int rounds = 0; !is_drained(world, is_closing); rounds++) {
        check(world, rounds < 500, "it comes to an end");
        world->mono.ms += 2 * SESSIONS_SETTLE_MS;
        struct merge_time time = {
            .wall = world->wall, .mono = world->mono, .quiet_ms = is_closing ? quiet_ms : awake_ms};
        run_batch(world, takes_part, &time, false);
        check_tables(world);
        check_memory(world);
    }
}

void world_check_sessions(struct world *world)
{
    static struct session found[WORLD_MAX_ROWS], wanted[WORLD_MAX_HITS];
    size_t found_count = list_sessions(&world->tables, found);
    size_t wanted_count = oracle_list(world->hits, world->hit_count, WORLD_GAP_MS, wanted);
    qsort(found, found_count, sizeof found[0], session_order);
    for (size_t i = 0; i < world->hit_count; i++)
        check(world, world->tables.has_hit[i], "every hit is stored");
    check(world, found_count == wanted_count, "there are as many sessions as the oracle says");
    for (size_t i = 0; i < found_count; i++)
        check(world, session_is_same(&found[i], &wanted[i]), "each session is the oracle's");
}
