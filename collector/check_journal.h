/* SPDX-License-Identifier: Apache-2.0
 * check_journal: what `footfall-collector check-journal DIR` prints: each segment with its boot, frames,
 * first and last numbers, damage; what lies in quarantine; the sums. Reads only; a collector that runs is
 * told from one that does not by its lock. Returns an exit code of sysexits: 0 whole, EX_DATAERR something is
 * damaged, EX_NOINPUT no such folder. Any thread; memory is one window whatever the size. */
#ifndef COLLECTOR_CHECK_JOURNAL_H
#define COLLECTOR_CHECK_JOURNAL_H

#include <stdio.h>

#include "collector/disk.h"

int check_journal(const char *folder, FILE *out);
/* The same over an open disk. */
int check_journal_disk(struct disk *disk, FILE *out);

#endif
