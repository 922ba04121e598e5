/* SPDX-License-Identifier: Apache-2.0
 * database_bench: see the header. */
#include "tests/unit/aggregator/database_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void database_bench_on_reply(void *context, const struct database_reply *reply)
{
    struct database_bench *bench = context;
    bench->replies++;
    bench->outcome = reply->outcome;
    bench->names_constraint = reply->names_constraint;
    memcpy(bench->sqlstate, reply->sqlstate, sizeof bench->sqlstate);
    snprintf(bench->message, sizeof bench->message, "%.*s", SLICE_ARGS(reply->message));
    bench->value[0] = bench->command[0] = '\0';
    assert_int_equal(reply->result != NULL, reply->outcome == DATABASE_OK);
    if (reply->result == NULL)
        return;
    snprintf(bench->command, sizeof bench->command, "%s", PQcmdStatus((PGresult *)reply->result));
    if (PQntuples(reply->result) > 0)
        memcpy(bench->value, PQgetvalue(reply->result, 0, 0), (size_t)PQgetlength(reply->result, 0, 0) + 1);
}

void database_bench_wait(struct database_bench *bench)
{
    int before = bench->replies;
    while (bench->replies == before)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->replies, before + 1);
}

enum database_outcome database_bench_run(struct database_bench *bench, const char *sql)
{
    struct database_statement statement = {.sql = sql};
    int before = bench->replies;
    database_query(bench->database, &statement, database_bench_on_reply, bench);
    assert_int_equal(bench->replies, before); /* never before the call returns */
    database_bench_wait(bench);
    return bench->outcome;
}

enum database_outcome database_bench_copy(struct database_bench *bench, const char *sql, const slice *pieces,
                                          size_t count)
{
    struct database_copy data = {.sql = sql, .pieces = pieces, .piece_count = count};
    database_copy(bench->database, &data, database_bench_on_reply, bench);
    database_bench_wait(bench);
    return bench->outcome;
}

enum database_outcome database_bench_open(struct database_bench *bench)
{
    database_open(bench->database, database_bench_on_reply, bench);
    database_bench_wait(bench);
    return bench->outcome;
}

void database_bench_start(struct database_bench *bench, const char *conninfo)
{
    *bench = (struct database_bench){.replies = 0};
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    bench->database = database_new(&bench->loop, conninfo);
}

int database_bench_set_up(void **state)
{
    struct database_bench *bench = malloc(sizeof *bench);
    database_bench_start(bench, getenv("FOOTFALL_TEST_CONNINFO"));
    bench->admin = postgres_connect(getenv("FOOTFALL_TEST_CONNINFO"));
    assert_int_equal(database_bench_open(bench), DATABASE_OK);
    *state = bench;
    return 0;
}

static void note_closed(void *context)
{
    *(bool *)context = true;
}

void database_bench_stop(struct database_bench *bench)
{
    bool is_closed = false;
    database_close(&bench->database, note_closed, &is_closed);
    assert_null(bench->database);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

int database_bench_tear_down(void **state)
{
    struct database_bench *bench = *state;
    database_bench_stop(bench);
    postgres_disconnect(bench->admin);
    free(bench);
    return 0;
}

void database_bench_end_backend(struct database_bench *bench)
{
    postgres_do(bench->admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                              " WHERE application_name = 'footfall-aggregator'");
}
