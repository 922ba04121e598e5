/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/disk and disk_posix on a real folder, and of a whole journal on it. */
#include "collector/disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "collector/journal.h"
#include "tests/lib/journal_hits.h"

static char top[64], folder[128];

static int make_top(void **state)
{
    (void)state;
    strcpy(top, "/tmp/footfall-disk.XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(folder, sizeof(folder), "%s/lib/footfall/journal", top);
    return 0;
}

static int remove_top(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

static struct disk *open_disk(void)
{
    struct why why = {.text = ""};
    struct disk *disk = disk_posix_open(folder, &why);
    assert_string_equal(why.text, "");
    assert_non_null(disk);
    return disk;
}

static void folders_are_made_for_us_alone(void **state)
{
    struct stat status;
    struct disk *disk = open_disk();
    (void)state;
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    disk_free(&disk);
    disk = open_disk(); /* and again when they are there */
    disk_free(&disk);
}

static void a_folder_that_cannot_be_is_explained(void **state)
{
    struct why why;
    (void)state;
    snprintf(folder, sizeof(folder), "/proc/footfall/journal");
    assert_null(disk_posix_open(folder, &why));
    assert_non_null(strstr(why.text, "journal.directory = /proc/footfall/journal"));
    assert_null(disk_posix_look(folder, &why));
}

static void what_is_written_is_read(void **state)
{
    struct disk *disk = open_disk();
    char bytes[16];
    size_t got;
    uint64_t size;
    int file, again;
    (void)state;
    assert_int_equal(disk_open(disk, "a", DISK_READ, &file), STATUS_NOT_FOUND);
    assert_int_equal(disk_open(disk, "a", DISK_CREATE, &file), STATUS_OK);
    assert_int_equal(disk_open(disk, "a", DISK_CREATE, &again), STATUS_CONFLICT);
    assert_int_equal(disk_preallocate(disk, file, 8192), STATUS_OK);
    assert_int_equal(disk_write(disk, file, SLICE("hello"), 8190), STATUS_OK);
    assert_int_equal(disk_sync(disk, file), STATUS_OK);
    assert_int_equal(disk_size(disk, "a", &size), STATUS_OK);
    assert_int_equal(size, 8195);
    assert_int_equal(disk_read(disk, file, (struct disk_span){bytes, sizeof(bytes), 8188}, &got), STATUS_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(bytes, "\0\0hello", 7);
    disk_close(disk, file);
    assert_int_equal(disk_truncate(disk, "a", 3), STATUS_OK);
    assert_int_equal(disk_size(disk, "a", &size), STATUS_OK);
    assert_int_equal(size, 3);
    assert_int_equal(disk_rename(disk, "a", "quarantine/a"), STATUS_OK);
    assert_int_equal(disk_sync_folder(disk), STATUS_OK);
    assert_int_equal(disk_unlink(disk, "a"), STATUS_NOT_FOUND);
    assert_int_equal(disk_unlink(disk, "quarantine/a"), STATUS_OK);
    assert_int_equal(disk_free_bytes(disk, &size), STATUS_OK);
    assert_true(size > 0);
    disk_free(&disk);
}

static void a_link_is_not_followed(void **state)
{
    struct disk *disk = open_disk();
    char path[256];
    int file;
    (void)state;
    snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_not_equal(disk_open(disk, "a", DISK_READ, &file), STATUS_OK);
    assert_int_not_equal(disk_truncate(disk, "a", 0), STATUS_OK);
    disk_free(&disk);
}

static void note_name(void *context, const char *name)
{
    strcat(context, name[0] == '.' ? "" : name);
}

static void names_are_listed(void **state)
{
    struct disk *disk = open_disk();
    char names[64] = "";
    int file;
    (void)state;
    assert_int_equal(disk_open(disk, "quarantine/b", DISK_APPEND, &file), STATUS_OK);
    disk_close(disk, file);
    assert_int_equal(disk_list(disk, "", note_name, names), STATUS_OK);
    assert_int_equal(disk_list(disk, DISK_QUARANTINE, note_name, names), STATUS_OK);
    assert_string_equal(names, "quarantineb");
    assert_int_equal(disk_list(disk, "nothing", note_name, names), STATUS_NOT_FOUND);
    disk_free(&disk);
}

static void the_lock_is_for_one(void **state)
{
    struct why why;
    struct disk *first = open_disk(), *second = open_disk(), *looking = disk_posix_look(folder, &why);
    (void)state;
    assert_int_equal(disk_lock(looking), STATUS_OK); /* and given back at once */
    assert_int_equal(disk_lock(first), STATUS_OK);
    assert_int_equal(disk_lock(second), STATUS_CONFLICT);
    assert_int_equal(disk_lock(looking), STATUS_CONFLICT);
    disk_free(&first);
    assert_int_equal(disk_lock(second), STATUS_OK);
    disk_free(&second);
    disk_free(&looking);
}

/* --- a journal on it --- */

static struct journal *open_journal(struct disk *disk, uint8_t boot)
{
    struct why why = {.text = ""};
    struct journal *journal =
        journal_open(&(struct journal_options){.disk = disk,
                                               .boot = {{boot}},
                                               .salt_seed = 1,
                                               .topic = "hits",
                                               .partitions = 12,
                                               .segment_bytes = JOURNAL_SEGMENT_BYTES,
                                               .max_bytes = 8 * JOURNAL_SEGMENT_BYTES,
                                               .max_unsynced_bytes = JOURNAL_UNSYNCED_BYTES,
                                               .roll_age_ms = JOURNAL_ROLL_AGE_MS},
                     (mono_ms){1}, &why);
    assert_string_equal(why.text, "");
    return journal;
}

static void append_and_sync(struct journal *journal, int count)
{
    struct journal_sync sync;
    journal_hits_append(journal, count);
    assert_true(journal_sync_begin(journal, &sync));
    journal_sync_run(&sync);
    assert_int_equal(journal_sync_done(journal, &sync), STATUS_OK);
}

static void the_next_start_finds_it_on_a_real_disk(void **state)
{
    struct disk *disk = open_disk();
    struct journal *journal = open_journal(disk, 1);
    struct journal_figures figures;
    (void)state;
    append_and_sync(journal, 1000);
    journal_close(&journal);
    disk_free(&disk);
    disk = open_disk();
    journal = open_journal(disk, 2);
    while (journal_recover(journal) == STATUS_AGAIN)
        ;
    journal_figures(journal, (wall_ms){1}, &figures);
    assert_int_equal(figures.recovered, 1000);
    assert_int_equal(figures.pending, 1001); /* and the end of the stream */
    assert_int_equal(figures.damaged_segments + figures.torn_tails, 0);
    assert_true(figures.bytes < JOURNAL_SEGMENT_BYTES + 1000000); /* what was preallocated is given back */
    journal_close(&journal);
    disk_free(&disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_top, remove_top)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(folders_are_made_for_us_alone),
        TEST(a_folder_that_cannot_be_is_explained),
        TEST(what_is_written_is_read),
        TEST(a_link_is_not_followed),
        TEST(names_are_listed),
        TEST(the_lock_is_for_one),
        TEST(the_next_start_finds_it_on_a_real_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
