/* SPDX-License-Identifier: Apache-2.0
 * result: see the header. */
#include "aggregator/result.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/row.h"

int result_count(const struct pg_result *result)
{
    return PQntuples(result);
}

int64_t result_affected(const struct pg_result *result)
{
    /* libpq only reads it, but says so in no prototype. */
    return strtoll(PQcmdTuples((struct pg_result *)result), NULL, 10);
}

bool result_is_of(const struct pg_result *result, const char *command)
{
    return strcmp(PQcmdStatus((struct pg_result *)result), command) == 0;
}

bool result_is_null(const struct pg_result *result, int row, int column)
{
    return PQgetisnull(result, row, column) == 1;
}

/* The bytes of a value that has exactly this size and is not NULL. */
static const char *value_of(const struct pg_result *result, int row, int column, int size)
{
    MUST(PQfformat(result, column) == 1 && PQgetlength(result, row, column) == size);
    return PQgetvalue(result, row, column);
}

bool result_bool(const struct pg_result *result, int row, int column)
{
    return *value_of(result, row, column, 1) != 0;
}

int32_t result_int32(const struct pg_result *result, int row, int column)
{
    uint32_t value;
    memcpy(&value, value_of(result, row, column, sizeof value), sizeof value);
    return (int32_t)be32toh(value);
}

int64_t result_int64(const struct pg_result *result, int row, int column)
{
    uint64_t value;
    memcpy(&value, value_of(result, row, column, sizeof value), sizeof value);
    return (int64_t)be64toh(value);
}

float result_real(const struct pg_result *result, int row, int column)
{
    int32_t bits = result_int32(result, row, column);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

slice result_text(const struct pg_result *result, int row, int column)
{
    return (slice){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

wall_ms result_time(const struct pg_result *result, int row, int column)
{
    return row_time(result_int64(result, row, column));
}

/* Times and counts, without which nothing can be read. */
static bool has_numbers(const struct pg_result *result, int row, int column)
{
    bool has = true;
    for (int number = 2; number <= 5; number++)
        has &= !result_is_null(result, row, column + number);
    return has;
}

enum status result_session(const struct pg_result *result, int row, int column, struct session *session)
{
    if (!has_numbers(result, row, column))
        return STATUS_MALFORMED;
    *session = (struct session){.host = result_text(result, row, column + 1),
                                .start = result_time(result, row, column + 2),
                                .last = result_time(result, row, column + 3),
                                .events = result_int64(result, row, column + 4),
                                .bot_events = result_int64(result, row, column + 5),
                                .entry_url = result_text(result, row, column + 6),
                                .referrer = result_text(result, row, column + 7),
                                .country = result_text(result, row, column + 8),
                                .state = result_text(result, row, column + 9),
                                .city = result_text(result, row, column + 10),
                                .exit_url = result_text(result, row, column + 11)};
    enum status status = ip_read(result_text(result, row, column), &session->ip);
    if (status == STATUS_OK && !session_is_sound(session))
        status = STATUS_MALFORMED; /* a person wrote it */
    return status;
}
