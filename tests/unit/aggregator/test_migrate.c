/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/migrate and of the migrations themselves against a real server. */
#include "aggregator/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libpq-fe.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sql/migrations.h"
#include "tests/lib/postgres.h"

struct bench {
    const char *conninfo;
    PGconn *conn;
    struct migrate_report report;
    struct why why;
};

static int newest(void)
{
    return migrations[migration_count - 1].version;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    bench->conninfo = strdup(postgres_make("migrate_test", NULL));
    bench->conn = postgres_connect(bench->conninfo);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    postgres_disconnect(bench->conn);
    postgres_drop("migrate_test");
    free((char *)bench->conninfo);
    free(bench);
    return 0;
}

static enum status migrate(struct bench *bench)
{
    return migrate_run(bench->conninfo, &bench->report, &bench->why);
}

static void assert_ask(struct bench *bench, const char *sql, const char *wanted)
{
    assert_string_equal(postgres_ask(bench->conn, "%s", sql), wanted);
}

static void an_empty_database_gets_everything(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, 0);
    assert_int_equal(bench->report.to_version, newest());
    assert_ask(bench, "SELECT count(*) FROM processed_events", "0");
    assert_ask(bench, "SELECT count(*) FROM footfall.deployment", "1");
}

static void each_file_records_itself(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    char recorded[32];
    snprintf(recorded, sizeof recorded, "%zu", migration_count);
    assert_ask(bench, "SELECT count(*) FROM footfall.migrations", recorded);
    for (size_t i = 0; i < migration_count; i++)
        assert_string_equal(postgres_ask(bench->conn,
                                         "SELECT name FROM footfall.migrations WHERE version = %d",
                                         migrations[i].version),
                            migrations[i].name);
}

static void files_stand_in_order(void **state)
{
    (void)state;
    for (size_t i = 1; i < migration_count; i++)
        assert_true(migrations[i - 1].version < migrations[i].version);
}

static void the_second_run_changes_nothing(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, newest());
    assert_int_equal(bench->report.to_version, newest());
}

static void only_what_is_pending_is_applied(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->conn, "SELECT 1");
    PQclear(PQexec(bench->conn, migrations[0].sql)); /* as by psql -f */
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, 1);
    assert_int_equal(bench->report.to_version, newest());
}

/* Several processes do it at once: every one succeeds. */
static void at_once(struct bench *bench, int (*run)(struct bench *bench))
{
    enum { PROCESSES = 4 };
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(run(bench));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int exit_status;
        assert_int_equal(waitpid(children[i], &exit_status, 0), children[i]);
        assert_int_equal(exit_status, 0);
    }
}

static int run_migrations(struct bench *bench)
{
    return (int)migrate(bench);
}

static void processes_may_migrate_at_once(void **state)
{
    struct bench *bench = *state;
    at_once(bench, run_migrations);
    char recorded[32];
    snprintf(recorded, sizeof recorded, "%zu", migration_count);
    assert_ask(bench, "SELECT count(*) FROM footfall.migrations", recorded);
}

static int make_days(struct bench *bench)
{
    PGconn *conn = postgres_connect(bench->conninfo);
    postgres_do(conn, "SELECT footfall.make_day('2030-01-01')"); /* fills the caches */
    postgres_do(conn, "SELECT footfall.make_day(d::date)"
                      "  FROM generate_series(date '2024-01-01', '2024-01-20', interval '1 day') AS d");
    postgres_disconnect(conn);
    return 0;
}

static void processes_may_make_days_at_once(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    at_once(bench, make_days);
    assert_ask(bench, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'processed_events'::regclass",
               "21");
}

static void foreign_tables_are_refused_with_the_mend(void **state)
{
    struct bench *bench = *state;
    postgres_do(
        bench->conn,
        "CREATE TABLE processed_events (ip varchar); INSERT INTO processed_events VALUES ('1.2.3.4')");
    assert_int_equal(migrate(bench), STATUS_CONFLICT);
    static const char mend[] =
        "ALTER TABLE public.processed_events RENAME TO processed_events_before_footfall;";
    assert_non_null(strstr(bench->why.text, mend));
    assert_ask(bench, "SELECT to_regclass('footfall.migrations') IS NULL", "t");
    postgres_do(bench->conn, "%s", mend);
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_ask(bench, "SELECT ip FROM processed_events_before_footfall", "1.2.3.4");
}

static void all_foreign_tables_are_named(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->conn, "CREATE TABLE processed_events (); CREATE TABLE session_events_aggregated_ip ();"
                             "CREATE VIEW user_agents AS SELECT 1; CREATE TABLE rejected_hits ()");
    assert_int_equal(migrate(bench), STATUS_CONFLICT);
    const char *mends = strstr(bench->why.text, "ALTER TABLE");
    assert_non_null(mends);
    postgres_do(bench->conn, "%s", mends); /* runs as it stands */
    assert_int_equal(migrate(bench), STATUS_OK);
}

