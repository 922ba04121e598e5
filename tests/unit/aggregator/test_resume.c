/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/resume and aggregator/loss: what is decided, and what then stands in a real Postgres.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/resume.h"
#include "tests/unit/aggregator/store_bench.h"

static const struct topic_facts facts = {.cluster_id = BENCH_CLUSTER, .partition_count = BENCH_PARTITIONS};

/* The log holds 50 … 199. */
static const struct loss_log kept = {50, 200};

static bool ask_log(void *context, int partition, struct loss_log *log)
{
    (void)context;
    assert_int_equal(partition, 3);
    *log = kept;
    return true;
}

static const struct resume_order plain = {
    .topic = BENCH_TOPIC, .partition = 3, .facts = &facts, .ask_log = ask_log};

static const struct resume_row halted = {
    .next_offset = 100, .is_halted = true, .cluster_id = BENCH_CLUSTER, .partition_count = BENCH_PARTITIONS};

static struct resume_order accepting(void)
{
    struct resume_order order = plain;
    order.accepts_loss = true;
    return order;
}

static struct resume_row standing_at(int64_t next_offset)
{
    struct resume_row row = halted;
    row.next_offset = next_offset;
    return row;
}

static void assert_says(const struct why *said, const char *text)
{
    if (strstr(said->text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", said->text, text);
}

/* ---- The decision ---- */

static void what_is_all_there_goes_on_where_it_stood(void **state)
{
    (void)state;
    static const int64_t good[] = {-2, 50, 100, 200};
    struct why said;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct resume_row row = standing_at(good[i]);
        struct resume_verdict verdict = resume_judge(&plain, &row, &kept, &said);
        assert_true(verdict.may_go_on);
        assert_int_equal(verdict.loss.kind, LOSS_NONE);
        assert_int_equal(verdict.loss.to, good[i]);
        assert_says(&said, "nothing is lost");
        struct resume_order order = accepting();
        assert_int_equal(resume_judge(&order, &row, &kept, &said).loss.to, good[i]);
    }
}

static void a_lost_beginning_is_counted(void **state)
{
    (void)state;
    struct why said;
    struct resume_row row = standing_at(20);
    assert_false(resume_judge(&plain, &row, &kept, &said).may_go_on);
    assert_says(&said, "30 records are gone that were not stored, offsets 20 to 49");
    assert_says(&said, "`footfall-aggregator resume 3 --accept-loss`");
    struct resume_order order = accepting();
    struct resume_verdict verdict = resume_judge(&order, &row, &kept, &said);
    assert_true(verdict.may_go_on);
    assert_int_equal(verdict.loss.kind, LOSS_BEGINNING);
    assert_int_equal(verdict.loss.from, 20);
    assert_int_equal(verdict.loss.to, 50);
    assert_int_equal(verdict.loss.count, 30);
    assert_says(&said, "goes on at offset 50. Given up: 30 records");
}

static void a_log_that_ends_too_early_begins_anew(void **state)
{
    (void)state;
    struct why said;
    struct resume_row row = standing_at(201);
    assert_false(resume_judge(&plain, &row, &kept, &said).may_go_on);
    assert_says(&said, "made anew or cut");
    struct resume_order order = accepting();
    struct resume_verdict verdict = resume_judge(&order, &row, &kept, &said);
    assert_true(verdict.may_go_on);
    assert_int_equal(verdict.loss.kind, LOSS_END);
    assert_int_equal(verdict.loss.to, 50);
    assert_int_equal(verdict.loss.count, -1);
}

static void another_cluster_needs_consent_wherever_it_stands(void **state)
{
    (void)state;
    struct why said;
    struct resume_row row = halted;
    row.cluster_id = "another";
    assert_false(resume_judge(&plain, &row, &kept, &said).may_go_on);
    struct resume_order order = accepting();
    struct resume_verdict verdict = resume_judge(&order, &row, &kept, &said);
    assert_true(verdict.may_go_on);
    assert_int_equal(verdict.loss.kind, LOSS_CLUSTER);
    assert_int_equal(verdict.loss.from, 100);
    assert_int_equal(verdict.loss.to, 50);
    row.cluster_id = ""; /* never claimed */
    assert_int_equal(resume_judge(&plain, &row, &kept, &said).loss.kind, LOSS_NONE);
}

static void another_number_of_partitions_is_never_accepted(void **state)
{
    (void)state;
    struct why said;
    struct resume_order order = accepting();
    struct resume_row row = halted;
    row.partition_count = 24;
    assert_false(resume_judge(&order, &row, &kept, &said).may_go_on);
    assert_says(&said, "use a new topic");
}

static void a_log_that_nobody_knows_shows_no_loss(void **state)
{
    (void)state;
    assert_int_equal(loss_find(5, &(struct loss_log){-1, -1}).kind, LOSS_NONE);
}

/* ---- In Postgres ---- */

static void halt(struct store_bench *bench, int64_t next_offset)
{
    struct claim *claim = store_bench_claim(bench, 3);
    claim_free(&claim);
    postgres_do(bench->admin,
                "UPDATE footfall.partitions SET next_offset = %lld, version = 7, halted_at = now(),"
                " halt_reason = 'a test'",
                (long long)next_offset);
}

#define ROW                                                                                                  \
    "SELECT next_offset || ' ' || version || ' ' || (owner IS NULL) || ' ' || (halted_at IS NULL) || ' '"    \
    "    || (halt_reason IS NULL) || ' ' || cluster_id || ' ' || partition_count"                            \
    "  FROM footfall.partitions WHERE topic = 'hits' AND partition = 3"
#define LOSSES                                                                                               \
    "SELECT coalesce(string_agg(concat_ws(' ', topic, partition, from_offset, to_offset, records), ','), "   \
    "'')"                                                                                                    \
    "  FROM footfall.losses"

static void the_row_is_freed_and_taken_from_its_owner(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    halt(bench, 100);
    assert_int_equal(resume_run(bench->conninfo, &plain, &said), STATUS_OK);
    assert_says(&said, "goes on at offset 100");
    store_bench_ask(bench, ROW, "100 8 true true true " BENCH_CLUSTER " 12");
    store_bench_ask(bench, LOSSES, "");
    assert_int_equal(resume_run(bench->conninfo, &plain, &said), STATUS_OK);
    assert_says(&said, "is not halted");
    store_bench_ask(bench, ROW, "100 8 true true true " BENCH_CLUSTER " 12");
}

static void a_loss_is_accepted_and_written_down(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    struct resume_order order = accepting();
    halt(bench, 20);
    assert_int_equal(resume_run(bench->conninfo, &plain, &said), STATUS_CONFLICT);
    assert_says(&said, "30 records");
    store_bench_ask(bench, ROW, "20 7 false false false " BENCH_CLUSTER " 12");
    assert_int_equal(resume_run(bench->conninfo, &order, &said), STATUS_OK);
    store_bench_ask(bench, ROW, "50 8 true true true " BENCH_CLUSTER " 12");
    store_bench_ask(bench, LOSSES, "hits 3 20 50 30");
    halt(bench, 1000);
    assert_int_equal(resume_run(bench->conninfo, &order, &said), STATUS_OK);
    store_bench_ask(bench, LOSSES, "hits 3 20 50 30,hits 3 1000 50");
}

static void another_cluster_is_taken_over(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    struct resume_order order = accepting();
    halt(bench, 100);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET cluster_id = 'gone', halted_at = NULL,"
                              " halt_reason = NULL"); /* claims refuse it without a halt in the row */
    assert_int_equal(resume_run(bench->conninfo, &order, &said), STATUS_OK);
    store_bench_ask(bench, ROW, "50 8 true true true " BENCH_CLUSTER " 12");
    struct claim *claim = store_bench_claim(bench, 3);
    assert_int_equal(claim->next_offset, 50);
    claim_free(&claim);
}

