/* SPDX-License-Identifier: Apache-2.0
 * result: values of a reply's rows, typed.
 *
 * Reads what database_query got for a statement with parameters: binary form. The statement's own SQL decides
 * the types, so a value of another size is a bug (MUST). Slices are borrowed until the reply's callback
 * returns. */
#ifndef AGGREGATOR_RESULT_H
#define AGGREGATOR_RESULT_H

#include "aggregator/session.h"

struct pg_result;

int result_count(const struct pg_result *result);
/* Rows that INSERT, UPDATE, DELETE, COPY or SELECT was about. */
int64_t result_affected(const struct pg_result *result);
/* The command tag is this word: COMMIT answers ROLLBACK when the transaction had failed. */
bool result_is_of(const struct pg_result *result, const char *command);

bool result_is_null(const struct pg_result *result, int row, int column);
bool result_bool(const struct pg_result *result, int row, int column);
int32_t result_int32(const struct pg_result *result, int row, int column);
float result_real(const struct pg_result *result, int row, int column);
int64_t result_int64(const struct pg_result *result, int row, int column);
slice result_text(const struct pg_result *result, int row, int column); /* NULL: empty */
wall_ms result_time(const struct pg_result *result, int row, int column);
/* Twelve columns from `column` on, in the order of footfall.strays: ip, host, start, last, events, bot
 * events, entry page, referrer, country, state, city, exit page. MALFORMED: the ip is no address, a time or a
 * count is missing, or it is no sound session. */
enum status result_session(const struct pg_result *result, int row, int column,
                           struct session *session) MUST_CHECK;

#endif
