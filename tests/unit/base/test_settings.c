/* SPDX-License-Identifier: Apache-2.0
 * Tests of base/settings: precedence, each sentence of error, and that what is printed loads again. */
#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct values {
    const char *listen;
    const char *hosts;
    const char *brokers;
    const char *password;
    bool reuse_port;
    int64_t partitions;
    int64_t idle_ms;
    int64_t max_bytes;
    int64_t offset;
    int ack;
};

#define AT(member) offsetof(struct values, member)

static const struct setting_row rows[] = {
    {"http", "listen", SETTING_LISTEN, AT(listen), "127.0.0.1:7110", 0, 0, NULL, "Where beacons arrive."},
    {"http", "reuse_port", SETTING_BOOL, AT(reuse_port), "false", 0, 0, NULL, "Several processes on a port."},
    {"http", "idle", SETTING_DURATION, AT(idle_ms), "15s", 1000, 3600000, NULL,
     "Idle connections live so long."},
    {"sites", "hosts", SETTING_LIST, AT(hosts), "", 0, 9000, NULL, "Hosts that are counted."},
    {"kafka", "brokers", SETTING_TEXT, AT(brokers), "localhost:9092", 1, 64, NULL, "First brokers to ask."},
    {"kafka", "password", SETTING_SECRET, AT(password), "", 0, 0, NULL, "For the brokers."},
    {"kafka", "partitions", SETTING_INT, AT(partitions), "12", 1, 1024, NULL, "Of the topic."},
    {"kafka", "off-set.at", SETTING_INT, AT(offset), "-5", -10, 10, NULL, "A name with signs."},
    {"journal", "max_bytes", SETTING_SIZE, AT(max_bytes), "8GiB", 0, 0, NULL, "Space on the disk."},
    {"journal", "ack", SETTING_CHOICE, AT(ack), "disk", 0, 0, "disk|os|kafka|memory", "When 2xx is sent."},
};

struct world {
    struct values values;
    struct settings *settings;
    struct why why;
    char path[64];
};

static int start(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    world.settings = settings_new(rows, sizeof(rows) / sizeof(rows[0]), &world.values, "rdkafka");
    strcpy(world.path, "/tmp/footfall-settings-XXXXXX");
    int fd = mkstemp(world.path);
    assert_true(fd >= 0);
    close(fd);
    *state = &world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    unlink(world->path);
    settings_free(&world->settings);
    assert_null(world->settings);
    settings_free(&world->settings);
    return 0;
}

static enum status read_text(struct world *world, slice text)
{
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    fclose(file);
    return settings_read_file(world->settings, world->path, &world->why);
}

static void a_row_has_its_default(void **state)
{
    struct world *world = *state;
    assert_string_equal(world->values.listen, "127.0.0.1:7110");
    assert_string_equal(world->values.hosts, "");
    assert_false(world->values.reuse_port);
    assert_int_equal(world->values.idle_ms, 15000);
    assert_int_equal(world->values.max_bytes, 8ll << 30);
    assert_int_equal(world->values.partitions, 12);
    assert_int_equal(world->values.offset, -5);
    assert_int_equal(world->values.ack, 0);
    assert_int_equal(settings_passed_count(world->settings), 0);
}

static void later_sources_win(void **state)
{
    struct world *world = *state;
    assert_int_equal(
        read_text(world, SLICE("# a file\n\n[http]\nlisten = 0.0.0.0:80\nidle=2min\n  reuse_port = true\r\n"
                               "[journal]\n\tack = os\nmax_bytes = 512KiB\n"
                               "; another comment\n[kafka]\nbrokers = a:1")),
        STATUS_OK);
    assert_string_equal(world->values.listen, "0.0.0.0:80");
    assert_int_equal(world->values.idle_ms, 120000);
    assert_true(world->values.reuse_port);
    assert_int_equal(world->values.ack, 1);
    assert_int_equal(world->values.max_bytes, 512 * 1024);
    char *environment[] = {"PATH=/bin",
                           "FOOTFALL_KAFKA_BROKERS=b:1",
                           "FOOTFALL_JOURNAL_ACK= kafka ",
                           "FOOTFALL_KAFKA_OFF_SET_AT=7",
                           "FOOTFALL_HTTP_LISTENING=x",
                           NULL};
    assert_int_equal(settings_read_environment(world->settings, environment, &world->why), STATUS_OK);
    assert_string_equal(world->values.brokers, "b:1");
    assert_int_equal(world->values.ack, 2);
    assert_int_equal(world->values.offset, 7);
    assert_int_equal(settings_set(world->settings, "kafka.brokers = c:1=2 ", &world->why), STATUS_OK);
    assert_string_equal(world->values.brokers, "c:1=2");
}

