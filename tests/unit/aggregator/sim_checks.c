/* SPDX-License-Identifier: Apache-2.0
 * sim_checks: see the header. */
#include "tests/unit/aggregator/sim_checks.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/aggregator/sim_trace.h"

enum { GAP_MS = 300000, MAX_OPEN = 1000 };

static const struct topic *topic;
static bool is_by_rows_only;
static struct sim_place last_places[SIM_PARTITIONS]; /* as last committed */

void checks_use(const struct topic *wanted, bool by_rows_only)
{
    topic = wanted;
    is_by_rows_only = by_rows_only;
    for (int i = 0; i < SIM_PARTITIONS; i++)
        last_places[i] = (struct sim_place){.next_offset = -2};
}

void checks_forget_offsets(const struct sim_postgres *postgres)
{
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        const struct sim_row *row = sim_find_place(postgres, i, 0);
        last_places[i] = row != NULL ? row->as.place : (struct sim_place){.next_offset = -2};
    }
}

/* ---- At each commit ---- */

static size_t count_hits(const struct sim_postgres *postgres, size_t times[TOPIC_MAX_HITS])
{
    size_t count = 0;
    memset(times, 0, TOPIC_MAX_HITS * sizeof *times);
    for (int partition = 0; partition < SIM_PARTITIONS; partition++) {
        const struct sim_row *row = NULL;
        while ((row = sim_next(postgres, SIM_HITS, partition, 0, row)) != NULL) {
            const struct topic_message *message = topic_at(topic, partition, row->as.number);
            if (message == NULL || message->is_control)
                trace_fail("a row is of no hit: partition %d, offset %lld", partition,
                           (long long)row->as.number);
            times[message->hit]++;
            count++;
        }
    }
    return count;
}

static void check_hits_once(const struct sim_postgres *postgres)
{
    size_t times[TOPIC_MAX_HITS];
    count_hits(postgres, times);
    for (size_t i = 0; i < topic->hit_count; i++)
        if (times[i] > 1)
            trace_fail("hit %zu is stored %zu times", i, times[i]);
}

static void check_apart(const struct sim_postgres *postgres, int chain)
{
    const struct sim_row *one = NULL;
    while ((one = sim_next(postgres, SIM_SESSIONS, chain, 0, one)) != NULL) {
        const struct sim_row *other = one;
        while ((other = sim_next(postgres, SIM_SESSIONS, chain, 0, other)) != NULL)
            if (session_is_same_key(&one->as.session, &other->as.session) &&
                session_touches(&one->as.session, &other->as.session, GAP_MS))
                trace_fail("two stored sessions of a visitor are one: %lld and %lld",
                           (long long)one->as.session.start.ms, (long long)other->as.session.start.ms);
    }
}

static void check_place(const struct sim_postgres *postgres, int partition, sim_txn txn)
{
    const struct sim_row *row = sim_find_place(postgres, partition, 0);
    if (row == NULL || row->made != txn)
        return;
    const struct sim_place *place = &row->as.place;
    const struct sim_place *last = &last_places[partition];
    bool has_moved = place->version != last->version;
    bool is_resumed = uuid_equals(place->owner, (uuid){{0}}); /* by a person */
    if (!is_by_rows_only && has_moved && !is_resumed &&
        (place->version != last->version + 1 || !uuid_equals(place->owner, last->owner) ||
         place->moved_from != last->next_offset || place->next_offset < last->next_offset))
        trace_fail(
            "partition %d went from offset %lld, version %lld to %lld, %lld by a batch that began at %lld",
            partition, (long long)last->next_offset, (long long)last->version, (long long)place->next_offset,
            (long long)place->version, (long long)place->moved_from);
    last_places[partition] = *place;
}

void checks_commit(const struct sim_postgres *postgres, sim_txn txn)
{
    const struct sim_table *hits = &postgres->tables[SIM_HITS];
    bool has_hits = false;
    for (int i = 0; i < SIM_CHAINS; i++) {
        const struct sim_row *session = sim_next(postgres, SIM_SESSIONS, i, 0, NULL);
        if (session != NULL && session->made == txn)
            check_apart(postgres, i);
    }
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        has_hits |= hits->newest[i] != 0 && hits->rows[hits->newest[i] - 1].made == txn;
        check_place(postgres, i, txn);
    }
    if (has_hits)
        check_hits_once(postgres);
}

