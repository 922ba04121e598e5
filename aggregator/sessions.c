/* SPDX-License-Identifier: Apache-2.0
 * sessions: see the header. The rules of what joins, what replaces and what is due; entries keeps the
 * sessions, due their order, changes what Postgres does not know.
 *
 * An open entry is in exactly one list of due: by the second of its last hit, from where it moves to settling
 * when the watermark has passed it but it was touched a moment ago. It is not moved when it changes: whoever
 * finds it too early puts it where it belongs. */
#include "aggregator/sessions.h"

#include <stdlib.h>

#include "aggregator/changes.h"
#include "aggregator/due.h"

enum { MAX_OPEN = 1 << 30, MS_A_SECOND = 1000, TOUCHED_BITS = 24 };
#define TOUCHED_MASK ((UINT64_C(1) << TOUCHED_BITS) - 1)
/* Touched within a second: surely settled when so many more have begun. */
#define SETTLE_SECONDS (SESSIONS_SETTLE_MS / MS_A_SECOND + 1)

struct sessions {
    int64_t gap_ms;
    size_t max_open;
    struct entries entries;
    struct due by_end;
    struct due settling;
    struct changes changes;
};

struct sessions *sessions_new(int64_t gap_ms, size_t max_open)
{
    MUST(gap_ms >= 0 && max_open <= MAX_OPEN);
    struct sessions *sessions = must_calloc(1, sizeof *sessions);
    sessions->gap_ms = gap_ms;
    sessions->max_open = max_open;
    entries_init(&sessions->entries);
    due_init(&sessions->by_end, &sessions->entries);
    due_init(&sessions->settling, &sessions->entries);
    changes_init(&sessions->changes, &sessions->entries);
    return sessions;
}

void sessions_free(struct sessions **sessions)
{
    if (*sessions == NULL)
        return;
    changes_fini(&(*sessions)->changes);
    due_fini(&(*sessions)->settling);
    due_fini(&(*sessions)->by_end);
    entries_fini(&(*sessions)->entries);
    free(*sessions);
    *sessions = NULL;
}

size_t sessions_count(const struct sessions *sessions)
{
    return sessions->entries.open_count;
}

bool sessions_is_over(const struct sessions *sessions)
{
    return sessions->entries.open_count > sessions->max_open;
}

static struct entry *entry_at(struct sessions *sessions, uint32_t number)
{
    return &sessions->entries.at[number];
}

static int64_t second_of_end(const struct entry *entry)
{
    return (int64_t)(entry->last / MS_A_SECOND);
}

static uint64_t second_of(mono_ms now)
{
    return (uint64_t)now.ms / MS_A_SECOND;
}

static void touch(struct entry *entry, mono_ms now)
{
    entry->touched = second_of(now) & TOUCHED_MASK;
}

/* ---- Adding ---- */

static uint32_t open_entry(struct sessions *sessions, const struct session *value)
{
    uint32_t number = entries_add(&sessions->entries, value);
    due_put(&sessions->by_end, number, second_of_end(entry_at(sessions, number)));
    return number;
}

/* An entry of the key, not `except`, whose times are at most gap from the span; 0: none. */
static uint32_t find_touching(struct sessions *sessions, const struct entry_key *key, uint32_t except,
                              struct session_span span)
{
    uint32_t number = 0;
    while ((number = entries_next_of_key(&sessions->entries, key, number)) != 0)
        if (number != except &&
            session_spans_touch(entry_span(entry_at(sessions, number)), span, sessions->gap_ms))
            break;
    return number;
}

/* `other` becomes part of `whole`. */
static void join(struct sessions *sessions, uint32_t whole, uint32_t other)
{
    struct session value;
    entries_read(&sessions->entries, other, &value);
    entries_merge(&sessions->entries, whole, &value);
    changes_mark(&sessions->changes, whole);
    if (entry_at(sessions, other)->is_stored)
        entry_at(sessions, whole)->is_stored = 1;
    changes_note_joined(&sessions->changes, other);
}

