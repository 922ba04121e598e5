/* SPDX-License-Identifier: Apache-2.0
 * processed_event: a hit with its place as it travels on the topic `enriched.topic`, in the form that the jobs
 * before us gave it.
 *
 * enriched -> processed_event_encode: the value, a JSON object of six texts with the names of the first six
 * columns of processed_events: ip, event_timestamp ("2025-02-02 04:18:21.123", UTC), referrer, host, url,
 * geodata (the same text as in the column: JSON within a text). It is made of the row that is stored, so the
 * two cannot differ. The key names the hit: `<partition>-<offset>`, where it stood in the topic of the hits,
 * as the columns kafka_partition and kafka_offset say; a reader tells doubles by it. Pure, any thread. */
#ifndef AGGREGATOR_PROCESSED_EVENT_H
#define AGGREGATOR_PROCESSED_EVENT_H

#include "aggregator/batch.h"

enum {
    /* A row has up to 16 KiB (batch.c), and its texts, which hold no controls, at most double when escaped. */
    PROCESSED_EVENT_MAX_BYTES = 2 * 16 * 1024 + 256,
    PROCESSED_EVENT_MAX_KEY = 32, /* an int32, a dash, an int64 */
};

/* row: a tuple of processed_events, as row_add_hit writes it. */
void processed_event_encode(slice row, struct buf *out);
/* Returns the length; there is no NUL. */
size_t processed_event_key_write(const struct batch_position *at, char out[PROCESSED_EVENT_MAX_KEY]);

#endif
