/* SPDX-License-Identifier: Apache-2.0
 * outcome: see the header. */
#include "aggregator/outcome.h"

#include <string.h>

static const struct outcome lost = {"", STORE_RETRY, false, false, ""};

/* 23514 that names no constraint: no partition takes the row. */
static const struct outcome day_missing = {"23514", STORE_RETRY, false, true, ""};

static const struct outcome table[] = {
    {"22", STORE_BAD_DATA, false, false, ""},
    {"23", STORE_HALT, false, false, "; no hit can cause this: look who else writes to this table"},
    {"25006", STORE_RETRY, true, false, ""}, /* read only: the primary is elsewhere now */
    {"26", STORE_RETRY, true, false, ""},    /* prepared statements are gone */
    {"0A000", STORE_RETRY, true, false, ""}, /* a statement prepared before a migration */
    {"42501", STORE_HALT, false, false, "; mend the rights of this role: deploy/roles.sql"},
    {"42P07", STORE_HALT, false, false,
     "; a table stands where a day of processed_events is to be made: attach it again, or rename it"},
    {"42", STORE_HALT, false, false, "; run `footfall-aggregator migrate`"},
    {"P0", STORE_HALT, false, false, ""},
    /* 08, 40, 53, 55P03, 57014, 57P0x and whatever else a server may suffer from: it passes. */
    {"", STORE_RETRY, false, false, ""},
};

const struct outcome *outcome_find(const struct database_reply *reply)
{
    MUST(reply->outcome != DATABASE_OK);
    if (reply->outcome == DATABASE_LOST)
        return &lost;
    if (strcmp(reply->sqlstate, day_missing.sqlstate) == 0 && !reply->names_constraint)
        return &day_missing;
    const struct outcome *row = table;
    while (strncmp(reply->sqlstate, row->sqlstate, strlen(row->sqlstate)) != 0)
        row++;
    return row;
}