struct mistake {
    const char *text;
    const char *sentence; /* after the path */
};

/* In a file whose first line is [http]. */
static const struct mistake file_mistakes[] = {
    {"lisen = a:1", ":2: there is no setting http.lisen; did you mean http.listen?"},
    {"[htpp]\nlisten = a:1", ":3: there is no setting htpp.listen; did you mean http.listen?"},
    {"[zoology]\nanimals = 3", ":3: there is no setting zoology.animals; --print-config lists them"},
    {"listen = nowhere",
     ":2: http.listen = nowhere: must be host:port, [v6]:port, unix:/path, or empty for none (such as "
     "127.0.0.1:7110)"},
    {"reuse_port = yes", ":2: http.reuse_port = yes: must be true or false"},
    {"idle = 15",
     ":2: http.idle = 15: must be a duration from 1s to 1h (such as 250ms, 15s, 5min, 24h, 90d)"},
    {"idle = 2h",
     ":2: http.idle = 2h: must be a duration from 1s to 1h (such as 250ms, 15s, 5min, 24h, 90d)"},
    {"idle = 0", ":2: http.idle = 0: must be a duration from 1s to 1h (such as 250ms, 15s, 5min, 24h, 90d)"},
    {"[journal]\nmax_bytes = 8 GiB",
     ":3: journal.max_bytes = 8 GiB: must be a size of at least 0 (such as 4096, 64KiB, 8GiB)"},
    {"[journal]\nmax_bytes = 9999999TiB",
     ":3: journal.max_bytes = 9999999TiB: must be a size of at least 0 (such as 4096, 64KiB, 8GiB)"},
    {"[journal]\nack = tape", ":3: journal.ack = tape: must be one of disk, os, kafka, memory"},
    {"[kafka]\npartitions = 0", ":3: kafka.partitions = 0: must be a whole number from 1 to 1024"},
    {"[kafka]\npartitions = 1x", ":3: kafka.partitions = 1x: must be a whole number from 1 to 1024"},
    {"[kafka]\npartitions = ", ":3: kafka.partitions = : must be a whole number from 1 to 1024"},
    {"[kafka]\nbrokers =", ":3: kafka.brokers = : must not be empty"},
    {"[kafka]\nbrokers = 0123456789012345678901234567890123456789012345678901234567890123x",
     ":3: kafka.brokers = 0123456789012345678901234567890123456789012345678901234567890123x: has 65 bytes, "
     "at "
     "most 64 are allowed"},
    {"[kafka]\nbrokers = \xff", ":3: kafka.brokers = \xff: holds control characters or is not UTF-8"},
    {"[kafka]\npassword = \xff",
     ":3: kafka.password = (not shown): holds control characters or is not UTF-8"},
    {"[kafka]\nbrokers =;x", ":3: kafka.brokers = ;x: holds a ';' after a space, which begins a comment in a "
                             "file; leave the space out"},
    {"idle = 2s\nidle = 3s", ":3: http.idle = 3s: is set already in line 2; keep one of them"},
    {"[rdkafka]\na.b = 1\na.b = 1", ":4: rdkafka.a.b = 1: is set already in line 3; keep one of them"},
    {"idle = 2s ; two", ":2: a comment stands on a line of its own"},
    {"idle", ":2: expected [section], key = value, or a comment after #"},
    {"idle\nlisen = a:1", ":2: expected [section], key = value, or a comment after #"},
    {"lisen = a:1\nidle", ":2: there is no setting http.lisen; did you mean http.listen?"},
    {"[kafka", ":2: a section stands alone on its line: [name]"},
    {"[]", ":2: a section stands alone on its line: [name]"},
    {"[kafka] brokers = x", ":2: a section stands alone on its line: [name]"},
    {"idle = \x1b", ":2: this line holds a control character"},
};

static void a_mistake_in_a_file_has_its_sentence(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(file_mistakes) / sizeof(file_mistakes[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "[http]\n%s\n", file_mistakes[i].text);
        assert_int_not_equal(read_text(world, slice_of(text)), STATUS_OK);
        assert_memory_equal(world->why.text, world->path, strlen(world->path));
        assert_string_equal(world->why.text + strlen(world->path), file_mistakes[i].sentence);
    }
}

static void a_key_needs_a_section(void **state)
{
    struct world *world = *state;
    assert_int_equal(read_text(world, SLICE("\nlisten = a:1\n")), STATUS_MALFORMED);
    assert_string_equal(world->why.text + strlen(world->path),
                        ":2: listen stands before the first [section]");
}

