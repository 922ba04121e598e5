/* SPDX-License-Identifier: Apache-2.0
 * Tests of aggregator/row against a real server: what it writes by COPY … TO STDOUT (FORMAT binary) is what
 * we encode, for each type and for whole rows of our tables. */
#include "aggregator/row.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aggregator/migrate.h"
#include "tests/lib/postgres.h"

enum { GAP_MS = 300000, OUT_BYTES = 256 * 1024 };

struct bench {
    PGconn *conn;
    struct buf ours;
    struct buf theirs;
};

static int set_up(void **state)
{
    struct bench *bench = must_calloc(1, sizeof *bench);
    struct migrate_report report;
    struct why why;
    const char *conninfo = postgres_make("row_test", NULL);
    if (migrate_run(conninfo, &report, &why) != STATUS_OK)
        return -1;
    bench->conn = postgres_connect(postgres_make("row_test_copy", "row_test"));
    postgres_do(bench->conn, "SELECT footfall.make_day('2025-02-02')");
    buf_init_growing(&bench->ours, 1024, OUT_BYTES);
    buf_init_growing(&bench->theirs, 1024, OUT_BYTES);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    buf_fini(&bench->ours);
    buf_fini(&bench->theirs);
    postgres_disconnect(bench->conn);
    postgres_drop("row_test_copy");
    postgres_drop("row_test");
    free(bench);
    return 0;
}

static void copy_out(struct bench *bench, const char *sql)
{
    PGresult *result = PQexec(bench->conn, sql);
    if (PQresultStatus(result) != PGRES_COPY_OUT)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    char *piece;
    int len;
    buf_clear(&bench->theirs);
    while ((len = PQgetCopyData(bench->conn, &piece, 0)) > 0) {
        buf_add_bytes(&bench->theirs, piece, (size_t)len);
        PQfreemem(piece);
    }
    assert_int_equal(len, -1);
    PQclear(PQgetResult(bench->conn));
    assert_null(PQgetResult(bench->conn));
}

static void copy_in(struct bench *bench, const char *sql)
{
    PGresult *result = PQexec(bench->conn, sql);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    assert_int_equal(PQputCopyData(bench->conn, bench->ours.data, (int)bench->ours.len), 1);
    assert_int_equal(PQputCopyEnd(bench->conn, NULL), 1);
    result = PQgetResult(bench->conn);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    PQclear(result);
    assert_null(PQgetResult(bench->conn));
}

static void assert_same_bytes(const struct bench *bench)
{
    assert_false(bench->ours.overflowed);
    assert_int_equal(bench->ours.len, bench->theirs.len);
    assert_memory_equal(bench->ours.data, bench->theirs.data, bench->ours.len);
}

static void ask(struct bench *bench, const char *sql, const char *wanted)
{
    assert_string_equal(postgres_ask(bench->conn, "%s", sql), wanted);
}

/* ---- Types ---- */

static void each_type_has_the_bytes_of_the_server(void **state)
{
    struct bench *bench = *state;
    struct buf *out = &bench->ours;
    buf_clear(out);
    row_add_header(out);
    row_begin(out, 19);
    row_add_null(out);
    row_add_text(out, SLICE(""));
    row_add_text(out, SLICE("ünïcode \xf0\x9f\x90\xbe"));
    row_add_text_or_null(out, SLICE(""));
    row_add_text_or_null(out, SLICE("x"));
    row_add_int16(out, INT16_MIN);
    row_add_int16(out, 258);
    row_add_int32(out, INT32_MIN);
    row_add_int32(out, 16909060);
    row_add_int64(out, INT64_MIN);
    row_add_int64(out, INT64_C(72623859790382856));
    row_add_real(out, 12.9716f);
    row_add_real(out, -0.25f);
    row_add_timestamp(out, (wall_ms){0});
    row_add_timestamp(out, (wall_ms){1738470000123});
    row_add_timestamp(out, (wall_ms){INT64_C(253402300799999)});
    row_add_timestamp(out, (wall_ms){INT64_C(-62135596800001)});
    row_add_uuid(out, (uuid){{0x01, 0x94, 0xc5, [14] = 0xfe, [15] = 0xff}});
    row_add_bytes(out, (slice){"\0\xff{", 3});
    row_add_trailer(out);
    copy_out(bench,
             "COPY (SELECT NULL::int4, ''::varchar, 'ünïcode 🐾'::varchar, NULL::varchar, 'x'::varchar,"
             " (-32768)::int2, 258::int2, (-2147483648)::int4, 16909060, (-9223372036854775808)::int8,"
             " 72623859790382856, 12.9716::real, (-0.25)::real, timestamp(3) '1970-01-01',"
             " timestamp(3) '2025-02-02 04:20:00.123', timestamp(3) '9999-12-31 23:59:59.999',"
             " timestamp(3) '0001-12-31 23:59:59.999 BC',"
             " uuid '0194c500-0000-0000-0000-00000000feff', '\\x00ff7b'::bytea) TO STDOUT (FORMAT binary)");
    assert_same_bytes(bench);
}

