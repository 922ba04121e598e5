/* SPDX-License-Identifier: Apache-2.0
 * changes: see the header. An open entry that is stored and not changed holds its chapter; every function
 * below keeps to that. */
#include "aggregator/changes.h"

#include <stdlib.h>

enum { START_NUMBERS = 64, CHAPTER_BITS = 24 };
#define CHAPTER_MASK ((UINT64_C(1) << CHAPTER_BITS) - 1)

/* Stored rows may be twice the open sessions, and twice what is worth forgetting on top, before old ones are
 * renewed; a batch then looks at SWEEP_STEP entries, and at SWEEP_FACTOR more for each row of its own, so that
 * a sweep ends before the rows double. It renews no more rows than it has of its own, and SWEEP_STEP. */
enum { SWEEP_STEP = 1000, SWEEP_FACTOR = 4 };

void changes_init(struct changes *changes, struct entries *entries)
{
    *changes = (struct changes){.entries = entries};
    chapters_init(&changes->chapters);
}

void changes_fini(struct changes *changes)
{
    free(changes->changed.numbers);
    free(changes->gone.numbers);
    chapters_fini(&changes->chapters);
}

static void list_add(struct changes_list *list, uint32_t number)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? START_NUMBERS : 2 * list->cap;
        list->numbers = must_realloc(list->numbers, list->cap * sizeof *list->numbers);
    }
    list->numbers[list->count++] = number;
}

/* ---- Chapters of entries ---- */

static uint64_t chapter_of(const struct changes *changes, const struct entry *entry)
{
    return chapters_number(&changes->chapters, entry->chapter, CHAPTER_BITS);
}

static void hold_chapter(struct changes *changes, struct entry *entry, uint64_t chapter)
{
    entry->is_stored = 1;
    entry->chapter = chapter & CHAPTER_MASK;
    chapters_hold(&changes->chapters, chapter);
}

static void release_chapter(struct changes *changes, const struct entry *entry)
{
    if (entry->is_stored && !entry->is_changed)
        chapters_release(&changes->chapters, chapter_of(changes, entry));
}

/* ---- What happens to entries ---- */

void changes_mark(struct changes *changes, uint32_t number)
{
    struct entry *entry = &changes->entries->at[number];
    if (entry->is_changed)
        return;
    release_chapter(changes, entry);
    entry->is_changed = 1;
    list_add(&changes->changed, number);
}

void changes_note_joined(struct changes *changes, uint32_t number)
{
    release_chapter(changes, &changes->entries->at[number]);
    entries_close(changes->entries, number, ENTRY_JOINED);
    entries_drop_texts(changes->entries, number);
}

void changes_note_gone(struct changes *changes, uint32_t number)
{
    release_chapter(changes, &changes->entries->at[number]);
    entries_close(changes->entries, number, ENTRY_GONE);
    list_add(&changes->gone, number);
}

void changes_note_replaced(struct changes *changes, uint32_t number)
{
    release_chapter(changes, &changes->entries->at[number]);
}

void changes_note_replayed(struct changes *changes, uint32_t number)
{
    MUST(changes->changed.count == 0 && changes->gone.count == 0);
    uint64_t chapter = chapters_add_replayed(&changes->chapters);
    if (number != 0)
        hold_chapter(changes, &changes->entries->at[number], chapter);
}

/* ---- Storing them ---- */

static bool has_tombstone(const struct changes *changes, uint32_t number)
{
    return changes->entries->at[number].is_stored;
}

static bool has_value(const struct changes *changes, uint32_t number)
{
    return changes->entries->at[number].state == ENTRY_OPEN;
}

static void read_tombstone(const struct changes *changes, uint32_t number, struct session *out)
{
    struct session gone;
    entries_read(changes->entries, number, &gone);
    *out = (struct session){.ip = gone.ip, .host = gone.host, .start = gone.start, .last = gone.last};
}

/* Tombstones first: a session may have been opened where one is gone. */
bool changes_next(const struct changes *changes, size_t *cursor, struct session *out)
{
    for (; *cursor < changes->gone.count; ++*cursor) {
        if (!has_tombstone(changes, changes->gone.numbers[*cursor]))
            continue;
        read_tombstone(changes, changes->gone.numbers[(*cursor)++], out);
        return true;
    }
    for (; *cursor < changes->gone.count + changes->changed.count; ++*cursor) {
        uint32_t number = changes->changed.numbers[*cursor - changes->gone.count];
        if (!has_value(changes, number))
            continue;
        entries_read(changes->entries, number, out);
        ++*cursor;
        return true;
    }
    return false;
}

static size_t count_rows(const struct changes *changes)
{
    size_t rows = 0;
    for (size_t i = 0; i < changes->gone.count; i++)
        rows += has_tombstone(changes, changes->gone.numbers[i]);
    for (size_t i = 0; i < changes->changed.count; i++)
        rows += has_value(changes, changes->changed.numbers[i]);
    return rows;
}

void changes_note_stored(struct changes *changes, int64_t version)
{
    size_t rows = count_rows(changes);
    uint64_t chapter = rows > 0 ? chapters_add(&changes->chapters, version, rows) : 0;
    for (size_t i = 0; i < changes->changed.count; i++) {
        struct entry *entry = &changes->entries->at[changes->changed.numbers[i]];
        entry->is_changed = 0;
        if (entry->state == ENTRY_OPEN)
            hold_chapter(changes, entry, chapter);
    }
    for (size_t i = 0; i < changes->gone.count; i++)
        entries_free(changes->entries, changes->gone.numbers[i]);
    changes->changed.count = 0;
    changes->gone.count = 0;
}

/* ---- Renewing ---- */

static bool has_outgrown(const struct changes *changes)
{
    int64_t useful = (int64_t)changes->entries->open_count + changes->chapters.min_forgotten;
    return changes->chapters.rows > 2 * useful;
}

static bool is_old(const struct changes *changes, const struct entry *entry)
{
    return entry->state == ENTRY_OPEN && entry->is_stored && !entry->is_changed &&
           chapter_of(changes, entry) < changes->sweep_until;
}

void changes_renew_old(struct changes *changes)
{
    if (changes->sweep_at == 0) {
        if (!has_outgrown(changes))
            return;
        changes->sweep_at = 1;
        changes->sweep_until = chapters_middle(&changes->chapters);
    }
    size_t may_renew = SWEEP_STEP + changes->changed.count;
    size_t may_look = SWEEP_FACTOR * may_renew;
    while (changes->sweep_at < changes->entries->used && may_look > 0 && may_renew > 0) {
        if (is_old(changes, &changes->entries->at[changes->sweep_at])) {
            changes_mark(changes, changes->sweep_at);
            may_renew--;
        }
        changes->sweep_at++;
        may_look--;
    }
    if (changes->sweep_at == changes->entries->used)
        changes->sweep_at = 0;
}