static void a_mistake_elsewhere_has_its_sentence(void **state)
{
    struct world *world = *state;
    char *environment[] = {"FOOTFALL_KAFKA_PARTITIONS=many", NULL};
    assert_int_equal(settings_read_environment(world->settings, environment, &world->why), STATUS_MALFORMED);
    assert_string_equal(world->why.text,
                        "FOOTFALL_KAFKA_PARTITIONS: kafka.partitions = many: must be a whole "
                        "number from 1 to 1024");
    static const struct mistake mistakes[] = {
        {"kafka.partitions", "--set kafka.partitions: expected section.key=value"},
        {"partitions=3", "--set partitions=3: expected section.key=value"},
        {"kafka.partition=3", "--set: there is no setting kafka.partition; did you mean kafka.partitions?"},
        {"kafka.brokers=a\nb", "--set: kafka.brokers = a?b: holds control characters or is not UTF-8"},
        {".a=b", "--set: a stands before the first [section]"},
    };
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        assert_int_not_equal(settings_set(world->settings, mistakes[i].text, &world->why), STATUS_OK);
        assert_string_equal(world->why.text, mistakes[i].sentence);
    }
}

static void a_refused_value_changes_nothing(void **state)
{
    struct world *world = *state;
    assert_int_equal(settings_set(world->settings, "kafka.brokers=good:1", &world->why), STATUS_OK);
    assert_int_not_equal(settings_set(world->settings, "kafka.brokers=", &world->why), STATUS_OK);
    assert_int_not_equal(settings_set(world->settings, "kafka.partitions=1025", &world->why), STATUS_OK);
    assert_string_equal(world->values.brokers, "good:1");
    assert_int_equal(world->values.partitions, 12);
}

static void lines_may_be_long_but_not_endless(void **state)
{
    struct world *world = *state;
    static char text[20000] = "[sites]\nhosts = ";
    size_t head = strlen(text);
    memset(text + head, 'a', 8999);
    assert_int_equal(read_text(world, slice_of(text)), STATUS_OK);
    assert_int_equal(strlen(world->values.hosts), 8999);
    memset(text + head, 'a', sizeof(text) - head - 1);
    assert_int_equal(read_text(world, slice_of(text)), STATUS_TOO_BIG);
    assert_string_equal(world->why.text + strlen(world->path), ":2: this line is longer than 16 KiB");
    memset(text, '\n', sizeof(text) - 1);
    assert_int_equal(read_text(world, slice_of(text)), STATUS_TOO_BIG);
    assert_string_equal(world->why.text + strlen(world->path),
                        ":10001: a settings file has at most 10,000 lines");
    assert_int_equal(read_text(world, SLICE("a\0b")), STATUS_MALFORMED);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    struct world *world = *state;
    assert_int_equal(settings_read_file(world->settings, "/nowhere/x.conf", &world->why), STATUS_UNAVAILABLE);
    assert_string_equal(world->why.text, "/nowhere/x.conf: cannot be opened: No such file or directory");
    assert_int_equal(settings_read_file(world->settings, "/tmp", &world->why), STATUS_UNAVAILABLE);
    assert_string_equal(world->why.text, "/tmp: cannot be read: Is a directory");
}

static void a_section_is_passed_on(void **state)
{
    struct world *world = *state;
    assert_int_equal(read_text(world, SLICE("[rdkafka]\nlinger.ms = 5\nclient.id=x\n")), STATUS_OK);
    assert_int_equal(settings_set(world->settings, "rdkafka.linger.ms=0", &world->why), STATUS_OK);
    assert_int_equal(settings_passed_count(world->settings), 2);
    assert_string_equal(settings_passed(world->settings, 0).key, "linger.ms");
    assert_string_equal(settings_passed(world->settings, 0).value, "0");
    assert_string_equal(settings_passed(world->settings, 1).key, "client.id");
    for (int i = 2; i < 256; i++) {
        char assignment[64];
        snprintf(assignment, sizeof(assignment), "rdkafka.key%d=1", i);
        assert_int_equal(settings_set(world->settings, assignment, &world->why), STATUS_OK);
    }
    assert_int_equal(settings_set(world->settings, "rdkafka.one.more=1", &world->why), STATUS_FULL);
}

