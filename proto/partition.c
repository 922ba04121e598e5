/* SPDX-License-Identifier: Apache-2.0
 * partition: see the header. */
#include "proto/partition.h"

#include <endian.h>
#include <string.h>

uint32_t murmur2(slice key)
{
    const uint32_t factor = 0x5bd1e995;
    uint32_t hash = 0x9747b28cu ^ (uint32_t)key.len;
    size_t at = 0;
    for (; at + 4 <= key.len; at += 4) {
        uint32_t word;
        memcpy(&word, key.data + at, 4);
        word = le32toh(word) * factor;
        word ^= word >> 24;
        hash = (hash * factor) ^ (word * factor);
    }
    if (at < key.len) {
        for (size_t i = key.len; i-- > at;)
            hash ^= (uint32_t)(unsigned char)key.data[i] << (8 * (i - at));
        hash *= factor;
    }
    hash ^= hash >> 13;
    hash *= factor;
    return hash ^ hash >> 15;
}

size_t partition_key_write(slice host, ip_address ip, char out[PARTITION_KEY_MAX])
{
    MUST(host.len <= PARTITION_KEY_MAX - 1 - IP_TEXT_MAX);
    if (host.len > 0)
        memcpy(out, host.data, host.len);
    out[host.len] = '|';
    return host.len + 1 + ip_write(ip, out + host.len + 1);
}

int partition_of_key(slice key, int count)
{
    MUST(count >= 1);
    return (int)((murmur2(key) & 0x7fffffff) % (uint32_t)count);
}
