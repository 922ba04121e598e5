/* SPDX-License-Identifier: Apache-2.0
 * Tests of how aggregator/claiming and aggregator/writing commit: whether a crash of the server may take it
 * back. A trigger that runs at the commit sees with what it is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/aggregator/store_bench.h"

static void watch_commits(struct store_bench *bench)
{
    postgres_do(bench->admin, "CREATE TABLE seen (setting text);"
                              "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                              "  INSERT INTO seen VALUES (current_setting('synchronous_commit'));"
                              "  RETURN NULL;"
                              "END $$;"
                              "CREATE CONSTRAINT TRIGGER look AFTER UPDATE ON footfall.partitions"
                              "  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look()");
}

/* A claim, a batch, a halt. */
static void work(struct store_bench *bench)
{
    struct claim *claim = store_bench_claim(bench, 3);
    store_bench_add_hit(bench, 3, 1);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_DONE);
    assert_int_equal(store_bench_keep_halt(bench, claim, "a test"), STORE_DONE);
    claim_free(&claim);
}

static void nothing_is_taken_back_unless_it_may(void **state)
{
    struct store_bench *bench = *state;
    watch_commits(bench);
    work(bench);
    store_bench_ask(bench, "SELECT string_agg(setting, ' ' ORDER BY ctid) FROM seen", "on on on");
}

static void only_batches_may_be_taken_back(void **state)
{
    struct store_bench *bench = *state;
    watch_commits(bench);
    store_bench_replace_store(bench, (struct store_options){.commits_lazily = true});
    work(bench);
    store_bench_ask(bench, "SELECT string_agg(setting, ' ' ORDER BY ctid) FROM seen", "on off on");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_taken_back_unless_it_may),
        TEST(only_batches_may_be_taken_back),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