static void listen_addresses_are_checked(void **state)
{
    struct world *world = *state;
    static const char *const good[] = {"a.example:1",   "[::1]:80", "unix:/run/x.sock",
                                       "1.2.3.4:65535", "a:0",      ""};
    static const char *const bad[] = {"a",      ":",       "a:",        "a:65536",     "a:-1",  "a:1:2",
                                      "[::1]",  "[::1]80", "[]:80",     "unix:x.sock", "unix:", "unix:/",
                                      "[::1]:", ":0",      "[::1]:x80", "a:0x50"};
    char assignment[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(assignment, sizeof(assignment), "http.listen=%s", good[i]);
        assert_int_equal(settings_set(world->settings, assignment, &world->why), STATUS_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(assignment, sizeof(assignment), "http.listen=%s", bad[i]);
        assert_int_equal(settings_set(world->settings, assignment, &world->why), STATUS_MALFORMED);
    }
}

static void print(struct world *world, struct buf *out)
{
    buf_clear(out);
    settings_print(world->settings, out);
    assert_false(out->overflowed);
}

static void what_is_printed_loads_again(void **state)
{
    struct world *world = *state;
    static const char *const assignments[] = {
        "http.listen=unix:/run/a b.sock",
        "http.idle=45min",
        "http.reuse_port=true",
        "sites.hosts=a.example, *.b.example;c",
        "kafka.brokers=x = [y] # z",
        "kafka.off-set.at=-10",
        "journal.max_bytes=1025",
        "journal.ack=memory",
        "rdkafka.debug=all",
        "rdkafka.empty=",
        "kafka.partitions=1024",
    };
    static char first_memory[16384], second_memory[16384];
    struct buf first, second;
    struct values loaded;
    buf_init(&first, first_memory, sizeof(first_memory));
    buf_init(&second, second_memory, sizeof(second_memory));
    for (size_t i = 0; i < sizeof(assignments) / sizeof(assignments[0]); i++)
        assert_int_equal(settings_set(world->settings, assignments[i], &world->why), STATUS_OK);
    print(world, &first);
    struct values before = world->values;
    struct settings *kept = world->settings;
    world->settings = settings_new(rows, sizeof(rows) / sizeof(rows[0]), &loaded, "rdkafka");
    assert_int_equal(read_text(world, buf_slice(&first)), STATUS_OK);
    assert_string_equal(loaded.listen, before.listen);
    assert_string_equal(loaded.hosts, before.hosts);
    assert_string_equal(loaded.brokers, before.brokers);
    assert_int_equal(loaded.idle_ms, before.idle_ms);
    assert_int_equal(loaded.max_bytes, before.max_bytes);
    assert_int_equal(loaded.offset, before.offset);
    assert_int_equal(loaded.partitions, before.partitions);
    assert_int_equal(loaded.ack, before.ack);
    assert_true(loaded.reuse_port);
    assert_int_equal(settings_passed_count(world->settings), 2);
    print(world, &second);
    assert_true(slice_equals(buf_slice(&first), buf_slice(&second)));
    settings_free(&kept);
}

static bool holds(const struct buf *out, const char *text)
{
    return memmem(out->data, out->len, text, strlen(text)) != NULL;
}

static void it_prints_comments_and_no_secret(void **state)
{
    struct world *world = *state;
    static char memory[16384];
    struct buf out;
    buf_init(&out, memory, sizeof(memory));
    print(world, &out);
    assert_true(holds(&out,
                      "\n[http]\n\n# Where beacons arrive.\n# host:port, [v6]:port, unix:/path, or empty for "
                      "none; default 127.0.0.1:7110\nlisten = 127.0.0.1:7110\n"));
    assert_true(holds(&out, "# a duration from 1s to 1h; default 15s\nidle = 15s\n"));
    assert_true(holds(&out, "# one of disk, os, kafka, memory; default disk\nack = disk\n"));
    assert_false(holds(&out, "not shown"));
    assert_int_equal(settings_set(world->settings, "kafka.password=hidden!", &world->why), STATUS_OK);
    assert_int_equal(settings_set(world->settings, "rdkafka.sasl.password=hidden!", &world->why), STATUS_OK);
    assert_string_equal(world->values.password, "hidden!");
    print(world, &out);
    assert_false(holds(&out, "hidden!"));
    assert_true(holds(&out, "# It is set, and not shown here.\npassword =\n"));
    assert_true(holds(&out, "# sasl.password is set, and not shown here.\n"));
}

static void a_list_is_walked(void **state)
{
    (void)state;
    static const char *const expected[] = {"a", "b c", "d"};
    slice rest = slice_of(" a ,, b c,\td ,"), item;
    for (size_t i = 0; i < 3; i++) {
        assert_true(settings_list_next(&rest, &item));
        assert_true(slice_equals(item, slice_of(expected[i])));
    }
    assert_false(settings_list_next(&rest, &item));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_has_its_default),
        TEST(later_sources_win),
        TEST(a_mistake_in_a_file_has_its_sentence),
        TEST(a_key_needs_a_section),
        TEST(a_mistake_elsewhere_has_its_sentence),
        TEST(a_refused_value_changes_nothing),
        TEST(lines_may_be_long_but_not_endless),
        TEST(a_file_that_cannot_be_read_is_told),
        TEST(a_section_is_passed_on),
        TEST(listen_addresses_are_checked),
        TEST(what_is_printed_loads_again),
        TEST(it_prints_comments_and_no_secret),
        TEST(a_list_is_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
