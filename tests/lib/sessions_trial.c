/* SPDX-License-Identifier: Apache-2.0
 * sessions_trial: see the header. */
#include "tests/lib/sessions_trial.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/sessions.h"
#include "tests/lib/sessions_model.h"

enum { GAP_MS = 300000, LATENESS_MS = 15000, BASE_MS = 1700000000, MAX_STEP_MS = 60000, SEEN_LATE_MS = 2000 };
enum { DISTANT_MS = 10 * 86400 * 1000 };

struct row { /* of open_session_changes */
    int64_t version;
    struct session change;
};

struct trial {
    struct choice *choice;
    const struct sessions_trial_rules *rules;
    struct sessions *store;
    struct sessions_model model;
    struct row *rows;
    size_t row_count, row_cap;
    int64_t version;
    wall_ms watermark;
    mono_ms now;
    struct sessions_trial_counts counts;
};

/* ---- Agreement ---- */

static size_t read_store(const struct sessions *store, struct session *out)
{
    size_t count = 0, cursor = 0;
    struct session one;
    while (sessions_next(store, &cursor, &one)) {
        MUST(count < MODEL_MAX);
        out[count++] = one;
    }
    MUST(count == sessions_count(store));
    qsort(out, count, sizeof *out, session_order);
    return count;
}

static void check_agreement(const struct trial *trial, const struct sessions *store)
{
    static struct session expected[MODEL_MAX], found[MODEL_MAX];
    size_t count = read_store(store, found);
    MUST(count == trial->model.count);
    for (size_t i = 0; i < count; i++)
        expected[i] = trial->model.open[i].value;
    qsort(expected, count, sizeof *expected, session_order);
    for (size_t i = 0; i < count; i++)
        MUST(session_is_same(&expected[i], &found[i]));
}

static struct sessions *replay_all(const struct trial *trial)
{
    struct sessions *store = sessions_new(GAP_MS, trial->rules->max_open);
    for (size_t i = 0; i < trial->row_count; i++)
        sessions_replay(store, &trial->rows[i].change, trial->now);
    MUST(sessions_change_rows(store) == (int64_t)trial->row_count);
    return store;
}

/* ---- Parts ---- */

static void add_part(struct trial *trial)
{
    struct session part = random_part(trial->choice, trial->watermark, trial->rules->time_steps);
    int64_t shift_ms = choice_one_in(trial->choice, 500) ? DISTANT_MS : -GAP_MS;
    part.start.ms += shift_ms;
    part.last.ms += shift_ms;
    if (trial->model.count == MODEL_MAX)
        return;
    sessions_add(trial->store, &part, trial->now);
    model_add(&trial->model, &part, trial->now);
}

/* ---- Closing ---- */

static int64_t ended_for_ms(const struct trial *trial, const struct session *value)
{
    return trial->watermark.ms - (value->last.ms + GAP_MS + LATENESS_MS);
}

static int64_t settled_for_ms(const struct trial *trial, const struct model_session *one)
{
    return trial->now.ms - one->touched.ms - SESSIONS_SETTLE_MS;
}

static bool has_earliest_end(const struct trial *trial, const struct session *value)
{
    for (size_t i = 0; i < trial->model.count; i++)
        if (trial->model.open[i].value.last.ms / 1000 < value->last.ms / 1000)
            return false;
    return true;
}

static void check_taken(struct trial *trial, const struct session *taken)
{
    struct model_session *one = model_find(&trial->model, taken);
    MUST(one != NULL);
    bool has_ended = ended_for_ms(trial, taken) >= 0;
    if (has_ended && settled_for_ms(trial, one) >= 0) {
        trial->counts.closed++;
    } else {
        MUST(trial->model.count > trial->rules->max_open);
        MUST(has_ended || has_earliest_end(trial, taken));
        trial->counts.evicted++;
    }
    model_remove(&trial->model, one);
}

static void check_drained(const struct trial *trial)
{
    MUST(trial->model.count <= trial->rules->max_open);
    MUST(!sessions_is_over(trial->store));
    for (size_t i = 0; i < trial->model.count; i++) {
        const struct model_session *one = &trial->model.open[i];
        MUST(ended_for_ms(trial, &one->value) < SEEN_LATE_MS || settled_for_ms(trial, one) < SEEN_LATE_MS);
    }
}

static void close_due(struct trial *trial)
{
    uint64_t limit = choice_one_in(trial->choice, 3) ? choice_below(trial->choice, 4) : MODEL_MAX + 1;
    struct session taken;
    while (limit-- > 0) {
        struct sessions_question question = {trial->watermark, LATENESS_MS, trial->now, SIZE_MAX};
        bool has_due = sessions_has_due(trial->store, &question);
        bool has_taken = sessions_take_due(trial->store, &question, &taken);
        MUST(has_due == has_taken);
        if (!has_taken) {
            check_drained(trial);
            return;
        }
        check_taken(trial, &taken);
    }
}

