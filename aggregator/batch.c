/* SPDX-License-Identifier: Apache-2.0
 * batch: see the header. */
#include "aggregator/batch.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "aggregator/row.h"
#include "proto/partition.h"

enum {
    DAY_MS = 24 * 60 * 60 * 1000,
    START_BYTES = 64 * 1024,
    CHUNK_BYTES = 256 * 1024,
    /* A row of the longest texts that a hit and a place have is under 12 KiB. */
    MAX_ROW_BYTES = 16 * 1024,
    MAX_REASON_BYTES = 1024,
    MAX_REJECT_BYTES = HIT_MAX_BYTES + 4 * 1024,
    REJECT_FIELDS = 6,
    /* What the arena holds of a hit is less than its row and the text of its user agent, each rounded up; of
     * a control record it is the reason. */
    MAX_ARENA_BYTES = 2 * BATCH_MAX_BYTES + BATCH_MAX_HITS * CONTROL_MAX_REASON + CHUNK_BYTES,
};

/* Positions + 1 in days and agents by hash, 0: empty. Open addressing, at most a third full. */
enum { INDEX_SLOTS = 65536 };
_Static_assert(INDEX_SLOTS >= 3 * BATCH_MAX_HITS, "the index is never near full");
_Static_assert(BATCH_MAX_HITS < UINT16_MAX, "a position fits into a slot");

struct batch_index {
    slice topic;
    uint16_t days[INDEX_SLOTS];
    uint16_t agents[INDEX_SLOTS];
    size_t filled_count; /* slots: a batch of few hits does not pay for emptying them all */
    uint16_t *filled[2 * BATCH_MAX_HITS];
};

struct batch *batch_new(const char *topic, int partition_count)
{
    MUST(partition_count >= 1 && partition_count <= PARTITIONS_MAX);
    struct batch *batch = must_calloc(1, sizeof *batch);
    batch->partition_count = partition_count;
    batch->hits = must_malloc(BATCH_MAX_HITS * sizeof *batch->hits);
    batch->controls = must_malloc(BATCH_MAX_HITS * sizeof *batch->controls);
    batch->agents = must_malloc(BATCH_MAX_HITS * sizeof *batch->agents);
    batch->days = must_malloc(BATCH_MAX_HITS * sizeof *batch->days);
    batch->next_offsets = must_malloc((size_t)partition_count * sizeof *batch->next_offsets);
    batch->last_written = must_calloc((size_t)partition_count, sizeof *batch->last_written);
    buf_init_growing(&batch->rows, START_BYTES, BATCH_MAX_BYTES);
    buf_init_growing(&batch->rejects, START_BYTES, BATCH_MAX_BYTES);
    batch->arena = arena_new(CHUNK_BYTES, MAX_ARENA_BYTES);
    batch->index = must_calloc(1, sizeof *batch->index);
    batch->index->topic = slice_of(topic);
    batch_clear(batch);
    return batch;
}

void batch_free(struct batch **batch)
{
    if (*batch == NULL)
        return;
    free((*batch)->index);
    arena_free(&(*batch)->arena);
    buf_fini(&(*batch)->rejects);
    buf_fini(&(*batch)->rows);
    free((*batch)->last_written);
    free((*batch)->next_offsets);
    free((*batch)->days);
    free((*batch)->agents);
    free((*batch)->controls);
    free((*batch)->hits);
    free(*batch);
    *batch = NULL;
}

static void fill_slot(struct batch_index *index, uint16_t *slot, size_t position)
{
    *slot = (uint16_t)(position + 1);
    index->filled[index->filled_count++] = slot;
}

static void empty_index(struct batch_index *index)
{
    for (size_t i = 0; i < index->filled_count; i++)
        *index->filled[i] = 0;
    index->filled_count = 0;
}

void batch_clear(struct batch *batch)
{
    batch->hit_count = 0;
    batch->control_count = 0;
    batch->reject_count = 0;
    batch->message_count = 0;
    batch->agent_count = 0;
    batch->day_count = 0;
    batch->provisional_count = 0;
    batch->waits_since = (mono_ms){0};
    for (int i = 0; i < batch->partition_count; i++)
        batch->next_offsets[i] = -1;
    buf_clear(&batch->rows);
    buf_clear(&batch->rejects);
    arena_clear(batch->arena);
    empty_index(batch->index);
}

