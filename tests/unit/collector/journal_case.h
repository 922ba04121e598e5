/* SPDX-License-Identifier: Apache-2.0
 * journal_case: one journal on one simulated disk, for a cmocka test; short words for what most of them do.
 */
#ifndef TESTS_UNIT_COLLECTOR_JOURNAL_CASE_H
#define TESTS_UNIT_COLLECTOR_JOURNAL_CASE_H

#include "tests/lib/journal_rig.h"

extern struct choice choice;
extern struct sim_disk *sim;
extern struct rig rig;

int journal_case_begin(void **state);
int journal_case_end(void **state);
void open_rig(uint8_t boot);
journal_position append(int partition, size_t len);
void expect_hit(int partition, int64_t seq);
void expect_nothing(void);
struct journal_figures figures(void);
void acknowledge_all(void);
/* kill -9, then the next start, recovered. */
void killed_and_started_again(uint8_t boot);

#endif
