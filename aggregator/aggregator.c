/* SPDX-License-Identifier: Apache-2.0
 * aggregator: see the header. How it flows:
 *
 *   feed.on_cluster   -> set_up: now the number of partitions is known
 *   feed.on_assigned  -> assignment_set -> turn: claims, one after the other; then feed_read_at of all held
 *   feed.on_wake      -> turn: feed_poll -> on_message -> assignment_accept -> intake_take -> the batch fills
 *   turn              -> committing_start, when the store is idle: a claim, the batch when it is due (pace),
 *                        due sessions and strays; meanwhile the other batch fills
 *   store's callbacks -> committing.c: what became of it -> turn
 *   tick, 100 ms      -> sessions that are due without a message, strays, claims whose time has come
 *   feed.on_revoked   -> everything is forgotten; what the store is doing may still succeed
 *   feed.on_fault     -> the partition halts (halting.c); a claim that succeeds ends that */
#include "aggregator/aggregator.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/aggregator_inside.h"
#include "aggregator/locating.h"
#include "base/failpoint.h"

enum {
    TICK_MS = 100,
    STALL_MS = 5000, /* half of the group's session timeout */
    ENDS_EVERY_MS = 5000,
    MESSAGES_A_TURN = 500, /* about a millisecond: sockets and the admin listener are not kept waiting */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 30000,
    MAX_CLOSED_A_BATCH = 5000,
};

/* ---- Messages ---- */

static void on_message(void *context, const struct feed_message *message)
{
    struct aggregator *aggregator = context;
    struct assignment_part *part =
        assignment_accept(&aggregator->assignment, message->partition, message->offset);
    if (part == NULL)
        return;
    struct load *load = aggregator->filling;
    if (batch_is_empty(load->batch))
        load->batch->first_at = aggregator->now;
    char text[64] = "";
    if (part->condemned_offset == message->offset)
        snprintf(text, sizeof text, "Postgres refuses it (SQLSTATE %s)", part->condemned_sqlstate);
    size_t reject_count = load->batch->reject_count;
    if (intake_take(&aggregator->intake, message, slice_of(text), load->batch, &load->counts) ==
        INTAKE_TOO_NEW)
        halting_until_resumed(aggregator, message->partition,
                              "it holds hits of a newer version of the contract; run a newer program");
    else if (load->batch->reject_count == reject_count)
        halting_note_message(aggregator, message, HALTING_HIT);
    else
        halting_note_message(aggregator, message, text[0] == '\0' ? HALTING_REJECTED : HALTING_REFUSED);
}

static bool has_room(const struct aggregator *aggregator)
{
    const struct batch *batch = aggregator->filling->batch;
    return aggregator->partition_count == 0 ||
           (batch->waits_since.ms == 0 && batch_has_room(batch, aggregator->pace.max_messages));
}

static void read_messages(struct aggregator *aggregator)
{
    aggregator->is_dry = false;
    for (int i = 0; i < MESSAGES_A_TURN && !aggregator->is_dry && has_room(aggregator); i++)
        aggregator->is_dry = feed_poll(aggregator->feed, 1);
}

/* ---- Turns ---- */

void aggregator_look_at_clock(struct aggregator *aggregator)
{
    mono_ms now = mono_now();
    int64_t still_ms = now.ms - aggregator->now.ms;
    aggregator->now = now;
    if (still_ms < STALL_MS)
        return;
    aggregator->claim_at = (mono_ms){now.ms + ASSIGNMENT_COOLING_MS};
    log_warning(&aggregator->log, "stalled", "nothing ran for %lld ms; nothing is claimed for %d ms",
                (long long)still_ms, ASSIGNMENT_COOLING_MS);
}

static void on_due(uv_timer_t *timer)
{
    aggregator_turn(timer->data);
}

static void on_more(uv_idle_t *idle)
{
    aggregator_turn(idle->data);
}

