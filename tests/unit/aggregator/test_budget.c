/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/budget, against a ledger as Postgres keeps it. */
#include "aggregator/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"

#define DAY_MS INT64_C(86400000)

struct ledger {
    int64_t daily, monthly;
    int64_t by_day[70]; /* of two months and some, each of 30 days */
};

static int64_t month_of(const struct ledger *ledger, int32_t day)
{
    int64_t sum = 0;
    for (int i = day / 30 * 30; i < day / 30 * 30 + 30 && i < 70; i++)
        sum += ledger->by_day[i];
    return sum;
}

static struct budget_lease grant(struct ledger *ledger, int64_t wanted, mono_ms now)
{
    int32_t day = (int32_t)(now.ms / DAY_MS);
    int64_t free_today = ledger->daily - ledger->by_day[day];
    int64_t free_month = ledger->monthly - month_of(ledger, day);
    int64_t calls = free_today < free_month ? free_today : free_month;
    calls = calls < wanted ? calls : wanted;
    calls = calls > 0 ? calls : 0;
    ledger->by_day[day] += calls;
    return (struct budget_lease){.calls = calls, .day = day, .day_left_ms = DAY_MS - now.ms % DAY_MS};
}

static void leases_fit_the_budget(void **state)
{
    (void)state;
    static const int64_t cases[][3] = {
        {1, 1, 1}, {1000, 50000, 10}, {1000, 3000, 1}, {1600, 50000, 16}, {1000000, 100000000, 50},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct budget budget;
        budget_init(&budget, cases[i][0], cases[i][1]);
        assert_int_equal(budget.lease_size, cases[i][2]);
    }
}

static void calls_are_leased_then_taken(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000, 50000);
    mono_ms now = {1000};
    assert_false(budget_take(&budget, now));
    assert_null(budget_find_hindrance(&budget, now)); /* not known */
    assert_true(budget_begin_lease(&budget, now));
    assert_false(budget_begin_lease(&budget, now)); /* one at a time */
    budget_note_lease(&budget, &(struct budget_lease){10, 1, 5000}, now);
    for (int i = 0; i < 5; i++) {
        assert_false(budget_begin_lease(&budget, now));
        assert_true(budget_take(&budget, now));
    }
    assert_true(budget_begin_lease(&budget, now));
    budget_note_lease(&budget, &(struct budget_lease){10, 1, 5000}, now);
    for (int i = 0; i < 15; i++)
        assert_true(budget_take(&budget, now));
    assert_false(budget_take(&budget, now));
}

static void a_lease_ends_with_its_day(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000, 50000);
    assert_true(budget_begin_lease(&budget, (mono_ms){0}));
    budget_note_lease(&budget, &(struct budget_lease){10, 1, 5000}, (mono_ms){0});
    assert_true(budget_take(&budget, (mono_ms){4999}));
    assert_false(budget_take(&budget, (mono_ms){5000}));
    /* The database's midnight comes a little sooner: what is left of the day before is not carried over. */
    for (int i = 0; i < 5; i++)
        assert_true(budget_take(&budget, (mono_ms){4999}));
    assert_true(budget_begin_lease(&budget, (mono_ms){4999}));
    budget_note_lease(&budget, &(struct budget_lease){10, 2, DAY_MS}, (mono_ms){4999});
    assert_int_equal(budget.calls_left, 10);
}

static void a_spent_budget_rests(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000, 50000);
    assert_true(budget_begin_lease(&budget, (mono_ms){0}));
    budget_note_lease(&budget, &(struct budget_lease){0, 1, DAY_MS}, (mono_ms){0});
    assert_non_null(strstr(budget_find_hindrance(&budget, (mono_ms){0}), "daily_budget"));
    assert_false(budget_begin_lease(&budget, (mono_ms){BUDGET_RECHECK_MS - 1}));
    assert_true(budget_begin_lease(&budget, (mono_ms){BUDGET_RECHECK_MS}));
    budget_note_lease(&budget, &(struct budget_lease){0, 1, 50}, (mono_ms){BUDGET_RECHECK_MS});
    assert_true(budget_begin_lease(&budget, (mono_ms){BUDGET_RECHECK_MS + 50})); /* the next day */
    budget_note_failure(&budget, (mono_ms){BUDGET_RECHECK_MS + 50});
    assert_non_null(strstr(budget_find_hindrance(&budget, (mono_ms){BUDGET_RECHECK_MS + 51}), "database"));
    assert_false(budget_begin_lease(&budget, (mono_ms){BUDGET_RECHECK_MS + 51}));
    assert_true(budget_begin_lease(&budget, (mono_ms){BUDGET_RECHECK_MS + 50 + BUDGET_RETRY_MS}));
}

/* Three processes that are started anew now and then, over two months. */
static void calls_never_exceed_the_budget(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct choice choice = choice_seeded(seed);
        struct ledger ledger = {.daily = 1 + (int64_t)choice_below(&choice, 300)};
        ledger.monthly = ledger.daily * (1 + (int64_t)choice_below(&choice, 31));
        struct budget budgets[3];
        int64_t made[70] = {0}, refused = 0;
        for (int i = 0; i < 3; i++)
            budget_init(&budgets[i], ledger.daily, ledger.monthly);
        for (mono_ms now = {0}; now.ms < 65 * DAY_MS; now.ms += (int64_t)choice_below(&choice, 600000)) {
            struct budget *budget = &budgets[choice_below(&choice, 3)];
            if (choice_below(&choice, 500) == 0)
                budget_init(budget, ledger.daily, ledger.monthly);
            if (budget_begin_lease(budget, now)) {
                struct budget_lease lease = grant(&ledger, budget->lease_size, now);
                budget_note_lease(budget, &lease, now);
            }
            bool is_taken = budget_take(budget, now);
            made[now.ms / DAY_MS] += is_taken;
            refused += !is_taken;
        }
        int64_t all = 0;
        for (int i = 0; i < 70; i++) {
            assert_true(made[i] <= ledger.daily);
            all = i % 30 == 0 ? made[i] : all + made[i];
            assert_true(all <= ledger.monthly);
        }
        assert_true(made[0] > 0 && (refused > 0 || ledger.daily > 200));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_fit_the_budget),         cmocka_unit_test(calls_are_leased_then_taken),
        cmocka_unit_test(a_lease_ends_with_its_day),     cmocka_unit_test(a_spent_budget_rests),
        cmocka_unit_test(calls_never_exceed_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
