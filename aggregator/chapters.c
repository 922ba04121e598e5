/* SPDX-License-Identifier: Apache-2.0
 * chapters: see the header. */
#include "aggregator/chapters.h"

#include <stdlib.h>

#include "base/failpoint.h"
#include "base/status.h"

/* Of a chapter: fewer chapters than rows, yet a small step to forget. */
enum { CHAPTER_ROWS = 256, START_CHAPTERS = 16 };

static const int64_t before_all_versions = INT64_MIN;

void chapters_init(struct chapters *chapters)
{
    int64_t forgotten = FAILPOINT_NUMBER("changes_forgotten", CHAPTERS_MIN_FORGOTTEN);
    *chapters = (struct chapters){.min_forgotten = forgotten,
                                  .chapter_rows = forgotten < CHAPTER_ROWS ? 1 : CHAPTER_ROWS};
}

void chapters_fini(struct chapters *chapters)
{
    free(chapters->ring);
    *chapters = (struct chapters){.ring = NULL};
}

static struct chapter *chapter_at(const struct chapters *chapters, uint64_t number)
{
    MUST(number - chapters->front < chapters->count);
    return &chapters->ring[number & (chapters->cap - 1)];
}

static uint64_t last_number(const struct chapters *chapters)
{
    return chapters->front + chapters->count - 1;
}

static void grow(struct chapters *chapters)
{
    struct chapters wider = *chapters;
    wider.cap = chapters->cap == 0 ? START_CHAPTERS : 2 * chapters->cap;
    wider.ring = must_calloc(wider.cap, sizeof *wider.ring);
    for (size_t i = 0; i < chapters->count; i++)
        *chapter_at(&wider, wider.front + i) = *chapter_at(chapters, chapters->front + i);
    free(chapters->ring);
    *chapters = wider;
}

static struct chapter *begin_chapter(struct chapters *chapters, int64_t version)
{
    if (chapters->count == chapters->cap)
        grow(chapters);
    chapters->count++;
    struct chapter *chapter = chapter_at(chapters, last_number(chapters));
    *chapter = (struct chapter){.first_version = version};
    return chapter;
}

static uint64_t add_rows(struct chapters *chapters, struct chapter *chapter, size_t rows)
{
    chapter->rows += (int64_t)rows;
    chapters->rows += (int64_t)rows;
    return last_number(chapters);
}

uint64_t chapters_add_replayed(struct chapters *chapters)
{
    if (chapters->count == 0)
        begin_chapter(chapters, before_all_versions);
    struct chapter *last = chapter_at(chapters, last_number(chapters));
    MUST(last->first_version == before_all_versions);
    return add_rows(chapters, last, 1);
}

static bool is_full(const struct chapters *chapters, const struct chapter *chapter)
{
    return chapter->rows >= chapters->chapter_rows || chapter->first_version == before_all_versions;
}

uint64_t chapters_add(struct chapters *chapters, int64_t version, size_t rows)
{
    struct chapter *last = chapters->count > 0 ? chapter_at(chapters, last_number(chapters)) : NULL;
    MUST(last == NULL || version > last->first_version);
    if (last == NULL || is_full(chapters, last))
        last = begin_chapter(chapters, version);
    return add_rows(chapters, last, rows);
}

uint64_t chapters_number(const struct chapters *chapters, uint64_t low, unsigned bits)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    MUST(chapters->count <= mask);
    return chapters->front + ((low - chapters->front) & mask);
}

void chapters_hold(struct chapters *chapters, uint64_t number)
{
    chapter_at(chapters, number)->live++;
}

void chapters_release(struct chapters *chapters, uint64_t number)
{
    struct chapter *chapter = chapter_at(chapters, number);
    MUST(chapter->live > 0);
    chapter->live--;
}

uint64_t chapters_middle(const struct chapters *chapters)
{
    int64_t rows = 0;
    uint64_t number = chapters->front;
    while (number < chapters->front + chapters->count && rows <= chapters->rows / 2)
        rows += chapter_at(chapters, number++)->rows;
    return number;
}

bool chapters_forget(struct chapters *chapters, int64_t *before)
{
    int64_t rows = 0;
    size_t count = 0;
    while (count + 1 < chapters->count && rows < CHAPTERS_MAX_FORGOTTEN) {
        const struct chapter *chapter = chapter_at(chapters, chapters->front + count);
        if (chapter->live > 0)
            break;
        rows += chapter->rows;
        count++;
    }
    if (rows < chapters->min_forgotten)
        return false;
    chapters->front += count;
    chapters->count -= count;
    chapters->rows -= rows;
    *before = chapter_at(chapters, chapters->front)->first_version;
    return true;
}
