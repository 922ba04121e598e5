/* SPDX-License-Identifier: Apache-2.0
 * `footfall-collector check-journal DIR` on real folders: what it prints and leaves with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

#include "collector/journal.h"
#include "tests/lib/journal_hits.h"

#define SEGMENT "0000000000000001.segment"

static char folder[64];
static struct disk *disk;
static struct journal *journal;

static int make_journal(void **state)
{
    struct why why = {.text = ""};
    (void)state;
    strcpy(folder, "/tmp/footfall-check.XXXXXX");
    assert_non_null(mkdtemp(folder));
    disk = disk_posix_open(folder, &why);
    assert_string_equal(why.text, "");
    journal = journal_open(&(struct journal_options){.disk = disk,
                                                     .boot = {{0xab}},
                                                     .salt_seed = 1,
                                                     .topic = "hits",
                                                     .partitions = 12,
                                                     .segment_bytes = JOURNAL_SEGMENT_BYTES,
                                                     .max_bytes = 8 * JOURNAL_SEGMENT_BYTES,
                                                     .max_unsynced_bytes = JOURNAL_UNSYNCED_BYTES,
                                                     .roll_age_ms = JOURNAL_ROLL_AGE_MS},
                           (mono_ms){1}, &why);
    assert_string_equal(why.text, "");
    return 0;
}

static void stop_collector(void)
{
    journal_close(&journal);
    disk_free(&disk);
}

static int remove_journal(void **state)
{
    char command[128];
    (void)state;
    stop_collector();
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

/* Its words, on both outputs; the exit code. */
static int run(const char *arguments, char *words, size_t size)
{
    char command[512];
    snprintf(command, sizeof(command), FOOTFALL_COLLECTOR " %s 2>&1", arguments);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    words[fread(words, 1, size - 1, out)] = '\0';
    return WEXITSTATUS(pclose(out));
}

/* Of our folder: it needs no settings. */
static int check(char *words, size_t size)
{
    char arguments[128];
    snprintf(arguments, sizeof(arguments), "check-journal %s", folder);
    return run(arguments, words, size);
}

static void damage_first_frame(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/" SEGMENT, folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 2 * 4096 + 45, SEEK_SET);
    fputc('!', file);
    fclose(file);
}

static void a_whole_journal(void **state)
{
    char words[4096];
    (void)state;
    journal_hits_append(journal, 5);
    assert_int_equal(check(words, sizeof(words)), EX_OK);
    assert_non_null(strstr(words, "A collector uses this journal now"));
    stop_collector();
    assert_int_equal(check(words, sizeof(words)), EX_OK);
    assert_string_equal(words, SEGMENT " boot ab000000000000000000000000000000 topic hits partitions 12: "
                                       "5 hits from 2025-02-02T04:18:21.123Z to 2025-02-02T04:18:21.123Z, "
                                       "whole\n"
                                       "1 segments (0 not used yet), 16777216 bytes: 5 hits pending at most\n"
                                       "0 damaged, 0 with a torn tail; quarantine: 0 files, 0 bytes\n");
}

static void a_damaged_one(void **state)
{
    char words[4096];
    (void)state;
    journal_hits_append(journal, 5);
    assert_int_equal(journal_keep_refused(journal, SLICE("{}")), STATUS_OK);
    stop_collector();
    damage_first_frame();
    assert_int_equal(check(words, sizeof(words)), EX_DATAERR);
    assert_non_null(strstr(words, ": 4 hits from "));
    assert_non_null(strstr(words, ", DAMAGED in 1 places, 72 bytes\n"));
    assert_non_null(strstr(words, "4 hits pending at most\n"));
    assert_non_null(strstr(words, "1 damaged, 0 with a torn tail; quarantine: 1 files, 3 bytes\n"));
}

static void it_is_said_what_is_wrong(void **state)
{
    char words[4096];
    (void)state;
    assert_int_equal(run("check-journal /nowhere/journal", words, sizeof(words)), EX_NOINPUT);
    assert_non_null(strstr(words, "/nowhere/journal: it cannot be used: No such file or directory"));
    assert_int_equal(run("check-journal", words, sizeof(words)), EX_USAGE);
    assert_string_equal(words, "footfall-collector: check-journal needs one folder\n");
    assert_int_equal(run("--help", words, sizeof(words)), EX_OK);
    assert_non_null(strstr(words, "check-journal DIR\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_journal, remove_journal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_journal),
        TEST(a_damaged_one),
        TEST(it_is_said_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
