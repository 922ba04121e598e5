/* SPDX-License-Identifier: Apache-2.0
 * processed_event: see the header. */
#include "aggregator/processed_event.h"

#include "aggregator/row.h"
#include "base/json.h"

enum { SQL_TIMESTAMP_LEN = TIMESTAMP_TEXT_LEN - 1 };

/* As SQL writes it: a space for the T, and no zone. */
static void add_timestamp(struct buf *out, wall_ms time)
{
    char text[TIMESTAMP_TEXT_LEN];
    timestamp_write(time, text);
    text[10] = ' ';
    buf_add_char(out, '"');
    buf_add_bytes(out, text, SQL_TIMESTAMP_LEN);
    buf_add_char(out, '"');
}

void processed_event_encode(slice row, struct buf *out)
{
    struct row_hit hit = row_read_hit(row);
    buf_add(out, SLICE("{\"ip\":"));
    json_add_text(out, hit.ip);
    buf_add(out, SLICE(",\"event_timestamp\":"));
    add_timestamp(out, hit.event_time);
    buf_add(out, SLICE(",\"referrer\":"));
    json_add_text(out, hit.referrer);
    buf_add(out, SLICE(",\"host\":"));
    json_add_text(out, hit.host);
    buf_add(out, SLICE(",\"url\":"));
    json_add_text(out, hit.url);
    buf_add(out, SLICE(",\"geodata\":"));
    json_add_text(out, hit.geodata);
    buf_add_char(out, '}');
}

size_t processed_event_key_write(const struct batch_position *at, char out[PROCESSED_EVENT_MAX_KEY])
{
    struct buf key;
    buf_init(&key, out, PROCESSED_EVENT_MAX_KEY);
    buf_add_int64(&key, at->partition);
    buf_add_char(&key, '-');
    buf_add_int64(&key, at->offset);
    MUST(!key.overflowed);
    return key.len;
}
