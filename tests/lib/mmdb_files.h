/* SPDX-License-Identifier: Apache-2.0
 * mmdb_files: MaxMind databases for tests: the committed ones, any bytes, and one with very many records.
 *
 * mmdb_files_use is what a random test and a fuzz target do with bytes that may be a database: open them, and
 * if they open, read everything that can be reached from a fixed set of addresses. */
#ifndef TESTS_LIB_MMDB_FILES_H
#define TESTS_LIB_MMDB_FILES_H

#include "aggregator/mmdb.h"

enum { MMDB_FILES_MAX_BYTES = 4096 }; /* of a committed file */

/* A file of tests/data/mmdb; returns its length. The test stops when it cannot be read. */
size_t mmdb_files_read(const char *name, unsigned char bytes[MMDB_FILES_MAX_BYTES]);
/* Puts bytes into the file at path, in place. */
void mmdb_files_write(const char *path, const void *bytes, size_t len);
/* NULL when they are no database. */
struct mmdb *mmdb_files_open_bytes(const void *bytes, size_t len);
/* Returns whether the bytes opened. */
bool mmdb_files_use(const void *bytes, size_t len);

/* Writes a flat IPv4 database of 2^bits networks of equal size: the country of each is US, its city the text
 * of its number. */
void mmdb_files_make_full(const char *path, unsigned bits);

#endif