static void a_newer_schema_is_refused(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    postgres_do(bench->conn, "INSERT INTO footfall.migrations VALUES (9999, 'from the future')");
    assert_int_equal(migrate(bench), STATUS_CONFLICT);
    assert_non_null(strstr(bench->why.text, "9999"));
}

static void a_newer_schema_that_suits_is_taken(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    postgres_do(bench->conn,
                "INSERT INTO footfall.migrations (version, name, oldest) VALUES (9998, 'adds', %d)",
                newest());
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, 9998);
    assert_int_equal(bench->report.to_version, 9998);
    postgres_do(bench->conn,
                "INSERT INTO footfall.migrations (version, name, oldest) VALUES (9999, 'takes', 9998)");
    assert_int_equal(migrate(bench), STATUS_CONFLICT);
    assert_non_null(strstr(bench->why.text, "for programs that know version 9998"));
}

static void a_failing_file_leaves_those_before_it(void **state)
{
    struct bench *bench = *state;
    postgres_do(
        bench->conn,
        "CREATE SCHEMA footfall; CREATE FUNCTION footfall.grant_rights() RETURNS void LANGUAGE sql AS ''");
    assert_int_equal(migrate(bench), STATUS_CONFLICT);
    assert_non_null(strstr(bench->why.text, "0004_roles does not apply"));
    assert_ask(bench, "SELECT max(version) FROM footfall.migrations", "3");
    postgres_do(bench->conn, "DROP FUNCTION footfall.grant_rights()");
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, 3);
}

/* 0007 alters a table that somebody reads. Nobody waits behind it for longer than its two seconds. */
static void a_lock_that_is_not_to_be_had_is_worth_trying_again(void **state)
{
    struct bench *bench = *state;
    postgres_do(bench->conn, "SELECT 1");
    PQclear(PQexec(bench->conn, migrations[0].sql));
    postgres_do(bench->conn, "BEGIN; LOCK TABLE footfall.partitions IN ACCESS SHARE MODE");
    mono_ms begun = mono_now();
    assert_int_equal(migrate(bench), STATUS_AGAIN);
    assert_true(mono_now().ms - begun.ms >= 2000);
    assert_non_null(strstr(bench->why.text, "0007_halts does not apply"));
    assert_non_null(strstr(bench->why.text, "pg_stat_activity"));
    postgres_do(bench->conn, "COMMIT");
    assert_ask(bench, "SELECT max(version) FROM footfall.migrations", "6");
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(bench->report.from_version, 6);
}

static void nobody_there_is_worth_trying_again(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate_run("host=/nonexistent", &bench->report, &bench->why), STATUS_UNAVAILABLE);
    assert_non_null(strstr(bench->why.text, "/nonexistent"));
}

static void make_roles(struct bench *bench)
{
    postgres_do(
        bench->conn,
        "DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY ARRAY['footfall_writer', 'footfall_reader'] LOOP"
        " IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN"
        " EXECUTE 'CREATE ROLE ' || r || ' NOLOGIN'; END IF; END LOOP;"
        " IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'test_writer') THEN"
        " CREATE ROLE test_writer LOGIN IN ROLE footfall_writer; CREATE ROLE test_reader LOGIN IN ROLE"
        " footfall_reader; CREATE ROLE test_nobody LOGIN; END IF; END $$");
}

static enum status migrate_as(struct bench *bench, const char *role)
{
    char conninfo[1024];
    snprintf(conninfo, sizeof conninfo, "%s user=%s", bench->conninfo, role);
    return migrate_run(conninfo, &bench->report, &bench->why);
}

static void a_role_that_may_not_is_told_so(void **state)
{
    struct bench *bench = *state;
    make_roles(bench);
    assert_int_equal(migrate_as(bench, "test_writer"), STATUS_DENIED);
    assert_non_null(strstr(bench->why.text, "owner_conninfo"));
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_int_equal(migrate_as(bench, "test_writer"), STATUS_OK);
    assert_int_equal(migrate_as(bench, "test_reader"), STATUS_OK);
    assert_int_equal(migrate_as(bench, "test_nobody"), STATUS_DENIED);
}

/* What a role may do, tried: "" or the SQLSTATE. */
static void assert_may(struct bench *bench, const char *role, const char *sql, bool may)
{
    postgres_do(bench->conn, "SET ROLE %s", role);
    PGresult *result = PQexec(bench->conn, sql);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (may)
        assert_null(sqlstate);
    else
        assert_string_equal(sqlstate, "42501");
    PQclear(result);
    postgres_do(bench->conn, "RESET ROLE");
}

