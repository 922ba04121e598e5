/* SPDX-License-Identifier: Apache-2.0
 * address: see the header. */
#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
enum { V4_BYTES = 4, V4_AT = sizeof mapped_prefix, V4_PREFIX_BITS = 96 };

/* Four numbers up to 255 with dots between them, without leading zeros, which some read as octal. */
static bool read_v4(slice text, uint8_t bytes[V4_BYTES])
{
    size_t at = 0;
    for (int i = 0; i < V4_BYTES; i++) {
        if (i > 0 && (at == text.len || text.data[at++] != '.'))
            return false;
        size_t start = at;
        unsigned number = 0;
        for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9' && number <= 255; at++)
            number = 10 * number + (unsigned)(text.data[at] - '0');
        if (at == start || number > 255 || (text.data[start] == '0' && at - start > 1))
            return false;
        bytes[i] = (uint8_t)number;
    }
    return at == text.len;
}

static bool read_v6(slice text, uint8_t bytes[16])
{
    char terminated[IP_TEXT_MAX + 1];
    if (text.len == 0 || text.len > IP_TEXT_MAX || slice_find(text, '\0') < text.len)
        return false;
    memcpy(terminated, text.data, text.len);
    terminated[text.len] = '\0';
    return inet_pton(AF_INET6, terminated, bytes) == 1; /* refuses zones, ports and brackets */
}

enum status ip_read(slice text, ip_address *ip)
{
    ip_address out;
    memcpy(out.bytes, mapped_prefix, sizeof mapped_prefix);
    if (!read_v4(text, out.bytes + V4_AT) && !read_v6(text, out.bytes))
        return STATUS_MALFORMED;
    *ip = out;
    return STATUS_OK;
}

/* The digits of a number up to 255. */
static size_t write_number(unsigned number, char *out)
{
    size_t len = 0;
    if (number >= 100)
        out[len++] = (char)('0' + number / 100);
    if (number >= 10)
        out[len++] = (char)('0' + number / 10 % 10);
    out[len++] = (char)('0' + number % 10);
    return len;
}

static size_t write_v4(const uint8_t bytes[V4_BYTES], char *out)
{
    size_t len = write_number(bytes[0], out);
    for (int i = 1; i < V4_BYTES; i++) {
        out[len++] = '.';
        len += write_number(bytes[i], out + len);
    }
    return len;
}

struct zero_run { /* the longest run of zero groups, two at least, the first of equal ones (RFC 5952, 4.2) */
    int start, count;
};

static struct zero_run find_zeros(const uint16_t groups[8])
{
    struct zero_run best = {-1, 1};
    for (int i = 0; i < 8; i++) {
        int count = 0;
        while (i + count < 8 && groups[i + count] == 0)
            count++;
        if (count > best.count)
            best = (struct zero_run){i, count};
        i += count;
    }
    return best;
}

static size_t write_group(uint16_t group, char *out)
{
    size_t len = 0;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = (group >> shift) & 0xF;
        if (digit != 0 || len > 0 || shift == 0)
            out[len++] = "0123456789abcdef"[digit];
    }
    return len;
}

static size_t write_v6(const uint8_t bytes[16], char *out)
{
    uint16_t groups[8];
    for (int i = 0; i < 8; i++)
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    struct zero_run zeros = find_zeros(groups);
    size_t len = 0;
    for (int i = 0; i < 8; i++) {
        if (i == zeros.start) {
            out[len++] = ':';
            out[len++] = ':';
            i += zeros.count - 1;
            continue;
        }
        if (len > 0 && out[len - 1] != ':')
            out[len++] = ':';
        len += write_group(groups[i], out + len);
    }
    return len;
}

size_t ip_write(ip_address ip, char out[IP_TEXT_MAX])
{
    return ip_is_v4(ip) ? write_v4(ip.bytes + V4_AT, out) : write_v6(ip.bytes, out);
}

