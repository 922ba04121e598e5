/* SPDX-License-Identifier: Apache-2.0
 * journal_rig: see the header. */
#include "tests/lib/journal_rig.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 1000000, MAX_COMMITS = 8, STEP_MS = 1000 };

uuid rig_boot(uint8_t boot)
{
    uuid id;
    memset(id.bytes, boot, sizeof(id.bytes));
    return id;
}

struct journal_options rig_options(struct sim_disk *sim, uint8_t boot)
{
    return (struct journal_options){
        .disk = sim_disk_of(sim),
        .boot = rig_boot(boot),
        .salt_seed = boot * UINT64_C(0x9e3779b97f4a7c15),
        .topic = "hits",
        .partitions = RIG_PARTITIONS,
        .segment_bytes = RIG_SEGMENT_BYTES,
        .max_bytes = 64 * RIG_SEGMENT_BYTES,
        .max_unsynced_bytes = 2 * RIG_SEGMENT_BYTES,
        .roll_age_ms = 1000000,
    };
}

void rig_open(struct rig *rig, const struct journal_options *options, struct sim_disk *sim)
{
    struct why why = {.text = ""};
    *rig = (struct rig){.sim = sim, .boot = options->boot, .now = {1}};
    rig->journal = journal_open(options, rig->now, &why);
    MUST(rig->journal != NULL);
}

void rig_close(struct rig *rig)
{
    (void)rig_end_sync(rig);
    journal_close(&rig->journal);
    disk_free(&(struct disk *){sim_disk_of(rig->sim)}); /* gives up the lock */
}

void rig_value(uuid boot, int partition, int64_t seq, size_t len, char *out)
{
    char text[64];
    int text_len =
        snprintf(text, sizeof(text), "<%02x %d %lld %zu>", boot.bytes[0], partition, (long long)seq, len);
    for (size_t at = 0; at < len; at += (size_t)text_len)
        memcpy(out + at, text, len - at < (size_t)text_len ? len - at : (size_t)text_len);
}

bool rig_is_value(uuid boot, int partition, int64_t seq, slice value)
{
    char expected[RIG_MAX_VALUE];
    if (value.len > sizeof(expected))
        return false;
    rig_value(boot, partition, seq, value.len, expected);
    return value.len == 0 || memcmp(value.data, expected, value.len) == 0;
}

enum status rig_append(struct rig *rig, int partition, size_t len, journal_position *position)
{
    char value[RIG_MAX_VALUE];
    int64_t seq = journal_next_seq(rig->journal, partition);
    MUST(len <= sizeof(value));
    rig_value(rig->boot, partition, seq, len, value);
    return journal_append(rig->journal,
                          &(struct frame){.kind = FRAME_HIT,
                                          .partition = partition,
                                          .seq = seq,
                                          .written = {1000 + rig->now.ms},
                                          .key = SLICE("shop.example|192.0.2.7"),
                                          .value = {value, len}},
                          position);
}

enum status rig_flush(struct rig *rig)
{
    return journal_flush(rig->journal, (wall_ms){1000 + rig->now.ms}, rig->now);
}

void rig_begin_sync(struct rig *rig)
{
    if (!rig->is_syncing)
        rig->is_syncing = journal_sync_begin(rig->journal, &rig->sync);
}

enum status rig_end_sync(struct rig *rig)
{
    if (!rig->is_syncing)
        return STATUS_OK;
    rig->is_syncing = false;
    journal_sync_run(&rig->sync);
    return journal_sync_done(rig->journal, &rig->sync);
}

void rig_upkeep(struct rig *rig)
{
    struct journal_upkeep upkeep;
    rig->now.ms += STEP_MS;
    if (!journal_upkeep_begin(rig->journal, rig->now, &upkeep))
        return;
    journal_upkeep_run(&upkeep);
    journal_upkeep_done(rig->journal, &upkeep, rig->now);
}

enum status rig_commit(struct rig *rig)
{
    enum status before = rig_end_sync(rig), flushed = rig_flush(rig);
    rig_begin_sync(rig);
    enum status synced = rig_end_sync(rig);
    rig_upkeep(rig);
    if (before != STATUS_OK)
        return before;
    return flushed != STATUS_OK ? flushed : synced;
}

void rig_recover(struct rig *rig)
{
    int steps = 0;
    while (journal_recover(rig->journal) != STATUS_OK)
        MUST(++steps < MAX_STEPS);
}

void rig_start_publishing(struct rig *rig)
{
    journal_start_publishing(rig->journal, (wall_ms){1000});
    for (int steps = 0; rig_commit(rig) != STATUS_OK; steps++)
        MUST(steps < MAX_COMMITS);
}

bool rig_read(struct rig *rig, struct journal_entry *entry)
{
    enum status status = STATUS_AGAIN;
    for (int steps = 0; status == STATUS_AGAIN; steps++) {
        MUST(steps < MAX_STEPS);
        status = journal_read(rig->journal, entry);
    }
    return status == STATUS_OK;
}
