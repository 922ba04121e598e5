/* SPDX-License-Identifier: Apache-2.0
 * check_journal: what `footfall-collector check-journal DIR` prints: a line for each segment with its boot,
 * frames and damage, what lies in quarantine, and the sums.
 *
 * Reads only; memory is one window whatever the size. Every whole frame of a segment counts as pending: what
 * Kafka confirmed of it is known to the running collector alone. That one runs is told from its lock. Returns
 * an exit code of sysexits: 0, EX_DATAERR when a segment is damaged, EX_NOINPUT when the folder cannot be
 * read. Any thread. */
#ifndef COLLECTOR_CHECK_JOURNAL_H
#define COLLECTOR_CHECK_JOURNAL_H

#include <stdio.h>

#include "collector/disk.h"

int check_journal(const char *folder, FILE *out);
/* The same over an open disk. */
int check_journal_disk(struct disk *disk, FILE *out);

#endif