/* ---- Open sessions ---- */

/* What the stored changes of a partition say, read by a session store of its own. */
static struct sessions *replay(const struct sim_postgres *postgres, int partition)
{
    static struct sim_row *changes[SIM_MAX_CHANGES];
    size_t count = sim_find_changes(postgres, partition, 0, changes);
    struct sessions *sessions = sessions_new(GAP_MS, MAX_OPEN);
    for (size_t i = 0; i < count; i++)
        sessions_replay(sessions, &changes[i]->as.change.value, (mono_ms){0});
    return sessions;
}

static size_t list(const struct sessions *sessions, struct session *out, size_t count)
{
    size_t cursor = 0;
    struct session one;
    while (sessions_next(sessions, &cursor, &one)) {
        MUST(count < MODEL_MAX);
        out[count++] = pooled(&one);
    }
    return count;
}

static void compare(struct session *found, size_t found_count, struct session *expected,
                    size_t expected_count, const char *what)
{
    if (found_count != expected_count)
        trace_fail("%s: %zu instead of %zu", what, found_count, expected_count);
    qsort(found, found_count, sizeof *found, session_order);
    qsort(expected, expected_count, sizeof *expected, session_order);
    for (size_t i = 0; i < found_count; i++)
        if (!session_is_same(&found[i], &expected[i]))
            trace_fail("%s: one that starts at %lld with %lld events, instead of %lld with %lld", what,
                       (long long)found[i].start.ms, (long long)found[i].events,
                       (long long)expected[i].start.ms, (long long)expected[i].events);
}

void checks_memory(const struct sim_postgres *postgres, const struct claim *claim)
{
    static struct session held[MODEL_MAX], stored[MODEL_MAX];
    const struct sim_row *row = sim_find_place(postgres, claim->partition, 0);
    if (row == NULL || !uuid_equals(row->as.place.owner, claim->owner) ||
        row->as.place.version != claim->version)
        return; /* somebody else has it by now, or it was lost */
    struct sessions *replayed = replay(postgres, claim->partition);
    size_t stored_count = list(replayed, stored, 0);
    compare(held, list(claim->sessions, held, 0), stored, stored_count,
            "open sessions in memory, by their stored changes");
    sessions_free(&replayed);
}

/* ---- Sums ---- */

static int64_t count_events(const struct sim_postgres *postgres, enum sim_kind kind, int chain_count)
{
    int64_t events = 0;
    for (int chain = 0; chain < chain_count; chain++) {
        const struct sim_row *row = NULL;
        while ((row = sim_next(postgres, kind, chain, 0, row)) != NULL)
            events += row->as.session.events;
    }
    return events;
}

static int64_t count_open_events(const struct sim_postgres *postgres)
{
    int64_t events = 0;
    for (int partition = 0; partition < SIM_PARTITIONS; partition++) {
        struct sessions *open = replay(postgres, partition);
        struct session session;
        for (size_t cursor = 0; sessions_next(open, &cursor, &session);)
            events += session.events;
        sessions_free(&open);
    }
    return events;
}

void checks_sum(const struct sim_postgres *postgres)
{
    size_t times[TOPIC_MAX_HITS];
    int64_t hits = (int64_t)count_hits(postgres, times);
    int64_t stored = count_events(postgres, SIM_SESSIONS, SIM_CHAINS);
    int64_t strays = count_events(postgres, SIM_STRAYS, SIM_PARTITIONS);
    int64_t open = count_open_events(postgres);
    int64_t rolled = 0;
    const struct sim_row *row = NULL;
    while ((row = sim_next(postgres, SIM_SUMS, 0, 0, row)) != NULL)
        rolled += row->as.number;
    if (stored + strays + open != hits || rolled != hits)
        trace_fail("%lld hits, but %lld events in stored sessions, %lld in open ones, %lld in strays; %lld"
                   " in rollups",
                   (long long)hits, (long long)stored, (long long)open, (long long)strays, (long long)rolled);
}

