/* SPDX-License-Identifier: Apache-2.0
 * keeper: see the header.
 *
 * The check handle runs on_turn behind the polling for input; the idle handle keeps that polling from waiting
 * while there is something to do. The end: keeper_close -> the last flush, sync and upkeep are over ->
 * journal_close, which may sync the folder: nobody waits for the loop any more -> the handles are closed ->
 * on_closed. */
#include "collector/keeper.h"

#include <stdlib.h>
#include <uv.h>

#include "base/failpoint.h"
#include "base/log.h"

enum {
    RECOVER_FIRST_MS = 100,
    SYNC_INTERVAL_MS = 100, /* what a power loss may take with ack = os: twice this at most */
    SYNC_BYTES = 4 * 1024 * 1024,
    LOOK_INTERVAL_MS = 1000,
    HANDLES = 4,
};

struct keeper {
    struct keeper_options options;
    struct disk *disk;
    struct journal *journal; /* NULL when it is closed */
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t look_timer;
    uv_timer_t sync_timer; /* without syncs_at_once: running while something is unsynced */
    bool is_sync_due;
    uv_work_t sync_work, upkeep_work;
    struct journal_sync sync;
    struct journal_upkeep upkeep;
    uint64_t sync_ns; /* of the sync under way, by the pool's thread */
    bool is_syncing, is_in_upkeep;
    struct keeper_counters counters;
    uint64_t appended_bytes;       /* a second ago */
    keeper_drained_fn *on_drained; /* NULL: not draining */
    void *drained_context;
    mono_ms drain_until;
    bool is_closing;
    int handles_left; /* while closing */
    keeper_closed_fn *on_closed;
    void *closed_context;
};

static void turn(struct keeper *keeper);

/* --- waking --- */

