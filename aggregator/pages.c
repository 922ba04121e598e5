/* SPDX-License-Identifier: Apache-2.0
 * pages: see the header. */
#include "aggregator/pages.h"

#include "aggregator/row.h"
#include "base/json.h"

enum { FIELDS = 5 }; /* topic, partition, version, ordinal, changes */

void pages_begin(struct pages *pages, struct buf *out, slice topic, int partition, int64_t version)
{
    *pages = (struct pages){.out = out, .topic = topic, .partition = partition, .version = version};
}

static void open_page(struct pages *pages)
{
    struct buf *out = pages->out;
    row_begin(out, FIELDS);
    row_add_text(out, pages->topic);
    row_add_int32(out, pages->partition);
    row_add_int64(out, pages->version);
    row_add_int32(out, pages->ordinal);
    row_add_text(out, (slice){NULL, 0}); /* close_page says how long it has become */
    pages->text_at = out->len;
    buf_add_char(out, '[');
}

static void close_page(struct pages *pages)
{
    struct buf *out = pages->out;
    buf_add_char(out, ']');
    if (!out->overflowed) {
        uint32_t len = htobe32((uint32_t)(out->len - pages->text_at));
        memcpy(out->data + pages->text_at - sizeof len, &len, sizeof len);
    }
    pages->text_at = 0;
}

static void add_text(struct buf *out, slice text)
{
    buf_add_char(out, ',');
    if (text.len > 0)
        json_add_text(out, text);
    else
        buf_add(out, SLICE("null"));
}

static void add_number(struct buf *out, int64_t number)
{
    buf_add_char(out, ',');
    buf_add_int64(out, number);
}

static void add_change(struct buf *out, const struct session *change)
{
    char ip[IP_TEXT_MAX];
    buf_add_char(out, '[');
    json_add_text(out, (slice){ip, ip_write(change->ip, ip)});
    add_text(out, change->host);
    add_number(out, change->start.ms);
    add_number(out, change->last.ms);
    add_number(out, change->events);
    add_number(out, change->bot_events);
    add_text(out, change->entry_url);
    add_text(out, change->referrer);
    add_text(out, change->country);
    add_text(out, change->state);
    add_text(out, change->city);
    add_text(out, change->exit_url);
    buf_add_char(out, ']');
}

void pages_add(struct pages *pages, const struct session *change)
{
    if (pages->text_at == 0)
        open_page(pages);
    else
        buf_add_char(pages->out, ',');
    add_change(pages->out, change);
    pages->ordinal++;
    if (pages->out->len - pages->text_at > PAGES_FULL_BYTES)
        close_page(pages);
}

void pages_end(struct pages *pages)
{
    if (pages->text_at != 0)
        close_page(pages);
}
