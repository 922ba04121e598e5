/* SPDX-License-Identifier: Apache-2.0
 * sim_disk: a disk in memory that loses power, is killed, runs full and breaks, as a test chooses.
 *
 * What is written is seen at once, and durable after a sync of the file; names are durable after a sync of
 * the folder. sim_disk_lose_power makes the disk that the next start finds: of each 512-byte sector any
 * version since the last good sync, of each length likewise, of the names any of the changes in their order:
 * unsynced writes are dropped, torn and reordered. A sync that fails does what Linux does: some of it may be
 * durable, and the rest is taken for clean and never written. One thread. */
#ifndef TESTS_LIB_SIM_DISK_H
#define TESTS_LIB_SIM_DISK_H

#include "collector/disk.h"
#include "tests/lib/choice.h"

enum sim_call {
    SIM_OPEN,
    SIM_PREALLOCATE,
    SIM_WRITE,
    SIM_READ,
    SIM_SYNC,
    SIM_SYNC_FOLDER,
    SIM_REMOVE,
    SIM_TRUNCATE,
    SIM_SIZE,
};

enum { SIM_FINE = 0, SIM_SHORT = 1 /* half of a write */ };

/* What shall become of this call: SIM_FINE, SIM_SHORT or -errno. */
typedef int sim_fault_fn(void *context, enum sim_call call);

struct sim_disk;

/* choice is borrowed: for what becomes durable when a sync fails. */
struct sim_disk *sim_disk_new(struct choice *choice);
void sim_disk_free(struct sim_disk **sim);
struct disk *sim_disk_of(struct sim_disk *sim); /* disk_free of it does nothing but unlock */
void sim_disk_set_fault(struct sim_disk *sim, sim_fault_fn *fault, void *context);
void sim_disk_set_free_bytes(struct sim_disk *sim, uint64_t bytes);
/* The disks that are found after a power loss or a kill at this moment; the present one goes on. */
struct sim_disk *sim_disk_lose_power(const struct sim_disk *sim, struct choice *choice);
struct sim_disk *sim_disk_kill(const struct sim_disk *sim, struct choice *choice);
/* A whole file as it is read; NULL data: no such file. Valid until the next call. */
slice sim_disk_file(struct sim_disk *sim, const char *name);
/* Puts a file there, durable, or takes it away (bytes.data NULL). */
void sim_disk_put(struct sim_disk *sim, const char *name, slice bytes);
size_t sim_disk_file_count(const struct sim_disk *sim);
uint64_t sim_disk_bytes_read(const struct sim_disk *sim);
/* Syncs of a file after one that failed. */
int sim_disk_repeated_syncs(const struct sim_disk *sim);

#endif
