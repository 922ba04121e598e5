/* SPDX-License-Identifier: Apache-2.0
 * sessions_model: the slow, obvious session store: a flat list that is searched from its beginning.
 *
 * What tests compare aggregator/sessions with. Its texts come from one small pool, so that a value may be
 * kept for ever; pooled() gives the pool's text for one that a store has lent. One thread. */
#ifndef TESTS_LIB_SESSIONS_MODEL_H
#define TESTS_LIB_SESSIONS_MODEL_H

#include "aggregator/session.h"
#include "tests/lib/choice.h"

enum { MODEL_MAX = 4096 };

struct model_session {
    struct session value;
    mono_ms touched;
    bool is_changed; /* since model_note_stored */
};

struct sessions_model {
    int64_t gap_ms;
    size_t count;
    struct model_session open[MODEL_MAX];
};

bool session_is_same(const struct session *a, const struct session *b); /* in every member */
/* By host, ip and start; for qsort. */
int session_order(const void *a, const void *b);

struct session pooled(const struct session *value);
/* One hit, or sometimes a part of several, of one of a dozen visitors; times are whole steps of a third of
 * five minutes, sometimes a millisecond off, `step_count` of them after base. */
struct session random_part(struct choice *choice, wall_ms base, uint64_t step_count);

void model_add(struct sessions_model *model, const struct session *part, mono_ms now);
/* The member that has this very value; NULL: none. */
struct model_session *model_find(struct sessions_model *model, const struct session *value);
void model_remove(struct sessions_model *model, struct model_session *gone);
void model_note_stored(struct sessions_model *model);

#endif
