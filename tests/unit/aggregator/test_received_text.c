/* SPDX-License-Identifier: Apache-2.0
 * Tests of the text of aggregator/received against a real server: both write the same, each reads the
 * other's. */
#include "aggregator/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/lib/choice.h"
#include "tests/lib/postgres.h"

enum { COUNT = 60, MAX_SQL_BYTES = 4000 /* what postgres_ask takes */ };

static struct pg_conn *server;

static int connect_server(void **state)
{
    (void)state;
    server = postgres_connect(postgres_make("received_text", NULL));
    return 0;
}

static int disconnect_server(void **state)
{
    (void)state;
    postgres_disconnect(server);
    postgres_drop("received_text");
    return 0;
}

/* Random numbers into the set, and as the members of an SQL array. */
static void fill(struct choice *choice, struct received *set, struct buf *members)
{
    int64_t base = choice_one_in(choice, 2) ? 0 : RECEIVED_MAX_SEQ - 2 * COUNT;
    for (size_t i = choice_below(choice, COUNT); i > 0; i--) {
        int64_t seq = base + 1 + (int64_t)choice_below(choice, 2 * COUNT);
        if (received_add(set, seq) == STATUS_OK)
            buf_add_format(members, "%s%lld", members->len > 0 ? "," : "", (long long)seq);
    }
    buf_add_char(members, '\0');
}

static void the_server_writes_the_same(void **state)
{
    (void)state;
    static char member_bytes[MAX_SQL_BYTES];
    static char text_bytes[MAX_SQL_BYTES];
    struct choice choice = choice_seeded(11);
    for (int round = 0; round < 100; round++) {
        struct received set = {.count = 0};
        struct buf members, text;
        buf_init(&members, member_bytes, sizeof member_bytes);
        buf_init(&text, text_bytes, sizeof text_bytes);
        fill(&choice, &set, &members);
        received_write(&set, &text);
        buf_add_char(&text, '\0');
        assert_string_equal(postgres_ask(server,
                                         "SELECT coalesce(range_agg(int8range(n, n + 1)), '{}')::text"
                                         "  FROM unnest('{%s}'::int8[]) AS n",
                                         members.data),
                            text.data);
        assert_string_equal(postgres_ask(server, "SELECT '%s'::int8multirange::text", text.data), text.data);
        received_fini(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_server_writes_the_same)};
    return cmocka_run_group_tests(tests, connect_server, disconnect_server);
}
