/* SPDX-License-Identifier: Apache-2.0
 * mmdb: one MaxMind DB file with places of addresses: GeoLite2's nested records or the flat ones
 * (country_code, state1, city …), decided by the data and not by the file's name for itself.
 *
 * places -> mmdb_open, mmdb_find, mmdb_read, mmdb_close. The file is copied into sealed memory first, so that
 * nothing done to the path later (truncated, rewritten, removed) can hurt; then it is checked by looking
 * addresses up. Texts are borrowed from that memory until mmdb_close; they are as they stand in the file,
 * neither cleaned nor cut. What can fail: the file is missing, not an MMDB, larger than MMDB_MAX_BYTES, or
 * holds other types than ours: a sentence at open. A damaged record met later reads as nothing known. One
 * thread at a time. */
#ifndef AGGREGATOR_MMDB_H
#define AGGREGATOR_MMDB_H

#include "aggregator/place.h"
#include "base/address.h"
#include "base/clock.h"

enum { MMDB_MAX_BYTES = 1 << 30 };

struct mmdb;

/* NULL and *why, which names the setting geo.databases. */
struct mmdb *mmdb_open(const char *path, struct why *why);
void mmdb_close(struct mmdb **mmdb); /* accepts NULL, leaves NULL */

/* The record of an address by its offset in the file: equal offsets are equal records. NOT_FOUND also for an
 * IPv6 address in a file that holds IPv4 only. */
enum status mmdb_find(const struct mmdb *mmdb, ip_address ip, uint32_t *offset) MUST_CHECK;
void mmdb_read(const struct mmdb *mmdb, uint32_t offset, struct place_parts *parts);

wall_ms mmdb_built_at(const struct mmdb *mmdb);
const char *mmdb_type(const struct mmdb *mmdb); /* what the file calls itself; borrowed until mmdb_close */

#endif
