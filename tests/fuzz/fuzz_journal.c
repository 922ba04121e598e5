/* SPDX-License-Identifier: Apache-2.0
 * Recovery of arbitrary files: it ends after a number of steps that is linear in their size, and recovering
 * again gives the same.
 *
 * The first byte chooses: even: the rest is the image of one segment. Odd: the rest are changes, six bytes
 * each, of two good segments; then nothing may come back that was not written. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "collector/reader.h"
#include "tests/lib/journal_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGE = 6, HITS = 34 /* two segments */, MAX_IMAGE = 1 << 20 };

#define FIRST  "0000000000000001.segment"
#define SECOND "0000000000000002.segment"

static void say_nothing(slice line)
{
    (void)line;
}

static void write_good_ones(struct sim_disk *sim)
{
    struct journal_options options = rig_options(sim, 1);
    journal_position position;
    struct rig rig;
    rig_open(&rig, &options, sim);
    for (int i = 0; i < HITS; i++) {
        MUST(rig_append(&rig, i % RIG_PARTITIONS, (size_t)i * 240, &position) == STATUS_OK);
        MUST(rig_commit(&rig) == STATUS_OK);
    }
    rig_close(&rig);
}

/* where (2 bytes, in units of 3 bytes), what, how long, two values */
static void change(char *bytes, size_t len, const uint8_t *how)
{
    size_t at = ((size_t)how[0] << 8 | how[1]) * 3 % len;
    size_t from = ((size_t)how[4] << 8 | how[5]) * 3 % len;
    size_t count = (size_t)how[3] * how[3];
    if (count > len - (at > from ? at : from))
        count = len - (at > from ? at : from);
    switch (how[2] % 4) {
    case 0:
        bytes[at] = (char)(bytes[at] ^ how[4]);
        break;
    case 1:
        memset(bytes + at, how[4], count);
        break;
    case 2:
        memmove(bytes + at, bytes + from, count);
        break;
    default:
        memset(bytes + at, 0, len - at);
    }
}

static void change_one(struct sim_disk *sim, const char *name, const uint8_t *data, size_t size)
{
    slice file = sim_disk_file(sim, name);
    char *bytes = must_malloc(file.len);
    memcpy(bytes, file.data, file.len);
    for (size_t i = 0; i + CHANGE <= size; i += CHANGE)
        change(bytes, file.len, data + i);
    sim_disk_put(sim, name, (slice){bytes, file.len});
    free(bytes);
}

static void recover(struct rig *rig)
{
    struct journal_figures figures;
    journal_figures(rig->journal, (wall_ms){0}, &figures);
    uint64_t windows = figures.bytes / READER_WINDOW_BYTES + (uint64_t)figures.segments;
    uint64_t steps = 0;
    while (journal_recover(rig->journal) == STATUS_AGAIN)
        MUST(++steps <= (READER_MAX_WASTE + 3) * windows + 8);
}

static uint64_t digest_of(struct sim_disk *sim, uint8_t boot, bool must_be_ours, bool acknowledges)
{
    struct journal_options options = rig_options(sim, boot);
    struct journal_entry entry;
    struct rig rig;
    uint64_t digest = 0;
    options.max_bytes = 64 * MAX_IMAGE;
    rig_open(&rig, &options, sim);
    recover(&rig);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry)) {
        uint64_t value = (uint64_t)entry.kind ^ (uint64_t)entry.partition << 8 ^ (uint64_t)entry.seq << 20 ^
                         (uint64_t)entry.last << 40 ^ entry.value.len << 50 ^ entry.boot.bytes[3];
        digest = (digest ^ value) * UINT64_C(0x100000001b3);
        MUST(entry.kind != JOURNAL_HIT || !must_be_ours ||
             rig_is_value(entry.boot, entry.partition, entry.seq, entry.value));
        if (acknowledges) /* some of them, out of order */
            journal_acknowledge(rig.journal, entry.position ^ (entry.position & 1));
    }
    rig_close(&rig);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choice choice = choice_seeded(1);
    struct sim_disk *sim = sim_disk_new(&choice);
    bool are_changes = size > 0 && data[0] % 2 == 1;
    log_set_sink(say_nothing);
    if (are_changes) {
        write_good_ones(sim);
        change_one(sim, FIRST, data + 1, (size - 1) / 2);
        change_one(sim, SECOND, data + 1 + (size - 1) / 2, (size - 1) / 2);
    } else if (size > 0) {
        sim_disk_put(sim, FIRST, (slice){(const char *)data + 1, size - 1});
    }
    uint64_t digest = digest_of(sim, 50, are_changes, false);
    MUST(digest_of(sim, 51, are_changes, true) == digest);
    sim_disk_free(&sim);
    return 0;
}