static void arrange_next_turn(struct aggregator *aggregator)
{
    if (!aggregator->is_dry && has_room(aggregator))
        uv_idle_start(&aggregator->more, on_more);
    else
        uv_idle_stop(&aggregator->more);
    if (aggregator->partition_count == 0 || store_is_busy(aggregator->store))
        return;
    int64_t wait_ms = committing_wait_ms(aggregator);
    if (wait_ms > 0)
        uv_timer_start(&aggregator->due, on_due, (uint64_t)wait_ms, 0);
}

static void finish_stop(struct aggregator *aggregator);

void aggregator_turn(struct aggregator *aggregator)
{
    aggregator_look_at_clock(aggregator);
    if (aggregator->is_stopping) {
        uv_timer_start(&aggregator->due, on_due, TICK_MS, 0);
        if (!store_is_busy(aggregator->store) || aggregator->now.ms >= aggregator->stop_at.ms)
            finish_stop(aggregator);
        return;
    }
    read_messages(aggregator);
    if (aggregator->locator != NULL)
        locator_turn(aggregator->locator);
    if (aggregator->partition_count > 0 && !store_is_busy(aggregator->store))
        committing_start(aggregator);
    arrange_next_turn(aggregator);
}

/* While something is not read, as when Postgres is away, nobody else says how far behind we are. */
static void ask_ends(struct aggregator *aggregator)
{
    mono_ms now = mono_now();
    if (aggregator->partition_count == 0 || now.ms - aggregator->ends_asked_at.ms < ENDS_EVERY_MS)
        return;
    aggregator->ends_asked_at = now;
    if (assignment_count(&aggregator->assignment, ASSIGNMENT_WANTED) > 0 || feed_has_faults(aggregator->feed))
        feed_ask_ends(aggregator->feed);
}

static void on_tick(uv_timer_t *timer)
{
    struct aggregator *aggregator = timer->data;
    aggregator->is_upkeep_due = true;
    aggregator->is_peek_due = true;
    aggregator->is_audit_due = true;
    ask_ends(aggregator);
    folding_tick(aggregator->folding, mono_now());
    if (aggregator->retention != NULL)
        retention_tick(aggregator->retention, mono_now());
    aggregator_turn(aggregator);
}

/* ---- What the feed says ---- */

static void on_wake(void *context)
{
    aggregator_turn(context);
}

static void set_up(struct aggregator *aggregator, int partition_count)
{
    size_t count = (size_t)partition_count;
    aggregator->partition_count = partition_count;
    assignment_init(&aggregator->assignment, partition_count);
    for (size_t i = 0; i < 2; i++)
        aggregator->loads[i].batch =
            batch_new(aggregator->options.configuration->kafka_topic, partition_count);
    aggregator->claims = must_calloc(count, sizeof *aggregator->claims);
    aggregator->quiet_ms = must_calloc(count, sizeof *aggregator->quiet_ms);
    aggregator->positions = must_calloc(count, sizeof *aggregator->positions);
    aggregator->reject_rates = must_calloc(count, sizeof *aggregator->reject_rates);
}

/* It is another topic now, or another cluster: what claims make of that is decided by each partition's row.
 */
static void renew_claims(struct aggregator *aggregator)
{
    assignment_renew(&aggregator->assignment, aggregator->now);
    batch_clear(aggregator->filling->batch);
    aggregator->filling->counts = (struct metrics){{0}};
    aggregator->is_list_stale = true;
}

static void on_cluster(void *context, const char *cluster_id, int partition_count)
{
    struct aggregator *aggregator = context;
    log_info(&aggregator->log, "kafka_reached", "cluster %s, topic %s with %d partitions", cluster_id,
             aggregator->options.configuration->kafka_topic, partition_count);
    bool is_other = store_set_cluster(aggregator->store, cluster_id, partition_count);
    if (aggregator->partition_count == 0)
        set_up(aggregator, partition_count);
    else if (is_other)
        renew_claims(aggregator);
}

