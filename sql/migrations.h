/* SPDX-License-Identifier: Apache-2.0
 * migrations: the numbered SQL files of sql/migrations, built into the program.
 *
 * Hits flow while a file is applied, and programs of the version before go on afterwards, so a file only adds,
 * and says so in footfall.migrations.oldest.
 * One that alters tables which batches write begins with LOCK TABLE footfall.partitions IN EXCLUSIVE MODE,
 * where batches begin too: so neither waits for the other in a circle. What takes long is a file of its own
 * that locks nothing.
 *
 * The C side is written by embed.cmake from the .sql files at build time, so that an installed program never
 * looks for them on disk. Constant data, ascending by version; no code, any thread. */
#ifndef SQL_MIGRATIONS_H
#define SQL_MIGRATIONS_H

#include <stddef.h>

struct migration {
    int version;      /* the number that its file's name begins with */
    const char *name; /* of the file, without the ending */
    const char *sql;  /* the whole file */
};

extern const struct migration migrations[];
extern const size_t migration_count;

#endif
