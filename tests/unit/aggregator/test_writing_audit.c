/* SPDX-License-Identifier: Apache-2.0
 * Tests of the audit of streams through store_write, against a real server: what control records leave
 * behind, what the next claim finds, and that they decide nothing about hits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/choice.h"
#include "tests/unit/aggregator/store_bench.h"

enum { PARTITION = 3 };
#define STREAM "07000000000000000000000000000000-3" /* of the bench's hits */

static const struct hit_stream stream = {.boot = {{7}}, .partition = PARTITION};

static void say(struct store_bench *bench, int64_t offset, const struct control *control)
{
    struct batch_position at = {PARTITION, offset, {1738470000000 + offset}};
    batch_pass(bench->batch, &at);
    batch_note_control(bench->batch, &at, control);
}

static void say_end(struct store_bench *bench, int64_t offset, int64_t last)
{
    say(bench, offset, &(struct control){.kind = CONTROL_FIN, .stream = stream, .last = last});
}

static void say_skip(struct store_bench *bench, int64_t offset, int64_t from, int64_t to)
{
    say(bench, offset,
        &(struct control){
            .kind = CONTROL_SKIP, .stream = stream, .from = from, .last = to, .reason = SLICE("refused")});
}

/* The hits that have these numbers. */
static void add_hits(struct store_bench *bench, int64_t from, int64_t to)
{
    for (int64_t seq = from; seq <= to; seq++)
        store_bench_add_hit(bench, PARTITION, seq - 1);
}

static void write_batch(struct store_bench *bench, struct claim **claim)
{
    assert_int_equal(store_bench_write(bench, claim, 1), STORE_DONE);
    batch_clear(bench->batch);
}

static void ask_audit(struct store_bench *bench, const char *wanted)
{
    store_bench_ask(
        bench, "SELECT concat_ws(' ', stream, last, skipped, missing, reason) FROM footfall.audit", wanted);
}

static void ask_view(struct store_bench *bench, const char *wanted)
{
    store_bench_ask(
        bench,
        "SELECT concat_ws(' ', topic, partition, stream, received, skipped, coalesce(last::text, '-'),"
        "                 coalesce(missing::text, '-'), holes) FROM footfall.streams",
        wanted);
}

static void a_stream_without_a_word_is_in_the_view_alone(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 1, 10);
    write_batch(bench, &claim);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.audit", "0");
    ask_view(bench, "hits 3 " STREAM " 10 0 - -");
    claim_free(&claim);
}

static void a_whole_stream_leaves_no_hole(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 1, 10);
    say_end(bench, 200, 10);
    write_batch(bench, &claim);
    ask_audit(bench, STREAM " 10 {} 0");
    ask_view(bench, "hits 3 " STREAM " 10 0 10 0 {}");
    store_bench_ask(bench, "SELECT ended_at = timestamp '2025-02-02 04:20:00.2' FROM footfall.audit", "t");
    store_bench_ask(bench, "SELECT next_offset FROM footfall.partitions", "201");
    assert_int_equal(claim->holes.count, 0);
    assert_int_equal(claim->log_time.ms, 1738470000200);
    claim_free(&claim);
}

static void an_end_may_be_all_that_comes(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    say_end(bench, 200, 0);
    write_batch(bench, &claim);
    ask_view(bench, "hits 3 " STREAM " 0 0 0 0 {}");
    say_end(bench, 201, 4);
    write_batch(bench, &claim);
    ask_view(bench, "hits 3 " STREAM " 0 0 4 4 {[1,5)}");
    assert_int_equal(claim->holes.count, 1);
    claim_free(&claim);
}

static void a_hole_is_kept_and_found_by_the_next_claim(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 1, 3);
    add_hits(bench, 9, 10);
    say_skip(bench, 200, 6, 6);
    say_end(bench, 201, 10);
    say_end(bench, 202, 8); /* again, and it knew less */
    write_batch(bench, &claim);
    ask_audit(bench, STREAM " 10 {[6,7)} 4 refused");
    ask_view(bench, "hits 3 " STREAM " 5 1 10 4 {[4,6),[7,9)}");
    claim_free(&claim);

    claim = store_bench_claim(bench, PARTITION);
    assert_int_equal(claim->holes.count, 1);
    const struct hole *hole = &claim->holes.at[0];
    assert_true(uuid_equals(hole->stream.boot, stream.boot) && hole->stream.partition == PARTITION);
    assert_int_equal(hole->last, 10);
    assert_int_equal(hole->missing.count, 4);
    assert_int_equal(hole->missing.first.from, 4);
    assert_int_equal(hole->missing.first.to, 5);
    assert_int_equal(hole->ended.ms, 1738470000201);
    assert_true(hole->is_overdue);

    add_hits(bench, 4, 5); /* the new owner has to ask what was said of the stream */
    write_batch(bench, &claim);
    ask_audit(bench, STREAM " 10 {[6,7)} 2 refused");
    assert_int_equal(claim->holes.at[0].missing.count, 2);
    say_skip(bench, 300, 7, 8);
    write_batch(bench, &claim);
    ask_audit(bench, STREAM " 10 {[6,9)} 0 refused");
    assert_int_equal(claim->holes.count, 0);
    claim_free(&claim);
    claim = store_bench_claim(bench, PARTITION);
    assert_int_equal(claim->holes.count, 0);
    claim_free(&claim);
}