static void on_assigned(void *context, const int *partitions, size_t count)
{
    struct aggregator *aggregator = context;
    metrics_add(aggregator->options.metrics, METRICS_ASSIGNMENTS, 1);
    log_info(&aggregator->log, "assigned", "the group gave us %zu partitions", count);
    aggregator->claim_at = aggregator->now; /* the group knows us */
    if (!assignment_set(&aggregator->assignment, partitions, count, aggregator->now))
        log_error(
            &aggregator->log, "partitions_unknown",
            "the group gave us partitions beyond the %d that the topic had: their number must not change",
            aggregator->partition_count);
}

static void on_revoked(void *context)
{
    struct aggregator *aggregator = context;
    metrics_add(aggregator->options.metrics, METRICS_REVOCATIONS, 1);
    log_info(&aggregator->log, "revoked", "the group took our partitions");
    assignment_clear(&aggregator->assignment);
    batch_clear(aggregator->filling->batch);
    aggregator->filling->counts = (struct metrics){{0}};
    aggregator->is_list_stale = false;
    aggregator->is_batch_failing = false;
}

static void on_end(void *context, int partition)
{
    struct aggregator *aggregator = context;
    assignment_note_end(&aggregator->assignment, partition, aggregator->now);
}

static void on_fault(void *context, const struct feed_fault *fault)
{
    halting_take_fault(context, fault);
}

/* ---- Life ---- */

static void start_handles(struct uv_loop_s *loop, struct aggregator *aggregator)
{
    MUST(uv_timer_init(loop, &aggregator->tick) == 0);
    MUST(uv_timer_init(loop, &aggregator->due) == 0);
    MUST(uv_idle_init(loop, &aggregator->more) == 0);
    aggregator->tick.data = aggregator;
    aggregator->due.data = aggregator;
    aggregator->more.data = aggregator;
    aggregator->open_handles = 3;
    uv_timer_start(&aggregator->tick, on_tick, TICK_MS, TICK_MS);
}

static struct feed_options feed_options_of(const struct configuration *configuration,
                                           const struct settings *settings)
{
    return (struct feed_options){
        .brokers = configuration->kafka_brokers,
        .topic = configuration->kafka_topic,
        .group = configuration->kafka_group,
        .instance = configuration->kafka_instance,
        .settings = settings,
    };
}

static struct enriched_options enriched_options_of(struct uv_loop_s *loop,
                                                   const struct configuration *configuration,
                                                   const struct settings *settings)
{
    return (struct enriched_options){loop, configuration->kafka_brokers, configuration->enriched_topic,
                                     settings};
}

enum status aggregator_check(const struct configuration *configuration, const struct settings *settings,
                             struct why *why)
{
    struct feed_options options = feed_options_of(configuration, settings);
    struct enriched_options enriched = enriched_options_of(NULL, configuration, settings);
    enum status status = feed_check(&options, why);
    if (status != STATUS_OK || configuration->enriched_topic[0] == '\0')
        return status;
    return enriched_check(&enriched, why);
}

static struct feed *start_feed(struct uv_loop_s *loop, struct aggregator *aggregator, struct why *why)
{
    static const struct feed_events events = {
        .on_assigned = on_assigned,
        .on_revoked = on_revoked,
        .on_message = on_message,
        .on_end = on_end,
        .on_fault = on_fault,
        .on_cluster = on_cluster,
        .on_wake = on_wake,
    };
    struct feed_options options =
        feed_options_of(aggregator->options.configuration, aggregator->options.settings);
    options.group = aggregator->options.group;
    return feed_start(loop, &options, &events, aggregator, why);
}

static void start_enriched(struct uv_loop_s *loop, struct aggregator *aggregator)
{
    const struct configuration *configuration = aggregator->options.configuration;
    struct enriched_options options = enriched_options_of(loop, configuration, aggregator->options.settings);
    if (configuration->enriched_topic[0] != '\0')
        aggregator->enriched = enriched_new(&options);
}

static void on_places(void *context)
{
    aggregator_turn(context);
}

