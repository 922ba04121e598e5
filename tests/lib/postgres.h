/* SPDX-License-Identifier: Apache-2.0
 * postgres: a test's own hand on the server that with_postgres started: plain blocking SQL beside the code
 * under test.
 *
 * Any failure stops the program: a test that cannot look is no test. One thread. */
#ifndef TESTS_LIB_POSTGRES_H
#define TESTS_LIB_POSTGRES_H

struct pg_conn;

/* Makes a fresh database, a copy of `from` (NULL: empty), and returns its conninfo, valid until the next
 * call. Nobody may be connected to `from`. */
const char *postgres_make(const char *name, const char *from);
void postgres_drop(const char *name); /* ends its connections first */

struct pg_conn *postgres_connect(const char *conninfo);
void postgres_disconnect(struct pg_conn *conn);
/* Runs one or more commands. */
void postgres_do(struct pg_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first value of the first row as text, "" for NULL or no row; valid until the next call. */
const char *postgres_ask(struct pg_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