static void a_time_survives_the_way_there_and_back(void **state)
{
    (void)state;
    static const int64_t times[] = {
        0, -1, 1, 946684800000, 946684799999, SESSION_MIN_TIME_MS, SESSION_MAX_TIME_MS};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_int_equal(row_time(row_timestamp((wall_ms){times[i]})).ms, times[i]);
}

/* ---- Rows: what we give comes back as the same bytes ---- */

static void assert_comes_back(struct bench *bench, const char *copy_in_sql, const char *copy_out_sql)
{
    row_add_trailer(&bench->ours);
    copy_in(bench, copy_in_sql);
    copy_out(bench, copy_out_sql);
    assert_same_bytes(bench);
}

#define HIT_COLUMNS                                                                                          \
    "processed_events (ip, event_timestamp, referrer, host, url, geodata, hit_id, user_agent_id, source,"    \
    " country, state, city, latitude, longitude, geo_source, flags, received_at, kafka_partition, "          \
    "kafka_offset)"

#define TEXT(literal)                                                                                        \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static const struct hit full_hit = {
    .url = TEXT("https://example.com/a"),
    .referrer = TEXT("https://search.example/"),
    .user_agent = TEXT("a browser"),
    .ip = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
    .host = TEXT("example.com"),
    .event_time = {1738470000123},
    .id = {{0xab, [15] = 1}},
    .has_id = true,
    .source = HIT_PIXEL,
    .received_time = {1738470000456},
    .has_received_time = true,
    .flags = HIT_FLAG_BOT_AGENT | HIT_FLAG_PRIVACY,
};

static const struct place full_place = {
    .country = TEXT("IN"),
    .state = TEXT("Karnataka"),
    .city = TEXT("Bengaluru"),
    .latitude = 12.9716f,
    .longitude = 77.5946f,
    .has_coordinates = true,
    .source = GEO_MMDB,
    .geodata = TEXT("{\"country\": \"IN\", \"state\": \"Karnataka\", \"city\": \"Bengaluru\"}"),
};

static void hits_come_back(void **state)
{
    struct bench *bench = *state;
    struct batch_position at = {11, INT64_C(1) << 40, {0}};
    struct hit bare_hit = {.event_time = {1738470000124}, .source = HIT_OTHER};
    bare_hit.ip.bytes[10] = bare_hit.ip.bytes[11] = 0xff;
    struct place nowhere = {.source = GEO_NONE, .geodata = SLICE("{}")};
    buf_clear(&bench->ours);
    row_add_header(&bench->ours);
    row_add_hit(&bench->ours, &at, &full_hit, &full_place, -5);
    row_add_hit(&bench->ours, &at, &bare_hit, &nowhere, -5);
    assert_comes_back(bench, "COPY " HIT_COLUMNS " FROM STDIN (FORMAT binary)",
                      "COPY (SELECT * FROM processed_events ORDER BY event_timestamp)"
                      " TO STDOUT (FORMAT binary)");
    ask(bench,
        "SELECT concat_ws(' ', ip, event_timestamp, referrer, host, url, hit_id, user_agent_id, source, "
        "country,"
        " state, city, latitude, longitude, geo_source, flags, received_at, kafka_partition, kafka_offset)"
        " FROM processed_events ORDER BY event_timestamp LIMIT 1",
        "2001:db8::1 2025-02-02 04:20:00.123 https://search.example/ example.com https://example.com/a"
        " ab000000-0000-0000-0000-000000000001 -5 pixel IN Karnataka Bengaluru 12.9716 77.5946 mmdb 17"
        " 2025-02-02 04:20:00.456 11 1099511627776");
    ask(bench, "SELECT geodata::json ->> 'city' FROM processed_events ORDER BY event_timestamp LIMIT 1",
        "Bengaluru");
    /* What was not there: empty in the old columns, NULL in ours. */
    ask(bench,
        "SELECT ip || (referrer = '')::text || (geodata = '{}')::text || source || geo_source || num_nulls("
        " hit_id, user_agent_id, country, state, city, latitude, longitude, received_at)"
        " FROM processed_events ORDER BY event_timestamp DESC LIMIT 1",
        "0.0.0.0truetrueothernone8");
}