static void start_locator(struct uv_loop_s *loop, struct aggregator *aggregator)
{
    const struct aggregator_options *options = &aggregator->options;
    if (!locating_is_on(options->configuration, options->key))
        return;
    struct locator_options locator = locating_options(options->configuration, options->key);
    locator.places = options->places;
    locator.metrics = options->metrics;
    locator.on_change = on_places;
    locator.context = aggregator;
    aggregator->locator = locator_new(loop, &locator);
    locator_set_key(aggregator->locator, options->key);
}

static void start_retention(struct uv_loop_s *loop, struct aggregator *aggregator)
{
    const struct configuration *configuration = aggregator->options.configuration;
    if (configuration->retention_days > 0)
        aggregator->retention = retention_new(
            loop, &(struct retention_options){configuration->postgres_conninfo, aggregator->options.metrics,
                                              configuration->retention_days});
}

void aggregator_set_key(struct aggregator *aggregator, const struct ip2location_key *key)
{
    if (aggregator->locator != NULL)
        locator_set_key(aggregator->locator, key);
}

struct aggregator *aggregator_start(struct uv_loop_s *loop, const struct aggregator_options *options,
                                    struct why *why)
{
    const struct configuration *configuration = options->configuration;
    struct aggregator *aggregator = must_calloc(1, sizeof *aggregator);
    aggregator->options = *options;
    aggregator->log = log_new("aggregator");
    aggregator->feed = start_feed(loop, aggregator, why);
    if (aggregator->feed == NULL) {
        free(aggregator);
        return NULL;
    }
    start_enriched(loop, aggregator);
    aggregator->store =
        store_new(loop, &(struct store_options){
                            .conninfo = configuration->postgres_conninfo,
                            .topic = configuration->kafka_topic,
                            .gap_ms = configuration->sessions_gap_ms,
                            .max_open_sessions = (size_t)configuration->sessions_max_open,
                            .retention_days = configuration->retention_days,
                            .commits_lazily = configuration->postgres_synchronous_commit == COMMIT_OFF,
                            .enriched = aggregator->enriched,
                        });
    aggregator->folding =
        folding_new(loop, &(struct folding_options){configuration->postgres_conninfo, options->metrics});
    aggregator->merge = merge_new(&(struct merge_rules){
        .topic = configuration->kafka_topic,
        .gap_ms = configuration->sessions_gap_ms,
        .lateness_ms = configuration->sessions_lateness_ms,
        .max_closed = MAX_CLOSED_A_BATCH,
    });
    intake_init(&aggregator->intake, options->places, configuration->events_max_age_ms);
    pace_init(&aggregator->pace, (size_t)FAILPOINT_NUMBER("batch_messages", BATCH_MAX_HITS));
    aggregator->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    aggregator->enriched_backoff = aggregator->backoff;
    aggregator->filling = &aggregator->loads[0];
    aggregator->writing = &aggregator->loads[1];
    aggregator->now = mono_now();
    aggregator->committed_at = aggregator->now;
    aggregator->is_postgres_up = true;
    aggregator->is_enriched_up = true;
    start_handles(loop, aggregator);
    start_locator(loop, aggregator);
    start_retention(loop, aggregator);
    return aggregator;
}

const char *aggregator_missing(const struct aggregator *aggregator)
{
    if (aggregator->partition_count == 0 || !feed_is_connected(aggregator->feed))
        return "waiting for Kafka";
    if (!aggregator->is_postgres_up)
        return "waiting for Postgres";
    return aggregator->is_enriched_up ? NULL : "waiting for enriched.topic";
}

static void measure_partitions(struct aggregator *aggregator, struct metrics *metrics)
{
    int64_t lag = 0;
    int64_t open = 0;
    struct holes_measure holes = {0, 0};
    for (int i = 0; i < aggregator->partition_count; i++) {
        const struct assignment_part *part = &aggregator->assignment.parts[i];
        if (part->state == ASSIGNMENT_NONE)
            continue;
        int64_t behind = feed_lag(aggregator->feed, i, part->stored_offset);
        lag += behind > 0 ? behind : 0;
        if (part->claim == NULL)
            continue;
        open += (int64_t)sessions_count(part->claim->sessions);
        holes_measure(&part->claim->holes, &holes);
    }
    metrics_set(metrics, METRICS_LAG, lag);
    metrics_set(metrics, METRICS_SESSIONS_OPEN, open);
    metrics_set(metrics, METRICS_HOLES, holes.missing_count);
    metrics_set(metrics, METRICS_HOLED, holes.stream_count);
}

