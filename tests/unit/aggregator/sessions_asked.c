/* SPDX-License-Identifier: Apache-2.0
 * sessions_asked: see the header. */
#include "tests/unit/aggregator/sessions_asked.h"

#include <string.h>

struct session part_at(int64_t ms)
{
    return (struct session){.ip = {{[10] = 0xff, [11] = 0xff, [15] = 1}},
                            .host = SLICE("example.com"),
                            .start = {ms},
                            .last = {ms},
                            .events = 1,
                            .entry_url = SLICE("/")};
}

struct session visitor(uint32_t number)
{
    struct session part = part_at(BASE_MS + number % 1000);
    memcpy(part.ip.bytes + 12, &number, sizeof number);
    part.exit_url = number % 2 ? SLICE("/a") : SLICE("/b");
    part.country = SLICE("IN");
    return part;
}

struct sessions_question question_at(int64_t watermark_ms, int64_t now_ms)
{
    return (struct sessions_question){
        .watermark = {watermark_ms}, .lateness_ms = LATENESS_MS, .now = {now_ms}, .looks = NO_BOUND};
}

bool take_due(struct sessions *store, int64_t watermark_ms, int64_t now_ms, struct session *taken)
{
    struct sessions_question question = question_at(watermark_ms, now_ms);
    return sessions_take_due(store, &question, taken);
}

bool has_due(struct sessions *store, int64_t watermark_ms, int64_t now_ms)
{
    struct sessions_question question = question_at(watermark_ms, now_ms);
    return sessions_has_due(store, &question);
}
