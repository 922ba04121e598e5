/* SPDX-License-Identifier: Apache-2.0
 * journal_case: one journal on one simulated disk, for a cmocka test; short words for what most of them
 * do. */
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
/* So many hits of 5,000 bytes, committed one by one. */
void append_large(int count);
void expect_hit(int partition, int64_t seq);
void expect_nothing(void);
struct journal_figures figures(void);
void acknowledge_all(void);
void start_again(void); /* killed: what the next start finds */
/* kill -9, then the next start, recovered. */
void killed_and_started_again(uint8_t boot);

/* What becomes of the calls of one kind; the context of `follow`, a sim_fault_fn. */
struct plan {
    enum sim_call call;
    int result;
    int64_t skip;  /* so many calls are fine */
    int64_t count; /* then so many fail */
};
int follow(void *context, enum sim_call call);

#endif
