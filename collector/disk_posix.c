/* SPDX-License-Identifier: Apache-2.0
 * disk_posix: the disk that is a folder of a real file system. */
#include "collector/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct disk_posix {
    struct disk disk;
    int folder;
    int quarantine; /* -1: only looking */
};

static struct disk_posix *self_of(struct disk *disk)
{
    return (struct disk_posix *)disk;
}

static int posix_open(struct disk *disk, const char *name, enum disk_mode mode)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [DISK_APPEND] = O_RDWR | O_CREAT,
    };
    int file = openat(self_of(disk)->folder, name, flags[mode] | O_CLOEXEC | O_NOFOLLOW, 0600);
    return file < 0 ? -errno : file;
}

static int posix_close(struct disk *disk, int file)
{
    (void)disk;
    return close(file) < 0 ? -errno : 0;
}

static int posix_preallocate(struct disk *disk, int file, uint64_t bytes)
{
    (void)disk;
    return -posix_fallocate(file, 0, (off_t)bytes);
}

static int64_t posix_write(struct disk *disk, int file, slice bytes, uint64_t at)
{
    (void)disk;
    ssize_t written = pwrite(file, bytes.data, bytes.len, (off_t)at);
    return written < 0 ? -errno : written;
}

static int64_t posix_read(struct disk *disk, int file, void *out, size_t len, uint64_t at)
{
    (void)disk;
    ssize_t got = pread(file, out, len, (off_t)at);
    return got < 0 ? -errno : got;
}

static int posix_sync(struct disk *disk, int file)
{
    (void)disk;
    return fdatasync(file) < 0 ? -errno : 0;
}

static int posix_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
    int file = openat(self_of(disk)->folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return -errno;
    int result = ftruncate(file, (off_t)bytes) < 0 ? -errno : 0;
    close(file);
    return result;
}

static int64_t posix_size(struct disk *disk, const char *name)
{
    struct stat status;
    if (fstatat(self_of(disk)->folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return status.st_size;
}

static int posix_unlink(struct disk *disk, const char *name)
{
    return unlinkat(self_of(disk)->folder, name, 0) < 0 ? -errno : 0;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    int folder = self_of(disk)->folder;
    return renameat(folder, from, folder, to) < 0 ? -errno : 0;
}

/* The quarantine first: a file that moves there must not be lost between the two. */
static int posix_sync_folder(struct disk *disk)
{
    if (fsync(self_of(disk)->quarantine) < 0 || fsync(self_of(disk)->folder) < 0)
        return -errno;
    return 0;
}

static int posix_list(struct disk *disk, const char *folder, disk_list_fn *each, void *context)
{
    int opened = openat(self_of(disk)->folder, folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = opened < 0 ? NULL : fdopendir(opened);
    if (!entries) {
        int error = errno;
        if (opened >= 0)
            close(opened);
        return -error;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(entries)); errno = 0)
        each(context, entry->d_name);
    int error = errno;
    closedir(entries);
    return -error;
}

static int64_t posix_free_bytes(struct disk *disk)
{
    struct statvfs status;
    if (fstatvfs(self_of(disk)->folder, &status) < 0)
        return -errno;
    return (int64_t)(status.f_bavail * status.f_frsize);
}

static int posix_lock(struct disk *disk)
{
    return flock(self_of(disk)->folder, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/* Somebody who only looks must not keep a collector from starting. */
static int posix_try_lock(struct disk *disk)
{
    int folder = self_of(disk)->folder;
    if (flock(folder, LOCK_SH | LOCK_NB) < 0)
        return -errno;
    return flock(folder, LOCK_UN) < 0 ? -errno : 0;
}

static void posix_free(struct disk *disk)
{
    struct disk_posix *self = self_of(disk);
    if (self->quarantine >= 0)
        close(self->quarantine);
    if (self->folder >= 0)
        close(self->folder); /* and with it the lock */
    free(self);
}

#define FUNCTIONS(lock_function)                                                                             \
    {                                                                                                        \
        .open = posix_open, .close = posix_close, .preallocate = posix_preallocate, .write = posix_write,    \
        .read = posix_read, .sync = posix_sync, .truncate = posix_truncate, .size = posix_size,              \
        .unlink = posix_unlink, .rename = posix_rename, .sync_folder = posix_sync_folder,                    \
        .list = posix_list, .free_bytes = posix_free_bytes, .lock = lock_function, .free = posix_free,       \
    }

static const struct disk_functions posix_functions = FUNCTIONS(posix_lock);
static const struct disk_functions looking_functions = FUNCTIONS(posix_try_lock);

static int sync_path(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    int result = fsync(folder);
    close(folder);
    return result;
}

/* Makes one folder when it is missing, and its name durable in `parent`. */
static int make_folder(const char *path, const char *parent)
{
    if (mkdir(path, 0700) == 0)
        return sync_path(parent);
    return errno == EEXIST ? 0 : -1;
}

/* Every folder of an absolute path that is missing. */
static int make_folders(const char *folder)
{
    char path[PATH_MAX], parent[PATH_MAX] = "/";
    if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *end = path + 1;; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        char kept = *end;
        *end = '\0';
        if (make_folder(path, parent) < 0)
            return -1;
        snprintf(parent, sizeof(parent), "%s", path);
        *end = kept;
        if (kept == '\0')
            return 0;
    }
}

static struct disk *give_up(struct disk_posix *self, const char *folder, struct why *why)
{
    (void)why_say(why, STATUS_UNAVAILABLE, "journal.directory = %s: it cannot be used: %m", folder);
    posix_free(&self->disk);
    return NULL;
}

static struct disk_posix *self_new(const struct disk_functions *functions)
{
    struct disk_posix *self = must_calloc(1, sizeof(*self));
    self->disk.functions = functions;
    self->folder = -1;
    self->quarantine = -1;
    return self;
}

struct disk *disk_posix_open(const char *folder, struct why *why)
{
    struct disk_posix *self = self_new(&posix_functions);
    if (make_folders(folder) < 0)
        return give_up(self, folder, why);
    self->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder < 0)
        return give_up(self, folder, why);
    if (mkdirat(self->folder, DISK_QUARANTINE, 0700) < 0 && errno != EEXIST)
        return give_up(self, folder, why);
    self->quarantine = openat(self->folder, DISK_QUARANTINE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->quarantine < 0 || posix_sync_folder(&self->disk) < 0)
        return give_up(self, folder, why);
    return &self->disk;
}

struct disk *disk_posix_look(const char *folder, struct why *why)
{
    struct disk_posix *self = self_new(&looking_functions);
    self->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder < 0)
        return give_up(self, folder, why);
    return &self->disk;
}