/* Joins the part to all entries of its key that belong to it; 0: there is none. */
static uint32_t join_part(struct sessions *sessions, const struct session *part)
{
    struct entry_key key;
    if (!entries_find_key(&sessions->entries, part, &key))
        return 0;
    struct session_span span = {part->start, part->last};
    uint32_t whole = find_touching(sessions, &key, 0, span);
    if (whole == 0)
        return 0;
    entries_merge(&sessions->entries, whole, part);
    uint32_t other;
    while ((other = find_touching(sessions, &key, whole, entry_span(entry_at(sessions, whole)))) != 0)
        join(sessions, whole, other);
    return whole;
}

void sessions_add(struct sessions *sessions, const struct session *part, mono_ms now)
{
    uint32_t number = join_part(sessions, part);
    if (number == 0)
        number = open_entry(sessions, part);
    touch(entry_at(sessions, number), now);
    changes_mark(&sessions->changes, number);
}

/* ---- Replaying ---- */

/* Removes what the change overlaps, but for one entry that can take its value: one that need not move to an
 * earlier second. */
static uint32_t replace_overlapped(struct sessions *sessions, const struct session *change)
{
    struct entry_key key;
    struct session_span span = {change->start, change->last};
    uint32_t kept = 0;
    if (!entries_find_key(&sessions->entries, change, &key))
        return 0;
    uint32_t number = entries_next_of_key(&sessions->entries, &key, 0);
    for (uint32_t next; number != 0; number = next) {
        struct session_span own = entry_span(entry_at(sessions, number));
        next = entries_next_of_key(&sessions->entries, &key, number);
        if (!session_spans_touch(own, span, 0))
            continue;
        if (kept == 0 && change->events > 0 && own.last.ms <= change->last.ms)
            kept = number;
        else
            changes_note_joined(&sessions->changes, number);
    }
    return kept;
}

void sessions_replay(struct sessions *sessions, const struct session *change, mono_ms now)
{
    uint32_t number = replace_overlapped(sessions, change);
    if (number != 0) {
        changes_note_replaced(&sessions->changes, number);
        entries_replace(&sessions->entries, number, change);
    } else if (change->events > 0) {
        number = open_entry(sessions, change);
    }
    changes_note_replayed(&sessions->changes, number);
    if (number != 0)
        touch(entry_at(sessions, number), now);
}

bool sessions_next(const struct sessions *sessions, size_t *cursor, struct session *out)
{
    while (++*cursor < sessions->entries.used) {
        if (sessions->entries.at[*cursor].state != ENTRY_OPEN)
            continue;
        entries_read(&sessions->entries, (uint32_t)*cursor, out);
        return true;
    }
    return false;
}

/* ---- Closing ---- */

struct due_time {
    int64_t until;      /* an entry whose last hit is not later has ended; as entries pack times */
    uint64_t mono;      /* second */
    int64_t end_second; /* the last one that has passed as a whole */
    size_t *looks;
};

static struct due_time time_of(const struct sessions *sessions, struct sessions_question *question)
{
    struct due_time time = {.until = -1, .mono = second_of(question->now), .looks = &question->looks};
    wall_ms watermark = question->watermark;
    int64_t lateness_ms = question->lateness_ms;
    if (watermark.ms > SESSION_MAX_TIME_MS)
        watermark.ms = SESSION_MAX_TIME_MS;
    if (watermark.ms - SESSION_MIN_TIME_MS >= sessions->gap_ms + lateness_ms)
        time.until = watermark.ms - SESSION_MIN_TIME_MS - sessions->gap_ms - lateness_ms;
    time.end_second = (time.until + 1) / MS_A_SECOND - 1;
    return time;
}

static bool has_ended(const struct entry *entry, const struct due_time *time)
{
    return (int64_t)entry->last <= time->until;
}

static uint64_t seconds_untouched(const struct entry *entry, const struct due_time *time)
{
    return (time->mono - entry->touched) & TOUCHED_MASK;
}

static bool is_due(const struct entry *entry, const struct due_time *time)
{
    return entry->state == ENTRY_OPEN && has_ended(entry, time) &&
           seconds_untouched(entry, time) >= SETTLE_SECONDS;
}

