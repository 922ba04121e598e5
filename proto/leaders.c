/* SPDX-License-Identifier: Apache-2.0
 * leaders: see the header. */
#include "proto/leaders.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

struct leader {
    int64_t unconfirmed; /* messages */
    uint64_t known_until;
};

bool leaders_may_send(const struct leaders *leaders, int partition, uint64_t now)
{
    if (partition >= leaders->count)
        return true;
    const struct leader *leader = &leaders->of[partition];
    return leader->unconfirmed == 0 || now < leader->known_until;
}

static void grow(struct leaders *leaders, int count)
{
    size_t old = (size_t)leaders->count, new = (size_t)count;
    leaders->of = must_realloc(leaders->of, new * sizeof(leaders->of[0]));
    memset(leaders->of + old, 0, (new - old) * sizeof(leaders->of[0]));
    leaders->count = count;
}

void leaders_note_sent(struct leaders *leaders, int partition)
{
    MUST(partition >= 0);
    if (partition >= leaders->count)
        grow(leaders, partition + 1);
    leaders->of[partition].unconfirmed++;
    leaders->unconfirmed++;
}

void leaders_note_report(struct leaders *leaders, int partition, bool is_delivered, uint64_t now)
{
    MUST(partition >= 0 && partition < leaders->count && leaders->of[partition].unconfirmed > 0);
    leaders->of[partition].unconfirmed--;
    leaders->unconfirmed--;
    if (is_delivered)
        leaders->of[partition].known_until = now + LEADERS_KNOWN_MS;
}

bool leaders_have_forgotten(const struct leaders *leaders, uint64_t now)
{
    for (int i = 0; i < leaders->count; i++)
        if (leaders->of[i].unconfirmed > 1 && now >= leaders->of[i].known_until)
            return true;
    return false;
}

void leaders_clear(struct leaders *leaders)
{
    free(leaders->of);
    *leaders = (struct leaders){.of = NULL};
}
