/* SPDX-License-Identifier: Apache-2.0
 * pace: see the header. */
#include "aggregator/pace.h"

void pace_init(struct pace *pace, size_t full_count)
{
    *pace = (struct pace){.max_messages = full_count, .full_count = full_count};
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t pace_wait_ms(const struct pace *pace, const struct pace_batch *batch, mono_ms now)
{
    if (batch->message_count == 0)
        return -1;
    if (batch->is_full || batch->message_count >= pace->max_messages)
        return 0;
    int64_t due = batch->first_at.ms + PACE_MAX_WAIT_MS;
    if (batch->is_dry)
        due = least(due, pace->started.ms + 2 * pace->write_ms);
    return due > now.ms ? due - now.ms : 0;
}

void pace_note_start(struct pace *pace, mono_ms now)
{
    pace->started = now;
}

void pace_note_committed(struct pace *pace, size_t message_count, mono_ms now)
{
    pace->write_ms = now.ms - pace->started.ms;
    if (pace->suspect_count > 0)
        pace->suspect_count -= (int64_t)message_count;
    else if (pace->max_messages < pace->full_count)
        pace->max_messages =
            pace->max_messages > pace->full_count / 2 ? pace->full_count : pace->max_messages * 2;
}

bool pace_note_refused(struct pace *pace, size_t message_count)
{
    MUST(message_count > 0);
    bool is_found = message_count == 1;
    if (is_found)
        pace->suspect_count = 0;
    else if (pace->suspect_count < (int64_t)message_count)
        pace->suspect_count = (int64_t)message_count;
    pace->max_messages = is_found ? 1 : message_count / 2;
    return is_found;
}

bool pace_is_searching(const struct pace *pace)
{
    return pace->max_messages < pace->full_count;
}
