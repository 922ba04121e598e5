/* SPDX-License-Identifier: Apache-2.0
 * migrations: the numbered SQL files of sql/migrations, built into the program.
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