static void roles_may_what_they_need_and_no_more(void **state)
{
    struct bench *bench = *state;
    make_roles(bench);
    assert_int_equal(migrate(bench), STATUS_OK);
    static const struct {
        const char *sql;
        bool writer, reader;
    } table[] = {
        {"SELECT * FROM processed_events", true, true},
        {"SELECT * FROM footfall.open_sessions", true, true},
        {"SELECT footfall.make_day('2031-05-05')", true, false},
        {"SELECT footfall.make_day_ahead('2031-05-06')", true, false},
        {"INSERT INTO processed_events (event_timestamp) VALUES ('2031-05-05')", true, false},
        {"UPDATE processed_events SET ip = ''", false, false},
        {"DELETE FROM processed_events", false, false},
        {"DELETE FROM session_events_aggregated_ip", true, false},
        {"INSERT INTO footfall.partitions VALUES ('t', 1, -2) ON CONFLICT DO NOTHING", true, false},
        {"SELECT * FROM footfall.partitions FOR UPDATE", true, false},
        {"DELETE FROM footfall.partitions", false, false},
        {"DELETE FROM footfall.received", true, false},
        {"DELETE FROM footfall.audit", true, false},
        {"DELETE FROM rejected_hits", true, false},
        {"DELETE FROM footfall.losses", false, false},
        {"INSERT INTO footfall.migrations VALUES (99, 'x')", false, false},
        {"SELECT footfall.grant_rights()", false, false},
        {"SELECT * FROM traffic_by_hour, pages_by_day, referrers_by_day", true, true},
        {"SELECT footfall.fold_rollups(10)", true, false},
        {"DELETE FROM footfall.folded_traffic", true, false},
        {"TRUNCATE footfall.folded_traffic", false, false},
        {"TRUNCATE processed_events", false, false},
        {"SELECT footfall.drop_day('2031-05-05')", true, false},
        {"SELECT footfall.drop_sessions('2031-05-05', '-infinity', 1)", true, false},
        {"SELECT footfall.drop_rejects('2031-05-05', 1)", true, false},
        {"DELETE FROM footfall.dropped_days", false, false},
        {"CREATE TABLE public.mine ()", false, false},
        {"CREATE TABLE footfall.mine ()", false, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_may(bench, "test_writer", table[i].sql, table[i].writer);
        assert_may(bench, "test_reader", table[i].sql, table[i].reader);
        assert_may(bench, "test_nobody", table[i].sql, false);
    }
}

static void every_relation_has_its_rights(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_ask(
        bench,
        "SELECT string_agg(relname, ' ') FROM pg_class"
        " WHERE relnamespace IN ('public'::regnamespace, 'footfall'::regnamespace) AND relkind IN ('r', 'p', "
        "'v')"
        "   AND oid NOT IN (SELECT relation::regclass FROM footfall.rights WHERE role = 'footfall_reader')",
        "");
}

static void days_are_made_once_each(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    assert_ask(bench, "SELECT footfall.make_day('2024-02-29')", "t");
    assert_ask(bench, "SELECT footfall.make_day('2024-02-29')", "f");
    postgres_do(bench->conn,
                "INSERT INTO processed_events (event_timestamp) VALUES ('2024-02-29 00:00:00.000'),"
                " ('2024-02-29 23:59:59.999')");
    assert_ask(bench, "SELECT count(*) FROM processed_events_20240229", "2");
    assert_ask(bench, "SELECT count(*) FROM pg_index WHERE indrelid = 'processed_events_20240229'::regclass",
               "1");
}

/* While it waited it would hold the table, which who makes an old day wants next. */
static void a_day_ahead_waits_for_nobody(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(migrate(bench), STATUS_OK);
    PGconn *maker = postgres_connect(bench->conninfo);
    postgres_do(maker, "BEGIN; SELECT pg_advisory_xact_lock(1181708148, 2)");
    postgres_do(bench->conn, "SET statement_timeout = '1500ms'");
    assert_ask(bench, "SELECT footfall.make_day_ahead('2031-05-05')", "f");
    postgres_do(maker, "ROLLBACK");
    assert_ask(bench, "SELECT footfall.make_day_ahead('2031-05-05')", "t");
    postgres_disconnect(maker);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_stand_in_order),
        TEST(an_empty_database_gets_everything),
        TEST(each_file_records_itself),
        TEST(the_second_run_changes_nothing),
        TEST(only_what_is_pending_is_applied),
        TEST(processes_may_migrate_at_once),
        TEST(processes_may_make_days_at_once),
        TEST(foreign_tables_are_refused_with_the_mend),
        TEST(all_foreign_tables_are_named),
        TEST(a_newer_schema_is_refused),
        TEST(a_failing_file_leaves_those_before_it),
        TEST(nobody_there_is_worth_trying_again),
        TEST(a_lock_that_is_not_to_be_had_is_worth_trying_again),
        TEST(a_newer_schema_that_suits_is_taken),
        TEST(a_role_that_may_not_is_told_so),
        TEST(roles_may_what_they_need_and_no_more),
        TEST(every_relation_has_its_rights),
        TEST(days_are_made_once_each),
        TEST(a_day_ahead_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
