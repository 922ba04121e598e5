/* SPDX-License-Identifier: Apache-2.0
 * disk: see the header. */
#include "collector/disk.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 4096 };

static enum status status_of(int64_t result)
{
    if (result >= 0)
        return STATUS_OK;
    switch (-result) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STATUS_FULL;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
    case EWOULDBLOCK:
        return STATUS_CONFLICT;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return STATUS_AGAIN;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_DENIED;
    default:
        return STATUS_UNAVAILABLE;
    }
}

void disk_free(struct disk **disk)
{
    if (*disk)
        (*disk)->functions->free(*disk);
    *disk = NULL;
}

enum status disk_open(struct disk *disk, const char *name, enum disk_mode mode, int *file)
{
    int result;
    MUST(strlen(name) <= DISK_MAX_NAME);
    do
        result = disk->functions->open(disk, name, mode);
    while (result == -EINTR);
    if (result >= 0)
        *file = result;
    return status_of(result);
}

void disk_close(struct disk *disk, int file)
{
    /* Interrupted or not, the descriptor is gone; what must be known about the data was asked of sync. */
    (void)disk->functions->close(disk, file);
}

enum status disk_preallocate(struct disk *disk, int file, uint64_t bytes)
{
    int result;
    do
        result = disk->functions->preallocate(disk, file, bytes);
    while (result == -EINTR);
    return status_of(result);
}

enum status disk_write(struct disk *disk, int file, slice bytes, uint64_t at)
{
    while (bytes.len > 0) {
        int64_t written = disk->functions->write(disk, file, bytes, at);
        if (written == -EINTR)
            continue;
        if (written < 0)
            return status_of(written);
        if (written == 0) /* a file system that takes nothing and says nothing must not hold us */
            return STATUS_UNAVAILABLE;
        MUST((uint64_t)written <= bytes.len);
        bytes = slice_from(bytes, (size_t)written);
        at += (uint64_t)written;
    }
    return STATUS_OK;
}

enum status disk_read(struct disk *disk, int file, struct disk_span span, size_t *got)
{
    size_t done = 0, piece = span.len;
    while (done < span.len) {
        size_t wanted = span.len - done < piece ? span.len - done : piece;
        int64_t result = disk->functions->read(disk, file, (char *)span.out + done, wanted, span.at + done);
        if (result == 0)
            break;
        if (result == -EINTR)
            continue;
        if (result == -EIO && wanted > PAGE) {
            piece = PAGE - (span.at + done) % PAGE;
            continue;
        }
        if (result == -EIO) {
            memset((char *)span.out + done, 0, wanted);
            result = (int64_t)wanted;
        } else if (result < 0) {
            return status_of(result);
        }
        done += (size_t)result;
        piece = piece < span.len ? PAGE : span.len;
    }
    *got = done;
    return STATUS_OK;
}

enum status disk_sync(struct disk *disk, int file)
{
    return status_of(disk->functions->sync(disk, file));
}

enum status disk_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
    int result;
    do
        result = disk->functions->truncate(disk, name, bytes);
    while (result == -EINTR);
    return status_of(result);
}

enum status disk_size(struct disk *disk, const char *name, uint64_t *bytes)
{
    int64_t result = disk->functions->size(disk, name);
    if (result >= 0)
        *bytes = (uint64_t)result;
    return status_of(result);
}

enum status disk_unlink(struct disk *disk, const char *name)
{
    return status_of(disk->functions->unlink(disk, name));
}

enum status disk_rename(struct disk *disk, const char *from, const char *to)
{
    return status_of(disk->functions->rename(disk, from, to));
}

enum status disk_sync_folder(struct disk *disk)
{
    return status_of(disk->functions->sync_folder(disk));
}

enum status disk_list(struct disk *disk, const char *folder, disk_list_fn *each, void *context)
{
    return status_of(disk->functions->list(disk, folder, each, context));
}

enum status disk_free_bytes(struct disk *disk, uint64_t *bytes)
{
    int64_t result = disk->functions->free_bytes(disk);
    if (result >= 0)
        *bytes = (uint64_t)result;
    return status_of(result);
}

enum status disk_lock(struct disk *disk)
{
    return status_of(disk->functions->lock(disk));
}
