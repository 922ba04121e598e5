/* SPDX-License-Identifier: Apache-2.0
 * uuid: see the header. */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/hex.h"
#include "base/word.h"

void random_bytes(void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        MUST(got > 0 || errno == EINTR); /* interrupted before the kernel's pool was ready */
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

static void mark(uuid *id, unsigned version)
{
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0F) | version << 4);
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3F) | 0x80);
}

uuid uuid_v4(void)
{
    uuid id;
    random_bytes(id.bytes, sizeof id.bytes);
    mark(&id, 4);
    return id;
}

/* 74 bits after the time: a random start in each millisecond, then counted up (RFC 9562, 6.2, method 2). */
uuid uuid_v7(wall_ms now)
{
    static int64_t last_ms = -1;
    static uint16_t high; /* 12 bits */
    static uint64_t low;  /* 62 bits */
    if (now.ms > last_ms) {
        last_ms = now.ms;
        random_bytes(&high, sizeof high);
        random_bytes(&low, sizeof low);
        high &= 0x7FF; /* half of the room is left to count into */
        low >>= 2;
    } else if ((++low & (UINT64_MAX >> 2)) == 0) {
        low = 0;
        high++;
        if (high > 0xFFF) {
            high = 0;
            last_ms++;
        }
    }
    uuid id;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)((uint64_t)last_ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(high >> 8);
    id.bytes[7] = (uint8_t)high;
    for (int i = 0; i < 8; i++)
        id.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    mark(&id, 7);
    return id;
}

bool uuid_equals(uuid a, uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

int uuid_compare(uuid a, uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

/* The eight digits of four bytes, worked out side by side in the bytes of a word. */
static void write_digits(const uint8_t bytes[4], char out[8])
{
    uint32_t four;
    memcpy(&four, bytes, sizeof four);
    uint64_t word = be32toh(four);
    word = (word | word << 16) & UINT64_C(0x0000FFFF0000FFFF);
    word = (word | word << 8) & UINT64_C(0x00FF00FF00FF00FF);
    word = (word | word << 4) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    uint64_t is_letter = (word + word_repeat(6)) >> 4 & word_repeat(1);
    word += word_repeat('0') + is_letter * ('a' - '0' - 10);
    word = htobe64(word);
    memcpy(out, &word, sizeof word);
}

void uuid_write_hex(uuid id, char out[UUID_HEX_LEN])
{
    for (size_t i = 0; i < sizeof id.bytes; i += 4)
        write_digits(id.bytes + i, out + 2 * i);
}

void uuid_write(uuid id, char out[UUID_TEXT_LEN])
{
    char hex[UUID_HEX_LEN];
    uuid_write_hex(id, hex);
    out[8] = out[13] = out[18] = out[23] = '-';
    memcpy(out, hex, 8);
    memcpy(out + 9, hex + 8, 4);
    memcpy(out + 14, hex + 12, 4);
    memcpy(out + 19, hex + 16, 4);
    memcpy(out + 24, hex + 20, 12);
}

static bool strip_dashes(const char text[UUID_TEXT_LEN], char hex[UUID_HEX_LEN])
{
    memcpy(hex, text, 8);
    memcpy(hex + 8, text + 9, 4);
    memcpy(hex + 12, text + 14, 4);
    memcpy(hex + 16, text + 19, 4);
    memcpy(hex + 20, text + 24, 12);
    return text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
}

enum status uuid_read(slice text, uuid *id)
{
    char hex[UUID_HEX_LEN];
    uuid out;
    if (text.len == UUID_TEXT_LEN && strip_dashes(text.data, hex))
        text = (slice){hex, sizeof hex};
    if (text.len != UUID_HEX_LEN)
        return STATUS_MALFORMED;
    for (size_t i = 0; i < sizeof out.bytes; i++) {
        int high = hex_value(text.data[2 * i]);
        int low = hex_value(text.data[2 * i + 1]);
        if ((high | low) < 0)
            return STATUS_MALFORMED;
        out.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = out;
    return STATUS_OK;
}

uuid uuid_of_text(slice text)
{
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(text.data, text.len));
    uuid id;
    memcpy(id.bytes, hash.digest, sizeof id.bytes);
    mark(&id, 8);
    return id;
}
