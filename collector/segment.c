/* SPDX-License-Identifier: Apache-2.0
 * segment: see the header. */
#include "collector/segment.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"

enum { VERSION = 1, FLAG_MARKED = 1, TOPIC_ROOM = 256 };
_Static_assert((int)SEGMENT_MAX_TOPIC < (int)TOPIC_ROOM, "with a NUL");

#define MAX_NUMBER (INT64_C(1) << 53)

/* No UTF-8 (0x89, 0xff), broken by every translation of line ends. */
static const char magic[8] = {'\x89', 'F', 'F', 'J', '\r', '\n', '\x1a', '\xff'};

/* All numbers little endian; `last` follows, then zeros. */
struct layout {
    char magic[8];
    uint64_t checksum; /* of all that follows, to the end of the copy */
    uint32_t version;
    uint32_t header_bytes;
    uint64_t number;
    uint64_t salt;
    uint8_t boot[16];
    uint64_t created;
    uint32_t flags;
    uint32_t partitions;
    char topic[TOPIC_ROOM];
};
enum { CHECKED_FROM = 16 };
_Static_assert(offsetof(struct layout, version) == CHECKED_FROM, "behind the checksum");
_Static_assert(sizeof(struct layout) == 72 + TOPIC_ROOM, "no padding");
_Static_assert(sizeof(struct layout) + PARTITIONS_MAX * 8 <= SEGMENT_MAX_HEADER, "fits");

void segment_name_write(uint64_t number, char out[SEGMENT_NAME_LEN + 1])
{
    snprintf(out, SEGMENT_NAME_LEN + 1, "%016llx.segment", (unsigned long long)number);
}

bool segment_name_read(const char *name, uint64_t *number)
{
    uint64_t value = 0;
    if (strlen(name) != SEGMENT_NAME_LEN)
        return false;
    for (int i = 0; i < 16; i++) {
        const char *digit = strchr("0123456789abcdef", name[i]);
        if (!digit)
            return false;
        value = value << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    if (strcmp(name + 16, ".segment") != 0)
        return false;
    *number = value;
    return true;
}

size_t segment_header_bytes(int partitions)
{
    size_t needed = sizeof(struct layout) + (size_t)partitions * sizeof(uint64_t);
    return (needed + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK * SEGMENT_BLOCK;
}

void segment_header_write(const struct segment_header *header, char *out)
{
    size_t bytes = segment_header_bytes(header->partitions);
    struct layout layout = {
        .version = htole32(VERSION),
        .header_bytes = htole32((uint32_t)bytes),
        .number = htole64(header->number),
        .salt = htole64(header->salt),
        .created = htole64((uint64_t)header->created.ms),
        .flags = htole32(header->is_marked ? FLAG_MARKED : 0),
        .partitions = htole32((uint32_t)header->partitions),
    };
    MUST(header->partitions > 0 && header->partitions <= PARTITIONS_MAX);
    memcpy(layout.magic, magic, sizeof(magic));
    memcpy(layout.boot, header->boot.bytes, sizeof(layout.boot));
    memcpy(layout.topic, header->topic, strlen(header->topic));
    memset(out, 0, bytes);
    memcpy(out, &layout, sizeof(layout));
    for (int i = 0; i < header->partitions; i++) {
        uint64_t last = htole64((uint64_t)header->last[i]);
        memcpy(out + sizeof(layout) + (size_t)i * sizeof(last), &last, sizeof(last));
    }
    layout.checksum = htole64(XXH3_64bits(out + CHECKED_FROM, bytes - CHECKED_FROM));
    memcpy(out + offsetof(struct layout, checksum), &layout.checksum, sizeof(layout.checksum));
    memcpy(out + bytes, out, bytes);
}

static bool read_fields(const struct layout *layout, struct segment_header *header)
{
    uint32_t partitions = le32toh(layout->partitions);
    if (partitions < 1 || partitions > PARTITIONS_MAX ||
        strnlen(layout->topic, TOPIC_ROOM) > SEGMENT_MAX_TOPIC ||
        segment_header_bytes((int)partitions) != le32toh(layout->header_bytes))
        return false;
    header->number = le64toh(layout->number);
    header->salt = le64toh(layout->salt);
    memcpy(header->boot.bytes, layout->boot, sizeof(layout->boot));
    header->created.ms = (int64_t)le64toh(layout->created);
    header->is_marked = le32toh(layout->flags) & FLAG_MARKED;
    header->partitions = (int)partitions;
    memcpy(header->topic, layout->topic, SEGMENT_MAX_TOPIC);
    header->topic[SEGMENT_MAX_TOPIC] = '\0';
    return true;
}

static bool read_numbers(const char *numbers, struct segment_header *header)
{
    for (int i = 0; i < header->partitions; i++) {
        uint64_t last;
        memcpy(&last, numbers + (size_t)i * sizeof(last), sizeof(last));
        last = le64toh(last);
        if (last > MAX_NUMBER)
            return false;
        header->last[i] = (int64_t)last;
    }
    return true;
}

/* One copy, of header_bytes when that is not 0. */
static enum status read_copy(slice bytes, size_t header_bytes, struct segment_header *header)
{
    struct layout layout;
    if (bytes.len < sizeof(layout))
        return STATUS_MALFORMED;
    memcpy(&layout, bytes.data, sizeof(layout));
    size_t said = le32toh(layout.header_bytes);
    if (memcmp(layout.magic, magic, sizeof(magic)) != 0 || said % SEGMENT_BLOCK != 0 || said == 0 ||
        said > SEGMENT_MAX_HEADER || said > bytes.len || (header_bytes != 0 && said != header_bytes))
        return STATUS_MALFORMED;
    if (le64toh(layout.checksum) != XXH3_64bits(bytes.data + CHECKED_FROM, said - CHECKED_FROM))
        return STATUS_MALFORMED;
    if (le32toh(layout.version) != VERSION)
        return STATUS_CONFLICT;
    if (!read_fields(&layout, header) || !read_numbers(bytes.data + sizeof(layout), header))
        return STATUS_MALFORMED;
    return STATUS_OK;
}

static bool is_zero(slice bytes)
{
    return bytes.len == 0 || (bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0);
}

enum status segment_header_read(slice bytes, struct segment_header *header, bool *is_hurt)
{
    enum status status = read_copy(bytes, 0, header);
    if (status == STATUS_OK) {
        size_t size = segment_header_bytes(header->partitions);
        *is_hurt = bytes.len < 2 * size || memcmp(bytes.data, bytes.data + size, size) != 0;
        return STATUS_OK;
    }
    for (size_t at = SEGMENT_BLOCK; status == STATUS_MALFORMED && at <= SEGMENT_MAX_HEADER && at < bytes.len;
         at += SEGMENT_BLOCK)
        status = read_copy(slice_from(bytes, at), at, header);
    *is_hurt = true;
    return status == STATUS_MALFORMED && is_zero(bytes) ? STATUS_MISSING : status;
}