static const struct session full_session = {
    .ip = {{[10] = 0xff, [11] = 0xff, [12] = 203, [13] = 0, [14] = 113, [15] = 7}},
    .host = TEXT("example.com"),
    .start = {1738470000123},
    .last = {1738470001000},
    .events = SESSION_MAX_EVENTS,
    .bot_events = 3,
    .entry_url = TEXT("/entry"),
    .referrer = TEXT("/referrer"),
    .country = TEXT("IN"),
    .state = TEXT("Karnataka"),
    .city = TEXT("Bengaluru"),
    .exit_url = TEXT("/exit"),
};

static struct session bare_session(void)
{
    return (struct session){.ip = full_session.ip,
                            .host = full_session.host,
                            .start = {1738470000124},
                            .last = {1738470000124},
                            .events = 1};
}

static void closed_sessions_come_back(void **state)
{
    struct bench *bench = *state;
    struct session bare = bare_session();
    buf_clear(&bench->ours);
    row_add_header(&bench->ours);
    row_add_session(&bench->ours, &full_session, GAP_MS);
    row_add_session(&bench->ours, &bare, GAP_MS);
    assert_comes_back(bench, "COPY session_events_aggregated_ip FROM STDIN (FORMAT binary)",
                      "COPY (SELECT * FROM session_events_aggregated_ip ORDER BY start_session)"
                      " TO STDOUT (FORMAT binary)");
    ask(bench, "SELECT s::text FROM session_events_aggregated_ip s WHERE web_events > 1",
        "(\"2025-02-02 04:20:00.123\",\"2025-02-02 04:25:01\",203.0.113.7,example.com,1099511627775,"
        "\"2025-02-02 04:20:01\",3,/entry,/referrer,/exit,IN,Karnataka,Bengaluru)");
    ask(bench,
        "SELECT num_nulls(entry_url, referrer, exit_url, country, state, city)"
        "  FROM session_events_aggregated_ip WHERE web_events = 1",
        "6");
}

static void parts_of_sessions_come_back(void **state)
{
    struct bench *bench = *state;
    struct session bare = bare_session();
    const struct session *parts[] = {&full_session, &bare};
    buf_clear(&bench->ours);
    row_add_header(&bench->ours);
    for (size_t i = 0; i < 2; i++) {
        row_begin(&bench->ours, 2 + ROW_SESSION_PART_FIELDS);
        row_add_text(&bench->ours, SLICE("hits"));
        row_add_int32(&bench->ours, 5);
        row_add_session_part(&bench->ours, parts[i]);
    }
    assert_comes_back(bench, "COPY footfall.strays FROM STDIN (FORMAT binary)",
                      "COPY (SELECT * FROM footfall.strays ORDER BY start_hit) TO STDOUT (FORMAT binary)");
    ask(bench, "SELECT s::text FROM footfall.strays s WHERE events > 1",
        "(hits,5,203.0.113.7,example.com,\"2025-02-02 04:20:00.123\",\"2025-02-02 04:20:01\",1099511627775,3,"
        "/entry,/referrer,IN,Karnataka,Bengaluru,/exit)");
}

static void an_overflow_is_remembered(void **state)
{
    (void)state;
    char memory[16];
    struct buf out;
    buf_init(&out, memory, sizeof memory);
    row_begin(&out, 2);
    row_add_int64(&out, 1);
    assert_false(out.overflowed);
    row_add_text(&out, SLICE("xyz"));
    row_add_null(&out);
    assert_true(out.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_the_bytes_of_the_server),
        cmocka_unit_test(a_time_survives_the_way_there_and_back),
        cmocka_unit_test(hits_come_back),
        cmocka_unit_test(closed_sessions_come_back),
        cmocka_unit_test(parts_of_sessions_come_back),
        cmocka_unit_test(an_overflow_is_remembered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