static void a_partition_that_nobody_ever_had_is_refused(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    assert_int_equal(resume_run(bench->conninfo, &plain, &said), STATUS_CONFLICT);
    assert_int_equal(resume_run("host=/nonexistent", &plain, &said), STATUS_UNAVAILABLE);
}

static void a_batch_under_way_is_fenced(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    struct claim *claim = store_bench_claim(bench, 3);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET halted_at = now(), halt_reason = 'a test'");
    assert_int_equal(resume_run(bench->conninfo, &plain, &said), STATUS_OK);
    store_bench_add_hit(bench, 3, 1);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
    claim_free(&claim);
}

static bool ask_log_of_locked(void *context, int partition, struct loss_log *log)
{
    struct store_bench *bench = context;
    store_bench_ask(
        bench, "SELECT count(*) FROM (SELECT FROM footfall.partitions FOR UPDATE SKIP LOCKED) AS free", "0");
    return ask_log(NULL, partition, log);
}

/* Else a batch that is stored in between makes the log seem to end too early. */
static void the_log_is_asked_for_when_no_offset_can_move(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    struct resume_order order = accepting();
    order.ask_log = ask_log_of_locked;
    order.context = bench;
    halt(bench, 100);
    assert_int_equal(resume_run(bench->conninfo, &order, &said), STATUS_OK);
    store_bench_ask(bench, LOSSES, "");
}

static bool answer_nothing(void *context, int partition, struct loss_log *log)
{
    (void)context;
    (void)partition;
    (void)log;
    return false;
}

static void a_broker_that_is_silent_changes_nothing(void **state)
{
    struct store_bench *bench = *state;
    struct why said;
    struct resume_order order = accepting();
    order.ask_log = answer_nothing;
    halt(bench, 20);
    assert_int_equal(resume_run(bench->conninfo, &order, &said), STATUS_UNAVAILABLE);
    assert_says(&said, "no broker says where the log of partition 3 begins and ends");
    store_bench_ask(bench, ROW, "20 7 false false false " BENCH_CLUSTER " 12");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bench_set_up, store_bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_all_there_goes_on_where_it_stood),
        cmocka_unit_test(a_lost_beginning_is_counted),
        cmocka_unit_test(a_log_that_ends_too_early_begins_anew),
        cmocka_unit_test(another_cluster_needs_consent_wherever_it_stands),
        cmocka_unit_test(another_number_of_partitions_is_never_accepted),
        cmocka_unit_test(a_log_that_nobody_knows_shows_no_loss),
        TEST(the_row_is_freed_and_taken_from_its_owner),
        TEST(a_loss_is_accepted_and_written_down),
        TEST(another_cluster_is_taken_over),
        TEST(a_partition_that_nobody_ever_had_is_refused),
        TEST(a_batch_under_way_is_fenced),
        TEST(the_log_is_asked_for_when_no_offset_can_move),
        TEST(a_broker_that_is_silent_changes_nothing),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