/* An entry that stood in a list too early. */
static void put_back(struct sessions *sessions, uint32_t number, const struct due_time *time)
{
    struct entry *entry = entry_at(sessions, number);
    uint64_t untouched = seconds_untouched(entry, time);
    if (entry->state == ENTRY_JOINED)
        entries_free(&sessions->entries, number);
    else if (has_ended(entry, time) && untouched < SETTLE_SECONDS)
        due_put(&sessions->settling, number, (int64_t)(time->mono + SETTLE_SECONDS - untouched));
    else
        due_put(&sessions->by_end, number, second_of_end(entry));
}

/* The first entry of `due` stands there too early. False: enough were looked at. */
static bool move_first(struct sessions *sessions, struct due *due, uint32_t number,
                       const struct due_time *time)
{
    if (*time->looks == 0)
        return false;
    --*time->looks;
    due_take_first(due);
    put_back(sessions, number, time);
    return true;
}

/* The first of `due` up to a second that is due; those found before it go where they belong. */
static uint32_t find_due(struct sessions *sessions, struct due *due, int64_t second_limit,
                         const struct due_time *time)
{
    int64_t second;
    uint32_t number;
    while ((number = due_first(due, &second)) != 0 && second <= second_limit) {
        if (is_due(entry_at(sessions, number), time))
            return number;
        if (!move_first(sessions, due, number, time))
            return 0;
    }
    return 0;
}

/* The first that waits to settle only. */
static uint32_t find_unsettled(struct sessions *sessions, const struct due_time *time)
{
    int64_t second;
    uint32_t number;
    while ((number = due_first(&sessions->settling, &second)) != 0) {
        const struct entry *entry = entry_at(sessions, number);
        if (entry->state == ENTRY_OPEN && has_ended(entry, time))
            return number;
        if (!move_first(sessions, &sessions->settling, number, time))
            return 0;
    }
    return 0;
}

/* One with the earliest end. All those that have ended, to the second, are in settling. */
static uint32_t find_earliest(struct sessions *sessions, const struct due_time *time)
{
    int64_t second;
    uint32_t number;
    while ((number = due_first(&sessions->by_end, &second)) != 0) {
        const struct entry *entry = entry_at(sessions, number);
        if (entry->state == ENTRY_OPEN && second_of_end(entry) == second)
            return number;
        if (!move_first(sessions, &sessions->by_end, number, time))
            return 0;
    }
    return 0;
}

/* The entry that is to be taken, the first of *from; 0: none. */
static uint32_t find(struct sessions *sessions, const struct due_time *time, struct due **from)
{
    uint32_t number;
    *from = &sessions->settling;
    if ((number = find_due(sessions, *from, (int64_t)time->mono, time)) != 0)
        return number;
    *from = &sessions->by_end;
    if ((number = find_due(sessions, *from, time->end_second, time)) != 0)
        return number;
    if (!sessions_is_over(sessions) || *time->looks == 0)
        return 0;
    *from = &sessions->settling;
    if ((number = find_unsettled(sessions, time)) != 0)
        return number;
    *from = &sessions->by_end;
    return find_earliest(sessions, time);
}

bool sessions_take_due(struct sessions *sessions, struct sessions_question *question, struct session *out)
{
    struct due_time time = time_of(sessions, question);
    struct due *from;
    uint32_t number = find(sessions, &time, &from);
    if (number == 0)
        return false;
    due_take_first(from);
    changes_note_gone(&sessions->changes, number);
    entries_read(&sessions->entries, number, out);
    return true;
}

bool sessions_has_due(struct sessions *sessions, struct sessions_question *question)
{
    struct due_time time = time_of(sessions, question);
    struct due *from;
    return find(sessions, &time, &from) != 0;
}

/* ---- Changes ---- */

bool sessions_next_change(const struct sessions *sessions, size_t *cursor, struct session *out)
{
    return changes_next(&sessions->changes, cursor, out);
}

void sessions_note_stored(struct sessions *sessions, int64_t version)
{
    changes_note_stored(&sessions->changes, version);
}

int64_t sessions_change_rows(const struct sessions *sessions)
{
    return sessions->changes.chapters.rows;
}

bool sessions_forget_changes(struct sessions *sessions, int64_t *before)
{
    return chapters_forget(&sessions->changes.chapters, before);
}

void sessions_renew_old_changes(struct sessions *sessions)
{
    changes_renew_old(&sessions->changes);
}