/* ---- Batches ---- */

static void append_row(struct trial *trial, const struct session *change)
{
    if (trial->row_count == trial->row_cap) {
        trial->row_cap = trial->row_cap == 0 ? 256 : 2 * trial->row_cap;
        trial->rows = must_realloc(trial->rows, trial->row_cap * sizeof *trial->rows);
    }
    trial->rows[trial->row_count++] = (struct row){trial->version, pooled(change)};
}

/* A value that is stored is that of an open session, each at most once, and changed unless it is renewed. */
static void check_change(struct trial *trial, const struct session *change, bool may_renew)
{
    if (change->events == 0)
        return;
    struct model_session *one = model_find(&trial->model, change);
    MUST(one != NULL);
    MUST(one->is_changed || may_renew);
    trial->counts.renewed += !one->is_changed;
    for (size_t i = trial->row_count; i-- > 0 && trial->rows[i].version == trial->version;)
        MUST(!session_is_same(&trial->rows[i].change, change));
}

static void forget_rows(struct trial *trial)
{
    int64_t before;
    size_t gone = 0;
    if (!sessions_forget_changes(trial->store, &before))
        return;
    while (gone < trial->row_count && trial->rows[gone].version < before)
        gone++;
    MUST(gone > 0);
    trial->row_count -= gone;
    memmove(trial->rows, trial->rows + gone, trial->row_count * sizeof *trial->rows);
    trial->counts.forgotten += gone;
}

static void store_batch(struct trial *trial)
{
    size_t cursor = 0;
    struct session change;
    bool may_renew = trial->row_count > 2 * trial->model.count + 10000;
    trial->version += 1 + (int64_t)choice_below(trial->choice, 2);
    sessions_renew_old_changes(trial->store);
    while (sessions_next_change(trial->store, &cursor, &change)) {
        check_change(trial, &change, may_renew);
        append_row(trial, &change);
    }
    sessions_note_stored(trial->store, trial->version);
    model_note_stored(&trial->model);
    forget_rows(trial);
    MUST(sessions_change_rows(trial->store) == (int64_t)trial->row_count);
    cursor = 0;
    MUST(!sessions_next_change(trial->store, &cursor, &change));
    if (choice_one_in(trial->choice, trial->rules->replay_every)) {
        struct sessions *again = replay_all(trial);
        check_agreement(trial, again);
        sessions_free(&again);
    }
}

static void restart(struct trial *trial)
{
    store_batch(trial);
    sessions_free(&trial->store);
    trial->store = replay_all(trial);
    trial->counts.restarts++;
    for (size_t i = 0; i < trial->model.count; i++)
        trial->model.open[i].touched = trial->now;
}

/* ---- The life ---- */

static void pass_time(struct trial *trial)
{
    trial->now.ms += (int64_t)choice_below(trial->choice, 3 * SESSIONS_SETTLE_MS);
    trial->watermark.ms += (int64_t)choice_below(trial->choice, MAX_STEP_MS);
    if (choice_one_in(trial->choice, 50)) /* the wall clock that caps it may be set back */
        trial->watermark.ms -= MAX_STEP_MS;
}

static void step(struct trial *trial)
{
    uint64_t what = choice_below(trial->choice, 256);
    if (what < 170)
        add_part(trial);
    else if (what < 200)
        pass_time(trial);
    else if (what < 225)
        close_due(trial);
    else if (what < 254)
        store_batch(trial);
    else if (choice_one_in(trial->choice, 8))
        restart(trial);
    MUST(sessions_count(trial->store) == trial->model.count);
}

struct sessions_trial_counts sessions_trial_run(struct choice *choice,
                                                const struct sessions_trial_rules *rules)
{
    static struct trial trial; /* too large for a stack */
    memset(&trial, 0, sizeof trial);
    trial.choice = choice;
    trial.rules = rules;
    trial.store = sessions_new(GAP_MS, rules->max_open);
    trial.model.gap_ms = GAP_MS;
    trial.watermark.ms = BASE_MS;
    for (size_t i = 0; i < rules->steps && !choice_is_over(choice); i++) {
        step(&trial);
        if (i % 64 == 0)
            check_agreement(&trial, trial.store);
    }
    store_batch(&trial);
    check_agreement(&trial, trial.store);
    sessions_free(&trial.store);
    free(trial.rows);
    return trial.counts;
}
