/* SPDX-License-Identifier: Apache-2.0
 * partition: which partition a hit belongs to: murmur2(key) & 0x7fffffff mod n, key = "host|ip", as Java's
 * default partitioner computes it, so that any producer keyed alike puts a visitor's hits in one place (the
 * key's *home*).
 *
 * Pure, any thread. */
#ifndef PROTO_PARTITION_H
#define PROTO_PARTITION_H

#include "base/address.h"
#include "base/buf.h"

enum { PARTITION_KEY_MAX = 253 + 1 + IP_TEXT_MAX, PARTITIONS_MAX = 4096 };

/* Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2). */
uint32_t murmur2(slice key);
/* Writes host|ip (canonical texts) and returns its length. host.len <= 253 (MUST). */
size_t partition_key_write(slice host, ip_address ip, char out[PARTITION_KEY_MAX]);
/* 0 … count-1; count >= 1 (MUST). */
int partition_of_key(slice key, int count);

#endif
