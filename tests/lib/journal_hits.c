/* SPDX-License-Identifier: Apache-2.0
 * journal_hits: see the header. */
#include "tests/lib/journal_hits.h"

void journal_hits_append(struct journal *journal, int count)
{
    journal_position position;
    for (int i = 0; i < count; i++) {
        const struct frame frame = {
            .kind = FRAME_HIT,
            .partition = 7,
            .seq = journal_next_seq(journal, 7),
            .written = {1738469901123},
            .key = SLICE("k"),
            .value = SLICE("{\"url\":\"https://shop.example/\"}"),
        };
        MUST(journal_append(journal, &frame, &position) == STATUS_OK);
    }
    MUST(journal_flush(journal, (wall_ms){1}, (mono_ms){1}) == STATUS_OK);
}
