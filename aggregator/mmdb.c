/* SPDX-License-Identifier: Apache-2.0
 * mmdb: see the header. */
#include "aggregator/mmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mmdb {
    MMDB_s file;
    char type[64];
};

/* ---- Opening ---- */

static bool copy_bytes(int from, int to, off_t size)
{
    while (size > 0) {
        ssize_t copied = copy_file_range(from, NULL, to, NULL, (size_t)size, 0);
        if (copied <= 0)
            return false;
        size -= copied;
    }
    return true;
}

/* For file systems between which the kernel does not copy. */
static bool copy_by_hand(int from, int to)
{
    char buffer[1 << 16];
    ssize_t got;
    if (lseek(from, 0, SEEK_SET) != 0 || lseek(to, 0, SEEK_SET) != 0)
        return false;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, (size_t)got) != got)
            return false;
    return got == 0;
}

static bool has_changed(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) != 0 || now.st_size != before->st_size ||
           now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

static enum status seal_copy(int from, int to, const char *path, struct why *why)
{
    struct stat file;
    if (fstat(from, &file) != 0 || !S_ISREG(file.st_mode))
        return why_say(why, STATUS_MALFORMED, "geo.databases: %s is no regular file", path);
    if (file.st_size > MMDB_MAX_BYTES)
        return why_say(why, STATUS_TOO_BIG, "geo.databases: %s is larger than %d MiB", path,
                       MMDB_MAX_BYTES >> 20);
    if (!copy_bytes(from, to, file.st_size) && !copy_by_hand(from, to))
        return why_say(why, STATUS_UNAVAILABLE, "geo.databases: %s cannot be read into memory: %s", path,
                       strerror(errno));
    if (has_changed(from, &file))
        return why_say(why, STATUS_AGAIN, "geo.databases: %s is being written: rename a whole file over it",
                       path);
    MUST(fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return STATUS_OK;
}

/* A sealed copy of the file in memory, as a descriptor; -1 and *why. */
static int open_copy(const char *path, struct why *why)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        (void)why_say(why, STATUS_UNAVAILABLE, "geo.databases: %s cannot be opened: %s", path,
                      strerror(errno));
        return -1;
    }
    int to = memfd_create("mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0) {
        (void)why_say(why, STATUS_UNAVAILABLE, "geo.databases: no memory for a copy of %s: %s", path,
                      strerror(errno));
    } else if (seal_copy(from, to, path, why) != STATUS_OK) {
        close(to);
        to = -1;
    }
    close(from);
    return to;
}

static enum status open_file(struct mmdb *mmdb, const char *path, struct why *why)
{
    char copy[32];
    int fd = open_copy(path, why);
    if (fd < 0)
        return STATUS_UNAVAILABLE;
    snprintf(copy, sizeof copy, "/proc/self/fd/%d", fd);
    int error = MMDB_open(copy, MMDB_MODE_MMAP, &mmdb->file);
    close(fd);
    if (error != MMDB_SUCCESS)
        return why_say(why, STATUS_MALFORMED, "geo.databases: %s is no MaxMind database: %s", path,
                       MMDB_strerror(error));
    snprintf(mmdb->type, sizeof mmdb->type, "%s", mmdb->file.metadata.database_type);
    return STATUS_OK;
}

/* ---- Looking up ---- */

static MMDB_lookup_result_s look_up(const struct mmdb *mmdb, ip_address ip, int *error)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memcpy(&v4.sin_addr, ip.bytes + 12, 4);
    memcpy(&v6.sin6_addr, ip.bytes, 16);
    const struct sockaddr *address =
        ip_is_v4(ip) ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    return MMDB_lookup_sockaddr(&mmdb->file, address, error);
}

enum status mmdb_find(const struct mmdb *mmdb, ip_address ip, uint32_t *offset)
{
    int error;
    MMDB_lookup_result_s found = look_up(mmdb, ip, &error);
    if (error != MMDB_SUCCESS || !found.found_entry)
        return STATUS_NOT_FOUND; /* also an IPv6 address in a file of IPv4 */
    *offset = found.entry.offset;
    return STATUS_OK;
}

/* The value at a path, given in the two ways that records are made. False when it is not there. */
static bool find_value(MMDB_entry_s *entry, const char *const *nested, const char *const *flat,
                       MMDB_entry_data_s *data)
{
    return (MMDB_aget_value(entry, data, nested) == MMDB_SUCCESS && data->has_data) ||
           (MMDB_aget_value(entry, data, flat) == MMDB_SUCCESS && data->has_data);
}

struct path {
    const char *nested[5];
    const char *flat[2];
};

static const struct path country_path = {{"country", "iso_code", NULL}, {"country_code", NULL}};
static const struct path state_path = {{"subdivisions", "0", "names", "en", NULL}, {"state1", NULL}};
static const struct path city_path = {{"city", "names", "en", NULL}, {"city", NULL}};
static const struct path latitude_path = {{"location", "latitude", NULL}, {"latitude", NULL}};
static const struct path longitude_path = {{"location", "longitude", NULL}, {"longitude", NULL}};