bool ip_is_v4(ip_address ip)
{
    return memcmp(ip.bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool ip_equals(ip_address a, ip_address b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

#define V4(a, b, c, d, bits)                                                                                 \
    {                                                                                                        \
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d}}, V4_PREFIX_BITS + (bits)                    \
    }
#define V6(a, b, c, d, bits)                                                                                 \
    {                                                                                                        \
        {{a, b, c, d}}, bits                                                                                 \
    }

/* IANA special-purpose address registries: what is not globally reachable, and multicast. */
static const ip_range private_v4[] = {
    V4(0, 0, 0, 0, 8),       /* this network */
    V4(10, 0, 0, 0, 8),      /* private */
    V4(100, 64, 0, 0, 10),   /* shared behind carriers' NAT */
    V4(127, 0, 0, 0, 8),     /* loopback */
    V4(169, 254, 0, 0, 16),  /* link-local */
    V4(172, 16, 0, 0, 12),   /* private */
    V4(192, 0, 0, 0, 24),    /* IETF protocol assignments */
    V4(192, 0, 2, 0, 24),    /* documentation */
    V4(192, 88, 99, 0, 24),  /* 6to4 relays of old */
    V4(192, 168, 0, 0, 16),  /* private */
    V4(198, 18, 0, 0, 15),   /* benchmarking */
    V4(198, 51, 100, 0, 24), /* documentation */
    V4(203, 0, 113, 0, 24),  /* documentation */
    V4(224, 0, 0, 0, 3),     /* multicast, reserved, broadcast */
};

static const ip_range private_v6[] = {
    V6(0, 0, 0, 0, 8),              /* unspecified, loopback, v4-compatible, local NAT64 (64:ff9b:1::/48) */
    V6(0x01, 0, 0, 0, 8),           /* discard-only */
    V6(0x20, 0x01, 0, 0, 23),       /* IETF protocol assignments, Teredo and benchmarking among them */
    V6(0x20, 0x01, 0x0d, 0xb8, 32), /* documentation */
    V6(0x3f, 0xff, 0, 0, 20),       /* documentation (RFC 9637) */
    V6(0x5f, 0x00, 0, 0, 16),       /* segment routing (RFC 9602) */
    V6(0xfc, 0, 0, 0, 7),           /* unique local */
    V6(0xfe, 0x80, 0, 0, 10),       /* link-local */
    V6(0xfe, 0xc0, 0, 0, 10),       /* site-local */
    V6(0xff, 0, 0, 0, 8),           /* multicast */
};

/* 64:ff9b::a.b.c.d is a.b.c.d for hosts that have IPv6 only: DNS64 answers so (RFC 6052). */
static const ip_range nat64 = {{{0, 0x64, 0xff, 0x9b}}, 96};

static bool is_in_any(const ip_range *ranges, size_t count, ip_address ip)
{
    for (size_t i = 0; i < count; i++)
        if (ip_range_has(&ranges[i], ip))
            return true;
    return false;
}

static bool is_private_v4(ip_address ip)
{
    return is_in_any(private_v4, sizeof private_v4 / sizeof private_v4[0], ip);
}

static bool is_private_v4_at(const uint8_t *bytes)
{
    ip_address ip = {{[10] = 0xFF, [11] = 0xFF}};
    memcpy(ip.bytes + 12, bytes, 4);
    return is_private_v4(ip);
}

/* 2002:a.b.c.d::/48 is the network behind a.b.c.d and tells it to whoever sees it. */
static bool is_6to4_of_private(ip_address ip)
{
    return ip.bytes[0] == 0x20 && ip.bytes[1] == 0x02 && is_private_v4_at(ip.bytes + 2);
}

bool ip_is_private(ip_address ip)
{
    if (ip_is_v4(ip))
        return is_private_v4(ip);
    if (ip_range_has(&nat64, ip))
        return is_private_v4_at(ip.bytes + 12);
    return is_6to4_of_private(ip) || is_in_any(private_v6, sizeof private_v6 / sizeof private_v6[0], ip);
}

static bool has_bits_after(const ip_range *range)
{
    for (unsigned bit = range->prefix_bits; bit < 128; bit++)
        if (range->base.bytes[bit / 8] & (0x80 >> bit % 8))
            return true;
    return false;
}

/* Plain decimal: no sign, no leading zero. */
static bool read_prefix(slice text, int64_t max, int64_t *bits)
{
    if (text.len == 0 || text.data[0] == '-' || (text.len > 1 && text.data[0] == '0'))
        return false;
    return slice_to_int64(text, 0, max, bits) == STATUS_OK;
}

enum status ip_range_read(slice text, ip_range *range)
{
    size_t slash = slice_find(text, '/');
    ip_range out;
    if (ip_read(slice_head(text, slash), &out.base) != STATUS_OK)
        return STATUS_MALFORMED;
    int64_t offset = slice_find(text, ':') < text.len ? 0 : V4_PREFIX_BITS;
    int64_t bits = 128 - offset;
    if (slash < text.len && !read_prefix(slice_from(text, slash + 1), bits, &bits))
        return STATUS_MALFORMED;
    out.prefix_bits = (uint8_t)(offset + bits);
    if (has_bits_after(&out))
        return STATUS_MALFORMED;
    *range = out;
    return STATUS_OK;
}

bool ip_range_has(const ip_range *range, ip_address ip)
{
    size_t whole = range->prefix_bits / 8;
    if (memcmp(range->base.bytes, ip.bytes, whole) != 0)
        return false;
    unsigned rest = range->prefix_bits % 8;
    return rest == 0 || ((range->base.bytes[whole] ^ ip.bytes[whole]) >> (8 - rest)) == 0;
}