/* ---- At rest ---- */

/* Whoever is still in the log is stored. */
static void check_all_hits(const struct sim_postgres *postgres)
{
    size_t times[TOPIC_MAX_HITS];
    count_hits(postgres, times);
    for (size_t i = 0; i < SIM_PARTITIONS; i++)
        for (size_t at = 0; at < topic->logs[i].count; at++) {
            const struct topic_message *message = &topic->logs[i].messages[at];
            if (!message->is_control && !message->is_gone && times[message->hit] != 1)
                trace_fail("hit %zu is stored %zu times, at rest", message->hit, times[message->hit]);
        }
}

/* The sessions of the hits that are stored, by the slow model. */
static size_t list_expected(const struct sim_postgres *postgres, struct session *expected)
{
    static struct sessions_model model;
    model.gap_ms = GAP_MS;
    model.count = 0;
    for (int partition = 0; partition < SIM_PARTITIONS; partition++) {
        const struct sim_row *row = NULL;
        while ((row = sim_next(postgres, SIM_HITS, partition, 0, row)) != NULL)
            model_add(&model, &topic_at(topic, partition, row->as.number)->part, (mono_ms){0});
    }
    for (size_t i = 0; i < model.count; i++)
        expected[i] = model.open[i].value;
    return model.count;
}

static void check_sessions(const struct sim_postgres *postgres, const struct claim *const *claims)
{
    static struct session found[MODEL_MAX], expected[MODEL_MAX];
    size_t count = 0;
    for (int chain = 0; chain < SIM_CHAINS; chain++) {
        const struct sim_row *row = NULL;
        while ((row = sim_next(postgres, SIM_SESSIONS, chain, 0, row)) != NULL)
            found[count++] = row->as.session;
    }
    for (int partition = 0; partition < SIM_PARTITIONS; partition++)
        count = list(claims[partition]->sessions, found, count);
    size_t expected_count = list_expected(postgres, expected);
    compare(found, count, expected, expected_count, "sessions, by the set of hits");
}

static int64_t missing_in_memory(const struct claim *claim, const struct hit_stream *stream)
{
    for (size_t i = 0; i < claim->holes.count; i++) {
        const struct hole *hole = &claim->holes.at[i];
        if (hole->stream.partition == stream->partition && uuid_equals(hole->stream.boot, stream->boot))
            return hole->missing.count;
    }
    return 0;
}

static void check_stream(const struct sim_postgres *postgres, const struct claim *claim,
                         const struct topic_stream *said)
{
    const struct sim_row *row = sim_find_stream(postgres, SIM_AUDIT, claim->partition, 0, &said->stream);
    bool has_ended = row != NULL && row->as.audit.is_ended;
    int64_t in_memory = missing_in_memory(claim, &said->stream);
    int64_t in_table = has_ended ? row->as.audit.missing : 0;
    if (in_memory != in_table)
        trace_fail("the audit says that %lld are missing, memory %lld", (long long)in_table,
                   (long long)in_memory);
    if (topic->has_lost)
        return; /* a fin or a skip may be gone, too */
    if (has_ended != said->has_ended)
        trace_fail("the end of a stream is not in the audit, or was never said");
    if (has_ended && (row->as.audit.last != said->last || in_table != said->lost_count))
        trace_fail("%lld of %lld are missing; the audit says %lld of %lld", (long long)said->lost_count,
                   (long long)said->last, (long long)in_table, (long long)row->as.audit.last);
}

void checks_rest(const struct sim_postgres *postgres, const struct claim *const *claims)
{
    check_all_hits(postgres);
    check_sessions(postgres, claims);
    checks_sum(postgres);
    for (size_t i = 0; i < topic->stream_count; i++)
        check_stream(postgres, claims[topic->streams[i].stream.partition], &topic->streams[i]);
    for (int partition = 0; partition < SIM_PARTITIONS; partition++)
        checks_memory(postgres, claims[partition]);
}