static bool read_text(MMDB_entry_s *entry, const struct path *path, slice *text)
{
    MMDB_entry_data_s data;
    *text = (slice){NULL, 0};
    if (!find_value(entry, path->nested, path->flat, &data))
        return true;
    /* `city` is a text in flat records and a map in nested ones, where its names may be missing. */
    if (data.type == MMDB_DATA_TYPE_MAP)
        return true;
    if (data.type != MMDB_DATA_TYPE_UTF8_STRING)
        return false;
    *text = (slice){data.utf8_string, data.data_size};
    return true;
}

static bool read_number(MMDB_entry_s *entry, const struct path *path, double *number, bool *is_there)
{
    MMDB_entry_data_s data;
    *is_there = find_value(entry, path->nested, path->flat, &data);
    if (!*is_there)
        return true;
    if (data.type != MMDB_DATA_TYPE_DOUBLE && data.type != MMDB_DATA_TYPE_FLOAT)
        return false;
    *number = data.type == MMDB_DATA_TYPE_DOUBLE ? data.double_value : (double)data.float_value;
    return true;
}

/* False when a field has another type than ours. */
static bool read_record(MMDB_entry_s *entry, struct place_parts *parts)
{
    bool has_latitude, has_longitude;
    memset(parts, 0, sizeof *parts);
    if (!read_text(entry, &country_path, &parts->country) || !read_text(entry, &state_path, &parts->state) ||
        !read_text(entry, &city_path, &parts->city) ||
        !read_number(entry, &latitude_path, &parts->latitude, &has_latitude) ||
        !read_number(entry, &longitude_path, &parts->longitude, &has_longitude))
        return false;
    parts->has_coordinates =
        has_latitude && has_longitude && place_is_on_globe(parts->latitude, parts->longitude);
    return true;
}

void mmdb_read(const struct mmdb *mmdb, uint32_t offset, struct place_parts *parts)
{
    MMDB_entry_s entry = {.mmdb = &mmdb->file, .offset = offset};
    if (!read_record(&entry, parts))
        memset(parts, 0, sizeof *parts);
}

/* ---- The check before use, and the rest ---- */

struct checked {
    int records;
    int countries;
};

/* What is wrong with the record of one address, in words; NULL: nothing, or there is none. */
static const char *check_address(const struct mmdb *mmdb, const char *address, struct checked *checked)
{
    ip_address ip;
    struct place_parts parts;
    int error;
    MUST(ip_read(slice_of(address), &ip) == STATUS_OK);
    MMDB_lookup_result_s found = look_up(mmdb, ip, &error);
    if (error != MMDB_SUCCESS && error != MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
        return MMDB_strerror(error);
    if (!found.found_entry)
        return NULL;
    if (!read_record(&found.entry, &parts))
        return "its fields have other types than those of a place";
    checked->records++;
    checked->countries += parts.country.len > 0;
    return NULL;
}

/* By addresses that every file of places is likely to know. */
static enum status check_records(const struct mmdb *mmdb, const char *path, struct why *why)
{
    static const char *const samples[] = {"1.1.1.1", "8.8.8.8", "81.2.69.142", "2001:4860::", "2a00:1450::"};
    struct checked checked = {0, 0};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const char *fault = check_address(mmdb, samples[i], &checked);
        if (fault != NULL)
            return why_say(why, STATUS_MALFORMED, "geo.databases: the record of %s in %s cannot be used: %s",
                           samples[i], path, fault);
    }
    if (checked.records > 0 && checked.countries == 0)
        return why_say(why, STATUS_MALFORMED, "geo.databases: %s is no database of places: it is a %s", path,
                       mmdb->type);
    return STATUS_OK;
}

struct mmdb *mmdb_open(const char *path, struct why *why)
{
    struct mmdb *mmdb = must_calloc(1, sizeof *mmdb);
    if (open_file(mmdb, path, why) != STATUS_OK) {
        free(mmdb);
        return NULL;
    }
    if (check_records(mmdb, path, why) != STATUS_OK)
        mmdb_close(&mmdb);
    return mmdb;
}

void mmdb_close(struct mmdb **mmdb)
{
    if (*mmdb == NULL)
        return;
    MMDB_close(&(*mmdb)->file);
    free(*mmdb);
    *mmdb = NULL;
}

wall_ms mmdb_built_at(const struct mmdb *mmdb)
{
    uint64_t seconds = mmdb->file.metadata.build_epoch;
    return (wall_ms){seconds < 253402300800u ? (int64_t)seconds * 1000 : 0};
}

const char *mmdb_type(const struct mmdb *mmdb)
{
    return mmdb->type;
}
