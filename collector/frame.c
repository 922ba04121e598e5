/* SPDX-License-Identifier: Apache-2.0
 * frame: see the header. */
#include "collector/frame.h"

#include <string.h>
#include <xxhash.h>

enum {
    AT_CHECKSUM = 0,
    AT_LENGTH = 8,
    AT_KEY_LENGTH = 12,
    AT_PARTITION = 14,
    AT_KIND = 16,
    AT_ZERO = 20,
    AT_SEQ = 24,
    AT_WRITTEN = 32,
};
_Static_assert(AT_WRITTEN + 8 == FRAME_HEAD_BYTES, "the head ends with the time");
_Static_assert(PARTITIONS_MAX <= UINT16_MAX && FRAME_MAX_KEY <= UINT16_MAX, "fit in their fields");

#define MAX_SEQ (INT64_C(1) << 53)

static void put16(char *out, uint16_t value)
{
    value = htole16(value);
    memcpy(out, &value, sizeof(value));
}

static void put32(char *out, uint32_t value)
{
    value = htole32(value);
    memcpy(out, &value, sizeof(value));
}

static void put64(char *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof(value));
}

static uint16_t get16(const char *in)
{
    uint16_t value;
    memcpy(&value, in, sizeof(value));
    return le16toh(value);
}

static uint32_t get32(const char *in)
{
    uint32_t value;
    memcpy(&value, in, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const char *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof(value));
    return le64toh(value);
}

static size_t padded(size_t payload_len)
{
    return (FRAME_HEAD_BYTES + payload_len + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

size_t frame_bytes(size_t key_len, size_t value_len)
{
    return padded(key_len + value_len);
}

void frame_write(const struct frame *frame, char *out)
{
    size_t payload_len = frame->key.len + frame->value.len;
    size_t end = FRAME_HEAD_BYTES + payload_len;
    MUST(frame->key.len <= FRAME_MAX_KEY && payload_len <= FRAME_MAX_PAYLOAD);
    put64(out + AT_CHECKSUM, 0);
    put32(out + AT_LENGTH, (uint32_t)payload_len);
    put16(out + AT_KEY_LENGTH, (uint16_t)frame->key.len);
    put16(out + AT_PARTITION, (uint16_t)frame->partition);
    put32(out + AT_KIND, frame->kind);
    put32(out + AT_ZERO, 0);
    put64(out + AT_SEQ, (uint64_t)frame->seq);
    put64(out + AT_WRITTEN, (uint64_t)frame->written.ms);
    if (frame->key.len > 0)
        memcpy(out + FRAME_HEAD_BYTES, frame->key.data, frame->key.len);
    if (frame->value.len > 0)
        memcpy(out + FRAME_HEAD_BYTES + frame->key.len, frame->value.data, frame->value.len);
    memset(out + end, 0, padded(payload_len) - end);
}

/* Never 0, so that a search may run over zeros without a look. */
static uint64_t checksum(const char *bytes, size_t payload_len, uint64_t seed)
{
    uint64_t sum = XXH3_64bits_withSeed(bytes + AT_LENGTH, FRAME_HEAD_BYTES - AT_LENGTH + payload_len, seed);
    return sum ? sum : 1;
}

size_t frame_written_bytes(const char *written)
{
    return padded(get32(written + AT_LENGTH));
}

void frame_written_read(const char *written, struct frame *frame)
{
    size_t payload_len = get32(written + AT_LENGTH), key_len = get16(written + AT_KEY_LENGTH);
    *frame = (struct frame){
        .kind = (enum frame_kind)get32(written + AT_KIND),
        .partition = get16(written + AT_PARTITION),
        .seq = (int64_t)get64(written + AT_SEQ),
        .written = {(int64_t)get64(written + AT_WRITTEN)},
        .key = {written + FRAME_HEAD_BYTES, key_len},
        .value = {written + FRAME_HEAD_BYTES + key_len, payload_len - key_len},
    };
}

void frame_seal(char *written, uint64_t salt, uint64_t position)
{
    put64(written + AT_CHECKSUM, checksum(written, get32(written + AT_LENGTH), salt + position));
}

/* What a frame of ours can look like; text never does, for its length would be too great. */
static bool is_plausible(const char *head, int partitions)
{
    uint32_t length = get32(head + AT_LENGTH), kind = get32(head + AT_KIND);
    uint64_t seq = get64(head + AT_SEQ);
    if (length > FRAME_MAX_PAYLOAD || get32(head + AT_ZERO) != 0 || get64(head + AT_WRITTEN) > MAX_SEQ ||
        get16(head + AT_PARTITION) >= partitions)
        return false;
    if (kind == FRAME_MARK)
        return length == 0 && get16(head + AT_KEY_LENGTH) == 0 && seq == 0;
    return kind == FRAME_HIT && get16(head + AT_KEY_LENGTH) <= length && seq >= 1 && seq <= MAX_SEQ;
}

enum status frame_read(slice bytes, const struct frame_place *place, struct frame *frame, size_t *need)
{
    *need = 0;
    if (bytes.len < FRAME_HEAD_BYTES || !is_plausible(bytes.data, place->partitions))
        return STATUS_MALFORMED;
    size_t payload_len = get32(bytes.data + AT_LENGTH);
    *need = padded(payload_len);
    if (*need > bytes.len)
        return STATUS_TOO_BIG;
    if (get64(bytes.data + AT_CHECKSUM) != checksum(bytes.data, payload_len, place->salt + place->position))
        return STATUS_MALFORMED;
    frame_written_read(bytes.data, frame);
    return STATUS_OK;
}