/* A collector may take a hit for lost that arrives all the same. */
static void a_skipped_number_that_comes_is_a_hit(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    say_skip(bench, 200, 1, 10);
    say_end(bench, 201, 10);
    write_batch(bench, &claim);
    add_hits(bench, 4, 6);
    write_batch(bench, &claim);
    ask_audit(bench, STREAM " 10 {[1,11)} 0 refused"); /* the reason's memory was that of the batch before */
    claim_free(&claim);
    claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 5, 8);
    say_skip(bench, 300, 6, 6);
    write_batch(bench, &claim);
    assert_int_equal(merge_output(bench->merge)->new_hit_count, 2);
    store_bench_ask(bench, "SELECT count(*) FROM processed_events", "5");
    store_bench_ask(bench, "SELECT ranges FROM footfall.received", "{[4,9)}");
    ask_view(bench, "hits 3 " STREAM " 5 10 10 0 {}");
    claim_free(&claim);
}

static void what_was_not_committed_was_not_said(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    postgres_do(bench->admin, "UPDATE footfall.partitions SET version = version + 1");
    add_hits(bench, 1, 3);
    say_end(bench, 200, 9);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_FENCED);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.streams", "0");
    claim_free(&claim);
}

static void sayings_that_cannot_be_read_halt(void **state)
{
    struct store_bench *bench = *state;
    postgres_do(bench->admin, "INSERT INTO footfall.audit (topic, partition, stream, skipped)"
                              " VALUES ('hits', 3, '" STREAM "', '{(,)}')");
    struct claim *claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 1, 3);
    assert_int_equal(store_bench_write(bench, &claim, 1), STORE_HALT);
    assert_int_equal(bench->result.partition, PARTITION);
    assert_non_null(strstr(bench->result.reason, "footfall.audit"));
    claim_free(&claim);
    postgres_do(bench->admin,
                "UPDATE footfall.audit SET skipped = '{}', last = 5, missing = 5, ended_at = now(),"
                " stream = 'none'");
    assert_null(store_bench_claim(bench, PARTITION));
    assert_int_equal(bench->result.outcome, STORE_HALT);
}

/* The one statement that operations.md gives to settle it by hand. */
static void a_hole_is_given_up_by_hand(void **state)
{
    struct store_bench *bench = *state;
    struct claim *claim = store_bench_claim(bench, PARTITION);
    add_hits(bench, 1, 3);
    say_end(bench, 200, 9);
    write_batch(bench, &claim);
    claim_free(&claim);
    postgres_do(bench->admin, "UPDATE footfall.audit SET skipped = audit.skipped + holes, missing = 0"
                              "  FROM footfall.streams WHERE streams.stream = '" STREAM "'"
                              "   AND (audit.topic, audit.partition, audit.stream)"
                              "     = (streams.topic, streams.partition, streams.stream)");
    ask_view(bench, "hits 3 " STREAM " 3 6 9 0 {}");
    claim = store_bench_claim(bench, PARTITION);
    assert_int_equal(claim->holes.count, 0);
    claim_free(&claim);
}

/* ---- Against the server's own arithmetic ---- */

static void add_something(struct store_bench *bench, struct choice *choice, int64_t offset)
{
    int64_t seq = 1 + (int64_t)choice_below(choice, 40);
    switch (choice_below(choice, 6)) {
    case 0:
        say_end(bench, offset, (int64_t)choice_below(choice, 41));
        break;
    case 1:
        say_skip(bench, offset, seq, seq + (int64_t)choice_below(choice, 4));
        break;
    default:
        add_hits(bench, seq, seq + (int64_t)choice_below(choice, 5));
    }
}

static void check_world(struct store_bench *bench, const struct claim *claim)
{
    char holes[32];
    snprintf(holes, sizeof holes, "%zu", claim->holes.count);
    store_bench_ask(bench, "SELECT count(*) FROM footfall.audit WHERE missing > 0", holes);
    store_bench_ask(
        bench,
        "SELECT count(*) FROM footfall.audit JOIN footfall.streams USING (topic, partition, stream)"
        " WHERE audit.missing IS DISTINCT FROM streams.missing",
        "0");
    if (claim->holes.count == 0)
        return;
    const struct audit_missing *missing = &claim->holes.at[0].missing;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%lld %lld %lld", (long long)missing->count,
             (long long)missing->first.from, (long long)missing->first.to + 1);
    store_bench_ask(
        bench,
        "SELECT concat_ws(' ', missing, lower(holes), (SELECT upper(hole) FROM unnest(holes) AS hole"
        " LIMIT 1)) FROM footfall.streams",
        wanted);
}

static void the_account_is_that_of_the_server(void **state)
{
    struct store_bench *bench = *state;
    int hole_count = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct choice choice = choice_seeded(seed);
        struct claim *claim = store_bench_claim(bench, PARTITION);
        for (int round = 0; round < 12; round++) {
            for (int i = 0; i < 3; i++)
                add_something(bench, &choice, 1000 + round);
            write_batch(bench, &claim);
            if (choice_one_in(&choice, 4)) { /* the same from what is stored */
                claim_free(&claim);
                claim = store_bench_claim(bench, PARTITION);
            }
            hole_count += claim->holes.count > 0;
            check_world(bench, claim);
        }
        claim_free(&claim);
        postgres_do(bench->admin, "TRUNCATE footfall.received, footfall.audit");
    }
    assert_true(hole_count > 20);
}

int main(void)
{
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, store_bench_set_up, store_bench_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_stream_without_a_word_is_in_the_view_alone),
        WITH_BENCH(a_whole_stream_leaves_no_hole),
        WITH_BENCH(an_end_may_be_all_that_comes),
        WITH_BENCH(a_hole_is_kept_and_found_by_the_next_claim),
        WITH_BENCH(a_skipped_number_that_comes_is_a_hit),
        WITH_BENCH(what_was_not_committed_was_not_said),
        WITH_BENCH(sayings_that_cannot_be_read_halt),
        WITH_BENCH(a_hole_is_given_up_by_hand),
        WITH_BENCH(the_account_is_that_of_the_server),
    };
    return cmocka_run_group_tests(tests, store_bench_make_template, NULL);
}