void aggregator_measure(struct aggregator *aggregator)
{
    struct metrics *metrics = aggregator->options.metrics;
    const struct assignment *assignment = &aggregator->assignment;
    measure_partitions(aggregator, metrics);
    if (aggregator->locator != NULL)
        locator_measure(aggregator->locator);
    if (aggregator->retention != NULL)
        retention_measure(aggregator->retention, mono_now());
    metrics_set(metrics, METRICS_HELD, (int64_t)assignment_count(assignment, ASSIGNMENT_HELD));
    metrics_set(metrics, METRICS_WANTED, (int64_t)assignment_count(assignment, ASSIGNMENT_WANTED));
    metrics_set(metrics, METRICS_HALTED, (int64_t)assignment_halted_count(assignment));
    metrics_set(metrics, METRICS_BATCH_AGE, mono_now().ms - aggregator->committed_at.ms);
    metrics_set(metrics, METRICS_KAFKA_UP,
                aggregator->partition_count > 0 && feed_is_connected(aggregator->feed));
    metrics_set(metrics, METRICS_POSTGRES_UP, aggregator->is_postgres_up);
    if (aggregator->enriched != NULL)
        metrics_set(metrics, METRICS_ENRICHED, enriched_confirmed_total(aggregator->enriched));
}

/* ---- The end ---- */

static void release(struct aggregator *aggregator)
{
    if (--aggregator->open_handles > 0)
        return;
    if (aggregator->partition_count > 0)
        assignment_fini(&aggregator->assignment);
    batch_free(&aggregator->loads[0].batch);
    batch_free(&aggregator->loads[1].batch);
    merge_free(&aggregator->merge);
    intake_fini(&aggregator->intake);
    free(aggregator->claims);
    free(aggregator->quiet_ms);
    free(aggregator->positions);
    free(aggregator->reject_rates);
    void (*on_stopped)(void *) = aggregator->on_stopped;
    void *context = aggregator->stopped_context;
    free(aggregator);
    on_stopped(context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_part_closed(void *context)
{
    release(context);
}

static void finish_stop(struct aggregator *aggregator)
{
    feed_stop(&aggregator->feed);
    if (aggregator->enriched != NULL) {
        aggregator->open_handles++;
        enriched_close(&aggregator->enriched, on_part_closed, aggregator);
    }
    aggregator->open_handles += 2;
    store_close(&aggregator->store, on_part_closed, aggregator);
    folding_close(&aggregator->folding, on_part_closed, aggregator);
    if (aggregator->retention != NULL) {
        aggregator->open_handles++;
        retention_close(&aggregator->retention, on_part_closed, aggregator);
    }
    if (aggregator->locator != NULL) {
        aggregator->open_handles++;
        locator_close(&aggregator->locator, on_part_closed, aggregator);
    }
    uv_close((uv_handle_t *)&aggregator->tick, on_handle_closed);
    uv_close((uv_handle_t *)&aggregator->due, on_handle_closed);
    uv_close((uv_handle_t *)&aggregator->more, on_handle_closed);
}

void aggregator_stop(struct aggregator *aggregator, void (*on_stopped)(void *context), void *context)
{
    MUST(!aggregator->is_stopping);
    aggregator->is_stopping = true;
    aggregator->stop_at = (mono_ms){mono_now().ms + AGGREGATOR_STOP_MS};
    aggregator->on_stopped = on_stopped;
    aggregator->stopped_context = context;
    uv_idle_stop(&aggregator->more);
    uv_timer_stop(&aggregator->tick);
    uv_timer_start(&aggregator->due, on_due, 0, 0);
}