bool batch_is_empty(const struct batch *batch)
{
    return batch->message_count == 0;
}

bool batch_has_room(const struct batch *batch, size_t max_messages)
{
    return batch->message_count < max_messages && batch->message_count < BATCH_MAX_HITS &&
           batch->rows.len + MAX_ROW_BYTES <= BATCH_MAX_BYTES &&
           batch->rejects.len + MAX_REJECT_BYTES <= BATCH_MAX_BYTES;
}

void batch_pass(struct batch *batch, const struct batch_position *at)
{
    MUST(batch->message_count < BATCH_MAX_HITS);
    MUST(at->partition >= 0 && at->partition < batch->partition_count);
    batch->message_count++;
    int64_t *next = &batch->next_offsets[at->partition];
    if (at->offset >= *next)
        *next = at->offset + 1;
    batch->last_written[at->partition] = at->written;
}

/* ---- Days and agents ---- */

static void add_day(struct batch *batch, wall_ms time)
{
    int32_t day = (int32_t)((time.ms - (time.ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS);
    if (batch->day_count > 0 && batch->days[batch->day_count - 1] == day)
        return; /* as it mostly is */
    uint16_t *slots = batch->index->days;
    size_t at = (uint32_t)day * 0x9E3779B1u % INDEX_SLOTS;
    while (slots[at] != 0 && batch->days[slots[at] - 1] != day)
        at = (at + 1) % INDEX_SLOTS;
    if (slots[at] != 0)
        return;
    fill_slot(batch->index, &slots[at], batch->day_count);
    batch->days[batch->day_count++] = day;
}

/* Returns the id that the text has in the dictionary. */
static int64_t add_agent(struct batch *batch, slice text)
{
    uint64_t hash = XXH3_64bits(text.data, text.len);
    int64_t id = (int64_t)hash;
    uint16_t *slots = batch->index->agents;
    size_t at = hash % INDEX_SLOTS;
    while (slots[at] != 0 && batch->agents[slots[at] - 1].id != id)
        at = (at + 1) % INDEX_SLOTS;
    if (slots[at] != 0)
        return id;
    fill_slot(batch->index, &slots[at], batch->agent_count);
    batch->agents[batch->agent_count++] =
        (struct batch_agent){.id = id, .text = arena_copy(batch->arena, text)};
    return id;
}

/* ---- Control records ---- */

void batch_note_control(struct batch *batch, const struct batch_position *at, const struct control *control)
{
    MUST(batch->control_count < batch->message_count);
    struct batch_control *noted = &batch->controls[batch->control_count++];
    *noted = (struct batch_control){.at = *at, .control = *control};
    size_t len = control->reason.len < CONTROL_MAX_REASON ? control->reason.len : CONTROL_MAX_REASON;
    noted->control.reason = arena_copy(batch->arena, slice_head(control->reason, len));
}

/* ---- Hits and rejects ---- */

static slice place_text(char **room, slice text)
{
    slice copy = {*room, text.len};
    if (text.len > 0)
        memcpy(*room, text.data, text.len);
    *room += text.len;
    return copy;
}

/* All texts of a hit in one piece of the arena. */
static void copy_texts(struct batch *batch, struct batch_hit *into, const struct hit *hit,
                       const struct place *place)
{
    char *room = arena_take(batch->arena, hit->host.len + hit->url.len + hit->referrer.len +
                                              place->country.len + place->state.len + place->city.len);
    into->host = place_text(&room, hit->host);
    into->url = place_text(&room, hit->url);
    into->referrer = place_text(&room, hit->referrer);
    into->country = place_text(&room, place->country);
    into->state = place_text(&room, place->state);
    into->city = place_text(&room, place->city);
}

static int home_of(const struct batch *batch, const struct hit *hit)
{
    char key[PARTITION_KEY_MAX];
    size_t len = partition_key_write(hit->host, hit->ip, key);
    return partition_of_key((slice){key, len}, batch->partition_count);
}

static void add_row(struct batch *batch, struct batch_hit *into, const struct hit *hit,
                    const struct place *place)
{
    int64_t agent_id = hit->user_agent.len > 0 ? add_agent(batch, hit->user_agent) : 0;
    into->row_start = (uint32_t)batch->rows.len;
    row_add_hit(&batch->rows, &into->at, hit, place, agent_id);
    into->row_len = (uint32_t)batch->rows.len - into->row_start;
    MUST(!batch->rows.overflowed && into->row_len <= MAX_ROW_BYTES);
}

void batch_add_hit(struct batch *batch, const struct batch_position *at, const struct hit *hit,
                   const struct place *place)
{
    batch_pass(batch, at);
    struct batch_hit *added = &batch->hits[batch->hit_count++];
    *added = (struct batch_hit){.at = *at,
                                .has_stream = hit->has_stream,
                                .stream = hit->stream,
                                .seq = hit->seq,
                                .home = home_of(batch, hit),
                                .ip = hit->ip,
                                .event_time = hit->event_time,
                                .source = hit->source,
                                .flags = hit->flags,
                                .is_bot = (hit->flags & HIT_FLAGS_BOT) != 0,
                                .is_provisional = place->is_provisional};
    batch->provisional_count += place->is_provisional;
    copy_texts(batch, added, hit, place);
    add_row(batch, added, hit, place);
    add_day(batch, hit->event_time);
}

/* ---- Places that come later ---- */

bool batch_awaits_places(const struct batch *batch, struct places *places)
{
    if (batch->provisional_count == 0)
        return false;
    for (size_t i = 0; i < batch->hit_count; i++)
        if (batch->hits[i].is_provisional && places_awaits(places, batch->hits[i].ip))
            return true;
    return false;
}

/* The row is written once more, behind the others; the old one is sent to nobody. */
static void replace_place(struct batch *batch, struct batch_hit *hit, const struct place *place)
{
    if (batch->rows.len + MAX_ROW_BYTES > BATCH_MAX_BYTES)
        return;
    MUST(buf_reserve(&batch->rows, MAX_ROW_BYTES) != NULL); /* so that the old row does not move meanwhile */
    slice row = {batch->rows.data + hit->row_start, hit->row_len};
    hit->row_start = (uint32_t)batch->rows.len;
    row_add_hit_with_place(&batch->rows, row, place);
    hit->row_len = (uint32_t)batch->rows.len - hit->row_start;
    char *room = arena_take(batch->arena, place->country.len + place->state.len + place->city.len);
    hit->country = place_text(&room, place->country);
    hit->state = place_text(&room, place->state);
    hit->city = place_text(&room, place->city);
}

void batch_settle_places(struct batch *batch, struct places *places)
{
    for (size_t i = 0; i < batch->hit_count && batch->provisional_count > 0; i++) {
        struct batch_hit *hit = &batch->hits[i];
        if (!hit->is_provisional)
            continue;
        hit->is_provisional = false;
        batch->provisional_count--;
        const struct place *place = places_settle(places, hit->ip);
        if (place->source == GEO_API)
            replace_place(batch, hit, place);
    }
}

void batch_add_reject(struct batch *batch, const struct batch_position *at, slice reason, slice raw)
{
    MUST(reason.len <= MAX_REASON_BYTES);
    batch_pass(batch, at);
    batch->reject_count++;
    struct buf *out = &batch->rejects;
    row_begin(out, REJECT_FIELDS);
    row_add_text(out, batch->index->topic);
    row_add_int32(out, at->partition);
    row_add_int64(out, at->offset);
    row_add_timestamp(out, at->written);
    row_add_text(out, reason);
    row_add_bytes(out, slice_head(raw, raw.len < HIT_MAX_BYTES ? raw.len : HIT_MAX_BYTES));
    MUST(!out->overflowed);
}

size_t batch_cut_new(const struct batch *batch, slice *pieces)
{
    size_t count = 0;
    uint32_t end = 0;
    for (size_t i = 0; i < batch->hit_count; i++) {
        const struct batch_hit *hit = &batch->hits[i];
        if (hit->is_duplicate)
            continue;
        if (count > 0 && hit->row_start == end)
            pieces[count - 1].len += hit->row_len;
        else
            pieces[count++] = (slice){batch->rows.data + hit->row_start, hit->row_len};
        end = hit->row_start + hit->row_len;
    }
    return count;
}

void batch_make_retried(struct batch *batch)
{
    batch->message_count -= batch->reject_count;
    batch->reject_count = 0;
    buf_clear(&batch->rejects);
    for (int i = 0; i < batch->partition_count; i++)
        batch->next_offsets[i] = -1;
}
