/* SPDX-License-Identifier: Apache-2.0
 * disk: the few things that the journal asks of a file system, in one folder, behind a table of functions.
 *
 * journal -> disk_… (this header: repeats interrupted and short calls, makes a status of errno) -> functions
 * of a kind: disk_posix.c is the real one, tests have one that loses power, runs full and breaks. The
 * functions are as thin as system calls: they return a count or 0, or -errno, and may be interrupted (-EINTR)
 * or do less than was asked. Names are relative to the folder and at most DISK_MAX_NAME long; "quarantine/…"
 * is the one folder below it. Two threads may use a disk at once as long as they use different files and
 * names; a file may be written while it is synced. A status: FULL (no space, quota), NOT_FOUND, CONFLICT
 * (exists, or locked by another process), DENIED (permission, read-only), AGAIN (no descriptor or memory just
 * now), UNAVAILABLE (everything else, such as an input/output error). */
#ifndef COLLECTOR_DISK_H
#define COLLECTOR_DISK_H

#include "base/slice.h"

struct disk;

#define DISK_QUARANTINE "quarantine"
enum { DISK_MAX_NAME = 63 };

enum disk_mode {
    DISK_READ,
    DISK_CREATE, /* read and write; must not exist yet */
    DISK_APPEND, /* read and write; made when it does not exist */
};

typedef void disk_list_fn(void *context, const char *name);

struct disk_functions {
    int (*open)(struct disk *disk, const char *name, enum disk_mode mode); /* a file, >= 0 */
    int (*close)(struct disk *disk, int file);
    int (*preallocate)(struct disk *disk, int file, uint64_t bytes); /* reads as zeros, its space is sure */
    int64_t (*write)(struct disk *disk, int file, slice bytes, uint64_t at);
    int64_t (*read)(struct disk *disk, int file, void *out, size_t len, uint64_t at); /* 0: the end */
    int (*sync)(struct disk *disk, int file); /* what was written before is durable afterwards */
    int (*truncate)(struct disk *disk, const char *name, uint64_t bytes);
    int64_t (*size)(struct disk *disk, const char *name);
    int (*unlink)(struct disk *disk, const char *name);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*sync_folder)(
        struct disk *disk); /* names that were made or taken away before are durable afterwards */
    int (*list)(struct disk *disk, const char *folder, disk_list_fn *each,
                void *context); /* "": the folder itself */
    int64_t (*free_bytes)(struct disk *disk);
    int (*lock)(struct disk *disk); /* held until free; -EWOULDBLOCK: somebody else has it */
    void (*free)(struct disk *disk);
};

/* The first member of every kind. */
struct disk {
    const struct disk_functions *functions;
};

/* The real one. Makes the folder (mode 0700), each missing parent and the quarantine folder, all synced. */
struct disk *disk_posix_open(const char *folder, struct why *why);
/* The same, but nothing is made: to look at a journal. */
struct disk *disk_posix_look(const char *folder, struct why *why);
void disk_free(struct disk **disk); /* accepts NULL */

enum status disk_open(struct disk *disk, const char *name, enum disk_mode mode, int *file) MUST_CHECK;
void disk_close(struct disk *disk, int file);
enum status disk_preallocate(struct disk *disk, int file, uint64_t bytes) MUST_CHECK;
/* All of it or a status; then nobody knows how much. */
enum status disk_write(struct disk *disk, int file, slice bytes, uint64_t at) MUST_CHECK;
/* Where to read to and from. */
struct disk_span {
    void *out;
    size_t len;
    uint64_t at;
};
/* As much as there is; what cannot be read (an input/output error) reads as zeros, in pieces of 4 KiB: to a
 * reader who checks sums it is damage like any other. *got < len: the end of the file. */
enum status disk_read(struct disk *disk, int file, struct disk_span span, size_t *got) MUST_CHECK;
/* Never repeated, whatever it says: after an error the kernel has forgotten what it could not write. */
enum status disk_sync(struct disk *disk, int file) MUST_CHECK;
enum status disk_truncate(struct disk *disk, const char *name, uint64_t bytes) MUST_CHECK;
enum status disk_size(struct disk *disk, const char *name, uint64_t *bytes) MUST_CHECK;
enum status disk_unlink(struct disk *disk, const char *name) MUST_CHECK;
enum status disk_rename(struct disk *disk, const char *from, const char *to) MUST_CHECK;
enum status disk_sync_folder(struct disk *disk) MUST_CHECK;
enum status disk_list(struct disk *disk, const char *folder, disk_list_fn *each, void *context) MUST_CHECK;
enum status disk_free_bytes(struct disk *disk, uint64_t *bytes) MUST_CHECK;
enum status disk_lock(struct disk *disk) MUST_CHECK;

#endif
