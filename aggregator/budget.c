/* SPDX-License-Identifier: Apache-2.0
 * budget: see the header. */
#include "aggregator/budget.h"

enum { DAYS_A_MONTH = 30, LEASES_A_DAY = 100 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void budget_init(struct budget *budget, int64_t daily, int64_t monthly)
{
    int64_t size = least(daily, monthly / DAYS_A_MONTH) / LEASES_A_DAY;
    size = size < 1 ? 1 : least(size, BUDGET_MAX_LEASE);
    *budget = (struct budget){.lease_size = size, .ask_at = {INT64_MIN}};
}

static int64_t calls_left(const struct budget *budget, mono_ms now)
{
    return now.ms < budget->day_ends.ms ? budget->calls_left : 0;
}

bool budget_take(struct budget *budget, mono_ms now)
{
    if (calls_left(budget, now) == 0)
        return false;
    budget->calls_left--;
    return true;
}

const char *budget_find_hindrance(const struct budget *budget, mono_ms now)
{
    if (calls_left(budget, now) > 0 || now.ms >= budget->ask_at.ms)
        return NULL;
    return budget->has_failed ? "the database, which holds the budget, is away"
                              : "the budget of ip2location.daily_budget or monthly_budget is used up";
}

bool budget_begin_lease(struct budget *budget, mono_ms now)
{
    /* Early enough that the calls left bridge the time until the answer. */
    if (budget->is_asking || now.ms < budget->ask_at.ms || calls_left(budget, now) > budget->lease_size / 2)
        return false;
    budget->is_asking = true;
    return true;
}

void budget_note_lease(struct budget *budget, const struct budget_lease *lease, mono_ms now)
{
    MUST(budget->is_asking && lease->calls >= 0);
    budget->is_asking = budget->has_failed = false;
    if (lease->calls == 0) {
        budget->ask_at = (mono_ms){now.ms + least(lease->day_left_ms, BUDGET_RECHECK_MS)};
        return;
    }
    if (lease->day != budget->day)
        budget->calls_left = 0;
    budget->day = lease->day;
    budget->day_ends = (mono_ms){now.ms + lease->day_left_ms};
    budget->calls_left += lease->calls;
}

void budget_note_failure(struct budget *budget, mono_ms now)
{
    MUST(budget->is_asking);
    budget->is_asking = false;
    budget->has_failed = true;
    budget->ask_at = (mono_ms){now.ms + BUDGET_RETRY_MS};
}
