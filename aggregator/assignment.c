/* SPDX-License-Identifier: Apache-2.0
 * assignment: see the header. */
#include "aggregator/assignment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void assignment_init(struct assignment *assignment, int partition_count)
{
    MUST(partition_count > 0);
    *assignment = (struct assignment){
        .limit = partition_count,
        .parts = must_calloc((size_t)partition_count, sizeof *assignment->parts),
    };
    for (int i = 0; i < partition_count; i++) {
        struct assignment_part *part = &assignment->parts[i];
        part->condemned_offset = -1;
        part->stored_offset = -2;
        part->cooling =
            (struct backoff){.min_ms = ASSIGNMENT_COOLING_MIN_MS, .max_ms = ASSIGNMENT_COOLING_MAX_MS};
    }
}

void assignment_fini(struct assignment *assignment)
{
    assignment_clear(assignment);
    assignment_bury(assignment);
    free(assignment->parts);
    free(assignment->dropped);
    *assignment = (struct assignment){0};
}

static struct assignment_part *find(const struct assignment *assignment, int partition)
{
    MUST(partition >= 0 && partition < assignment->limit);
    return &assignment->parts[partition];
}

/* ---- What the group says ---- */

bool assignment_set(struct assignment *assignment, const int *partitions, size_t count, mono_ms now)
{
    assignment_clear(assignment);
    bool all_known = true;
    for (size_t i = 0; i < count; i++) {
        if (partitions[i] < 0 || partitions[i] >= assignment->limit) {
            all_known = false;
            continue;
        }
        struct assignment_part *part = find(assignment, partitions[i]);
        part->state = ASSIGNMENT_WANTED;
        part->claim_at = now;
        backoff_reset(&part->cooling);
    }
    return all_known;
}

static void drop_claim(struct assignment *assignment, struct assignment_part *part)
{
    if (part->state != ASSIGNMENT_HELD)
        return;
    assignment->dropped =
        must_realloc(assignment->dropped, (assignment->dropped_count + 1) * sizeof *assignment->dropped);
    assignment->dropped[assignment->dropped_count++] = part->claim;
    part->claim = NULL;
    part->state = ASSIGNMENT_WANTED;
    part->is_at_end = false;
}

void assignment_clear(struct assignment *assignment)
{
    assignment->generation++;
    for (int i = 0; i < assignment->limit; i++) {
        drop_claim(assignment, &assignment->parts[i]);
        assignment->parts[i].state = ASSIGNMENT_NONE;
        assignment->parts[i].halt = HALT_NONE;
        assignment->parts[i].halt_reason[0] = '\0';
    }
}

/* ---- Claims come and go ---- */

int assignment_find_due(const struct assignment *assignment, mono_ms now)
{
    for (int i = 0; i < assignment->limit; i++) {
        const struct assignment_part *part = &assignment->parts[i];
        if (part->state == ASSIGNMENT_WANTED && part->halt != HALT_FOUND && part->claim_at.ms <= now.ms)
            return i;
    }
    return -1;
}

bool assignment_hold_take(struct assignment *assignment, int generation, struct claim *claim)
{
    struct assignment_part *part = find(assignment, claim->partition);
    if (generation != assignment->generation || part->state != ASSIGNMENT_WANTED) {
        claim_free(&claim);
        return false;
    }
    part->state = ASSIGNMENT_HELD;
    part->halt = HALT_NONE;
    part->halt_reason[0] = '\0';
    part->claim = claim;
    part->read_offset = claim->next_offset;
    part->stored_offset = claim->next_offset;
    part->is_at_end = false;
    return true;
}

void assignment_drop(struct assignment *assignment)
{
    for (int i = 0; i < assignment->limit; i++)
        drop_claim(assignment, &assignment->parts[i]);
}

void assignment_renew(struct assignment *assignment, mono_ms now)
{
    assignment->generation++;
    assignment_drop(assignment);
    for (int i = 0; i < assignment->limit; i++) {
        assignment->parts[i].halt = HALT_NONE;
        assignment->parts[i].claim_at = now;
    }
}

