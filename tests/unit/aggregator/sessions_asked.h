/* SPDX-License-Identifier: Apache-2.0
 * sessions_asked: parts of sessions, and questions to a store, as the tests of aggregator/sessions put them.
 *
 * Values and nothing else: the store is the test's. */
#ifndef TESTS_UNIT_AGGREGATOR_SESSIONS_ASKED_H
#define TESTS_UNIT_AGGREGATOR_SESSIONS_ASKED_H

#include "aggregator/sessions.h"

enum { GAP_MS = 300000, LATENESS_MS = 15000, BASE_MS = 1700000000, NO_BOUND = 1 << 20 };

/* One hit, of the same visitor and host each time. */
struct session part_at(int64_t ms);
/* One hit of another visitor for each number, within a second. */
struct session visitor(uint32_t number);

/* With more looks than a test needs. */
struct sessions_question question_at(int64_t watermark_ms, int64_t now_ms);
bool take_due(struct sessions *store, int64_t watermark_ms, int64_t now_ms, struct session *taken);
bool has_due(struct sessions *store, int64_t watermark_ms, int64_t now_ms);

#endif
