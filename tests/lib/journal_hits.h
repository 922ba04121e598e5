/* SPDX-License-Identifier: Apache-2.0
 * journal_hits: hits for a journal on a real disk, for tests to which it does not matter what is in them. Any
 * thread; MUST succeed. */
#ifndef TESTS_LIB_JOURNAL_HITS_H
#define TESTS_LIB_JOURNAL_HITS_H

#include "collector/journal.h"

/* So many of partition 7, appended and written. */
void journal_hits_append(struct journal *journal, int count);

#endif