void assignment_fence(struct assignment *assignment, int partition, mono_ms now)
{
    struct assignment_part *part = find(assignment, partition);
    drop_claim(assignment, part);
    if (part->halt == HALT_FOUND)
        part->halt = HALT_NONE;
    part->claim_at = (mono_ms){now.ms + ASSIGNMENT_COOLING_MS + backoff_next(&part->cooling)};
}

bool assignment_halt(struct assignment *assignment, int partition, const char *reason, mono_ms now)
{
    struct assignment_part *part = find(assignment, partition);
    part->claim_at = (mono_ms){now.ms + ASSIGNMENT_LOOK_MS};
    if (part->halt == HALT_FOUND)
        return false;
    part->halt = HALT_KEPT;
    if (part->state == ASSIGNMENT_HELD) {
        part->halt = HALT_FOUND;
        part->halt_owner = part->claim->owner;
    }
    if (strcmp(part->halt_reason, reason) == 0)
        return false;
    snprintf(part->halt_reason, sizeof part->halt_reason, "%s", reason);
    return true;
}

int assignment_find_halt(const struct assignment *assignment)
{
    for (int i = 0; i < assignment->limit; i++)
        if (assignment->parts[i].halt == HALT_FOUND)
            return i;
    return -1;
}

void assignment_note_halt_kept(struct assignment *assignment, int partition, mono_ms now)
{
    struct assignment_part *part = find(assignment, partition);
    drop_claim(assignment, part);
    part->halt = HALT_KEPT;
    part->claim_at = (mono_ms){now.ms + ASSIGNMENT_LOOK_MS};
}

void assignment_bury(struct assignment *assignment)
{
    while (assignment->dropped_count > 0)
        claim_free(&assignment->dropped[--assignment->dropped_count]);
}

const struct assignment_part *assignment_find_held(const struct assignment *assignment, int partition)
{
    bool is_held = partition < assignment->limit && find(assignment, partition)->state == ASSIGNMENT_HELD;
    return is_held ? &assignment->parts[partition] : NULL;
}

/* ---- What is read ---- */

static bool is_read(const struct assignment_part *part)
{
    return part->state == ASSIGNMENT_HELD && part->halt == HALT_NONE;
}

size_t assignment_positions(const struct assignment *assignment, struct feed_position *positions)
{
    size_t count = 0;
    for (int i = 0; i < assignment->limit; i++)
        if (is_read(&assignment->parts[i]))
            positions[count++] = (struct feed_position){i, assignment->parts[i].read_offset};
    return count;
}

struct assignment_part *assignment_accept(struct assignment *assignment, int partition, int64_t offset)
{
    if (partition < 0 || partition >= assignment->limit)
        return NULL;
    struct assignment_part *part = &assignment->parts[partition];
    if (!is_read(part) || offset < part->read_offset)
        return NULL;
    part->read_offset = offset + 1;
    part->is_at_end = false;
    return part;
}

void assignment_note_end(struct assignment *assignment, int partition, mono_ms now)
{
    if (partition < 0 || partition >= assignment->limit)
        return;
    struct assignment_part *part = &assignment->parts[partition];
    if (!is_read(part) || part->is_at_end)
        return;
    part->is_at_end = true;
    part->quiet_since = now;
}

int64_t assignment_quiet_ms(const struct assignment *assignment, int partition, mono_ms now)
{
    const struct assignment_part *part = find(assignment, partition);
    return part->is_at_end ? now.ms - part->quiet_since.ms : -1;
}

void assignment_note_committed(struct assignment *assignment, int partition)
{
    struct assignment_part *part = find(assignment, partition);
    MUST(part->state == ASSIGNMENT_HELD);
    part->stored_offset = part->claim->next_offset;
    if (part->stored_offset > part->condemned_offset)
        part->condemned_offset = -1;
}

size_t assignment_count(const struct assignment *assignment, enum assignment_state state)
{
    size_t count = 0;
    for (int i = 0; i < assignment->limit; i++)
        count += assignment->parts[i].state == state;
    return count;
}

size_t assignment_halted_count(const struct assignment *assignment)
{
    size_t count = 0;
    for (int i = 0; i < assignment->limit; i++)
        count += assignment->parts[i].halt != HALT_NONE;
    return count;
}