static void on_turn(uv_check_t *check)
{
    struct keeper *keeper = check->data;
    MUST(uv_check_stop(&keeper->check) == 0);
    MUST(uv_idle_stop(&keeper->idle) == 0);
    turn(keeper);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

void keeper_wake(struct keeper *keeper)
{
    if (keeper->is_closing)
        return;
    MUST(uv_check_start(&keeper->check, on_turn) == 0);
    MUST(uv_idle_start(&keeper->idle, on_idle) == 0);
}

/* --- syncing --- */

/* In a thread of the pool. */
static void run_sync(uv_work_t *work)
{
    struct keeper *keeper = work->data;
    uint64_t began = uv_hrtime();
    journal_sync_run(&keeper->sync);
    keeper->sync_ns = uv_hrtime() - began;
}

static void count_sync(struct keeper *keeper)
{
    int64_t us = (int64_t)(keeper->sync_ns / 1000);
    keeper->counters.sync_us_total += us;
    if (us > keeper->counters.sync_us_longest)
        keeper->counters.sync_us_longest = us;
}

static void on_synced(uv_work_t *work, int status)
{
    struct keeper *keeper = work->data;
    (void)status;
    keeper->is_syncing = false;
    count_sync(keeper);
    (void)journal_sync_done(keeper->journal, &keeper->sync); /* said by the journal; the turn mends it */
    turn(keeper);
}

static void on_sync_timer(uv_timer_t *timer)
{
    struct keeper *keeper = timer->data;
    keeper->is_sync_due = true;
    turn(keeper);
}

/* Now, or the timer says when. */
static bool is_sync_due(struct keeper *keeper)
{
    size_t unsynced = journal_unsynced_bytes(keeper->journal);
    if (keeper->options.syncs_at_once || keeper->is_closing || keeper->is_sync_due || unsynced > SYNC_BYTES)
        return true;
    if (unsynced > 0 && !uv_is_active((uv_handle_t *)&keeper->sync_timer))
        MUST(uv_timer_start(&keeper->sync_timer, on_sync_timer, SYNC_INTERVAL_MS, 0) == 0);
    return false;
}

static void begin_sync(struct keeper *keeper)
{
    if (keeper->is_syncing || !is_sync_due(keeper))
        return;
    keeper->is_sync_due = false;
    if (!journal_sync_begin(keeper->journal, &keeper->sync))
        return;
    keeper->is_syncing = true;
    MUST(uv_queue_work(keeper->options.loop, &keeper->sync_work, run_sync, on_synced) == 0);
}

/* --- upkeep --- */

/* In a thread of the pool. */
static void run_upkeep(uv_work_t *work)
{
    struct keeper *keeper = work->data;
    journal_upkeep_run(&keeper->upkeep);
}

static void on_kept_up(uv_work_t *work, int status)
{
    struct keeper *keeper = work->data;
    (void)status;
    keeper->is_in_upkeep = false;
    journal_upkeep_done(keeper->journal, &keeper->upkeep, mono_now());
    turn(keeper);
}

static void begin_upkeep(struct keeper *keeper)
{
    if (keeper->is_in_upkeep || !journal_upkeep_begin(keeper->journal, mono_now(), &keeper->upkeep))
        return;
    keeper->is_in_upkeep = true;
    MUST(uv_queue_work(keeper->options.loop, &keeper->upkeep_work, run_upkeep, on_kept_up) == 0);
}

/* --- a turn --- */

static void go_on_closing(struct keeper *keeper);

static void check_drained(struct keeper *keeper)
{
    keeper_drained_fn *on_drained = keeper->on_drained;
    if (!on_drained || (!journal_is_drained(keeper->journal) && mono_now().ms < keeper->drain_until.ms))
        return;
    keeper->on_drained = NULL;
    on_drained(keeper->drained_context);
}

static void turn(struct keeper *keeper)
{
    if (!keeper->is_closing && journal_recover(keeper->journal) == STATUS_AGAIN)
        keeper_wake(keeper);
    (void)journal_flush(keeper->journal, wall_now(), mono_now()); /* what failed is tried again */
    begin_sync(keeper);
    begin_upkeep(keeper);
    if (keeper->is_closing)
        go_on_closing(keeper);
    else
        keeper->options.on_progress(keeper->options.context);
    check_drained(keeper);
}

/* Each second counts for a thirtieth, the one before for a thirtieth of the rest … */
static void follow_rate(struct keeper *keeper)
{
    struct journal_figures figures;
    journal_figures(keeper->journal, wall_now(), &figures);
    int64_t now_rate = (int64_t)(figures.appended_bytes - keeper->appended_bytes);
    keeper->appended_bytes = figures.appended_bytes;
    keeper->counters.append_bytes_a_second += (now_rate - keeper->counters.append_bytes_a_second) / 30;
}

static void on_look_timer(uv_timer_t *timer)
{
    struct keeper *keeper = timer->data;
    follow_rate(keeper);
    turn(keeper);
}

/* --- life --- */

static struct journal *open_journal(const struct keeper *keeper, struct why *why)
{
    const struct keeper_options *options = &keeper->options;
    struct journal_options wanted = {
        .disk = keeper->disk,
        .topic = options->topic,
        .partitions = options->partitions,
        .segment_bytes = (uint64_t)FAILPOINT_NUMBER("segment_bytes", JOURNAL_SEGMENT_BYTES),
        .max_bytes = options->max_bytes,
        .min_free_bytes = options->min_free_bytes,
        .max_unsynced_bytes = JOURNAL_UNSYNCED_BYTES,
        .roll_age_ms = JOURNAL_ROLL_AGE_MS,
        .hands_out_unsynced = options->publishes_unsynced,
        .on_found = options->on_found,
        .context = options->context,
    };
    random_bytes(&wanted.boot, sizeof(wanted.boot));
    random_bytes(&wanted.salt_seed, sizeof(wanted.salt_seed));
    struct why reason;
    struct journal *journal = journal_open(&wanted, mono_now(), &reason);
    if (!journal)
        (void)why_say(why, STATUS_UNAVAILABLE, "journal.directory = %s: %s", options->directory, reason.text);
    return journal;
}

static void start_handles(struct keeper *keeper)
{
    struct uv_loop_s *loop = keeper->options.loop;
    MUST(uv_check_init(loop, &keeper->check) == 0);
    MUST(uv_idle_init(loop, &keeper->idle) == 0);
    MUST(uv_timer_init(loop, &keeper->look_timer) == 0);
    MUST(uv_timer_init(loop, &keeper->sync_timer) == 0);
    keeper->check.data = keeper->idle.data = keeper->look_timer.data = keeper->sync_timer.data = keeper;
    keeper->sync_work.data = keeper->upkeep_work.data = keeper;
    MUST(uv_timer_start(&keeper->look_timer, on_look_timer, LOOK_INTERVAL_MS, LOOK_INTERVAL_MS) == 0);
}

static void recover_first(struct keeper *keeper)
{
    mono_ms began = mono_now();
    while (journal_recover(keeper->journal) == STATUS_AGAIN)
        if (mono_now().ms - began.ms >= RECOVER_FIRST_MS)
            return;
}

struct keeper *keeper_open(const struct keeper_options *options, struct why *why)
{
    struct keeper *keeper = must_calloc(1, sizeof(*keeper));
    keeper->options = *options;
    keeper->disk = disk_posix_open(options->directory, why);
    if (keeper->disk)
        keeper->journal = open_journal(keeper, why);
    if (!keeper->journal) {
        disk_free(&keeper->disk);
        free(keeper);
        return NULL;
    }
    start_handles(keeper);
    recover_first(keeper);
    keeper_wake(keeper);
    return keeper;
}

struct journal *keeper_journal(const struct keeper *keeper)
{
    return keeper->journal;
}

struct keeper_counters keeper_counters(const struct keeper *keeper)
{
    return keeper->counters;
}

/* --- the end --- */

void keeper_drain(struct keeper *keeper, int64_t deadline_ms, keeper_drained_fn *on_drained, void *context)
{
    journal_finish(keeper->journal);
    keeper->on_drained = on_drained;
    keeper->drained_context = context;
    keeper->drain_until = (mono_ms){mono_now().ms + deadline_ms};
    keeper_wake(keeper);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct keeper *keeper = handle->data;
    if (--keeper->handles_left == 0)
        keeper->on_closed(keeper->closed_context);
}

static void go_on_closing(struct keeper *keeper)
{
    if (keeper->is_syncing || keeper->is_in_upkeep)
        return;
    journal_close(&keeper->journal);
    disk_free(&keeper->disk);
    keeper->handles_left = HANDLES;
    uv_close((uv_handle_t *)&keeper->check, on_handle_closed);
    uv_close((uv_handle_t *)&keeper->idle, on_handle_closed);
    uv_close((uv_handle_t *)&keeper->look_timer, on_handle_closed);
    uv_close((uv_handle_t *)&keeper->sync_timer, on_handle_closed);
}

void keeper_close(struct keeper *keeper, keeper_closed_fn *on_closed, void *context)
{
    MUST(!keeper->is_closing);
    MUST(uv_check_stop(&keeper->check) == 0);
    MUST(uv_idle_stop(&keeper->idle) == 0);
    keeper->is_closing = true;
    keeper->on_closed = on_closed;
    keeper->closed_context = context;
    turn(keeper);
}

void keeper_free(struct keeper **keeper)
{
    if (!*keeper)
        return;
    MUST(!(*keeper)->journal);
    free(*keeper);
    *keeper = NULL;
}
