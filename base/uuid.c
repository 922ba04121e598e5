/* SPDX-License-Identifier: Apache-2.0
 * uuid: see the header. */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

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

void uuid_write_hex(uuid id, char out[UUID_HEX_LEN])
{
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        out[2 * i] = "0123456789abcdef"[id.bytes[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[id.bytes[i] & 0xF];
    }
}

/* Where the dashes stand. */
static const size_t dashes[] = {8, 13, 18, 23};
enum { DASH_COUNT = sizeof dashes / sizeof dashes[0] };

void uuid_write(uuid id, char out[UUID_TEXT_LEN])
{
    char hex[UUID_HEX_LEN];
    uuid_write_hex(id, hex);
    size_t from = 0;
    for (size_t at = 0, dash = 0; at < UUID_TEXT_LEN; at++) {
        bool is_dash = dash < DASH_COUNT && at == dashes[dash];
        out[at] = is_dash ? '-' : hex[from++];
        dash += is_dash;
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool strip_dashes(slice text, char hex[UUID_HEX_LEN])
{
    size_t to = 0;
    for (size_t at = 0, dash = 0; at < text.len; at++) {
        bool is_dash = dash < DASH_COUNT && at == dashes[dash];
        if (is_dash != (text.data[at] == '-'))
            return false;
        if (!is_dash)
            hex[to++] = text.data[at];
        dash += is_dash;
    }
    return true;
}

enum status uuid_read(slice text, uuid *id)
{
    char hex[UUID_HEX_LEN];
    uuid out;
    if (text.len == UUID_TEXT_LEN && strip_dashes(text, hex))
        text = (slice){hex, sizeof hex};
    if (text.len != UUID_HEX_LEN)
        return STATUS_MALFORMED;
    for (size_t i = 0; i < sizeof out.bytes; i++) {
        int high = hex_value(text.data[2 * i]);
        int low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
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
