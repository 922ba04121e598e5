/* SPDX-License-Identifier: Apache-2.0
 * A start with a large journal on a real disk: opening it reads nothing, recovery goes in steps of bounded
 * work, and memory does not grow with its size. 256 MiB; FOOTFALL_TEST_LONG: 4 GiB. What is bounded is
 * counted, never timed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "collector/journal.h"
#include "collector/reader.h"

#define MIB (UINT64_C(1024) * 1024)

enum { VALUE_BYTES = 2000, PARTITIONS = 12, HITS_A_FLUSH = 512, MAX_GROWTH_MIB = 128, OPENING_MS = 1 };

/* The real disk, with what it is asked counted, and without what makes a test slow. */
struct counting {
    struct disk disk;
    struct disk_functions functions;
    struct disk *real;
    uint64_t bytes_read;
    int64_t opened;
};

static char folder[64];
static struct counting counting;

static struct disk *real_of(struct disk *disk)
{
    return ((struct counting *)disk)->real;
}

#define FORWARD(result, name, parameters, ...)                                                               \
    static result forward_##name parameters                                                                  \
    {                                                                                                        \
        return real_of(disk)->functions->name(real_of(disk), ##__VA_ARGS__);                                 \
    }

FORWARD(int, close, (struct disk * disk, int file), file)
FORWARD(int, preallocate, (struct disk * disk, int file, uint64_t bytes), file, bytes)
FORWARD(int64_t, write, (struct disk * disk, int file, slice bytes, uint64_t at), file, bytes, at)
FORWARD(int, truncate, (struct disk * disk, const char *name, uint64_t bytes), name, bytes)
FORWARD(int64_t, size, (struct disk * disk, const char *name), name)
FORWARD(int, unlink, (struct disk * disk, const char *name), name)
FORWARD(int, rename, (struct disk * disk, const char *from, const char *to), from, to)
FORWARD(int, list, (struct disk * disk, const char *in, disk_list_fn *each, void *context), in, each, context)
FORWARD(int64_t, free_bytes, (struct disk * disk))
FORWARD(int, lock, (struct disk * disk))

static int count_open(struct disk *disk, const char *name, enum disk_mode mode)
{
    ((struct counting *)disk)->opened++;
    return real_of(disk)->functions->open(real_of(disk), name, mode);
}

static int64_t count_read(struct disk *disk, int file, void *out, size_t len, uint64_t at)
{
    int64_t got = real_of(disk)->functions->read(real_of(disk), file, out, len, at);
    if (got > 0)
        ((struct counting *)disk)->bytes_read += (uint64_t)got;
    return got;
}

static int skip_sync(struct disk *disk, int file)
{
    (void)disk;
    (void)file;
    return 0;
}

static int skip_sync_folder(struct disk *disk)
{
    (void)disk;
    return 0;
}

static void free_real(struct disk *disk)
{
    disk_free(&((struct counting *)disk)->real);
}

static struct disk *open_disk(void)
{
    struct why why = {.text = ""};
    counting = (struct counting){
        .disk = {&counting.functions},
        .functions =
            {
                .open = count_open,
                .close = forward_close,
                .preallocate = forward_preallocate,
                .write = forward_write,
                .read = count_read,
                .sync = skip_sync,
                .truncate = forward_truncate,
                .size = forward_size,
                .unlink = forward_unlink,
                .rename = forward_rename,
                .sync_folder = skip_sync_folder,
                .list = forward_list,
                .free_bytes = forward_free_bytes,
                .lock = forward_lock,
                .free = free_real,
            },
        .real = disk_posix_open(folder, &why),
    };
    assert_string_equal(why.text, "");
    return &counting.disk;
}

static struct journal *open_journal(struct disk *disk, uint8_t boot)
{
    struct why why = {.text = ""};
    struct journal *journal =
        journal_open(&(struct journal_options){.disk = disk,
                                               .boot = {{boot}},
                                               .salt_seed = boot,
                                               .topic = "hits",
                                               .partitions = PARTITIONS,
                                               .segment_bytes = JOURNAL_SEGMENT_BYTES,
                                               .max_bytes = 16 * 1024 * MIB,
                                               .max_unsynced_bytes = JOURNAL_UNSYNCED_BYTES,
                                               .roll_age_ms = JOURNAL_ROLL_AGE_MS},
                     (mono_ms){OPENING_MS}, &why);
    assert_string_equal(why.text, "");
    return journal;
}

/* --- the one that fills it, a process of its own --- */

static void append_some(struct journal *journal)
{
    static char value[VALUE_BYTES];
    journal_position position;
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < HITS_A_FLUSH; i++) {
        int partition = i % PARTITIONS;
        struct frame hit = {FRAME_HIT,       partition,  journal_next_seq(journal, partition),
                            {1738469901123}, SLICE("k"), {value, sizeof(value)}};
        MUST(journal_append(journal, &hit, &position) == STATUS_OK);
    }
}

static void keep_up(struct journal *journal)
{
    struct journal_sync sync;
    struct journal_upkeep upkeep;
    MUST(journal_flush(journal, (wall_ms){1}, (mono_ms){OPENING_MS}) == STATUS_OK);
    if (journal_sync_begin(journal, &sync)) {
        journal_sync_run(&sync);
        MUST(journal_sync_done(journal, &sync) == STATUS_OK);
    }
    if (journal_upkeep_begin(journal, (mono_ms){OPENING_MS}, &upkeep)) {
        journal_upkeep_run(&upkeep);
        journal_upkeep_done(journal, &upkeep, (mono_ms){OPENING_MS});
    }
}

/* Ends as if it was killed. How many hits it left. */
static int64_t fill(uint64_t bytes)
{
    int64_t flushes = (int64_t)(bytes / (HITS_A_FLUSH * VALUE_BYTES));
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal *journal = open_journal(open_disk(), 1);
        for (int64_t i = 0; i < flushes; i++) {
            append_some(journal);
            keep_up(journal);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return flushes * HITS_A_FLUSH;
}

/* --- the one that finds it --- */

/* The most memory that this process has had, in MiB. */
static int64_t peak_mib(void)
{
    char line[256];
    long long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        (void)sscanf(line, "VmHWM: %lld kB", &kib);
    fclose(file);
    assert_true(kib > 0);
    return kib / 1024;
}

/* Each step reads little, all of them little more than there is. */
static void recover(struct journal *journal, uint64_t bytes)
{
    uint64_t read = counting.bytes_read;
    int64_t steps = 0;
    for (; journal_recover(journal) == STATUS_AGAIN; steps++) {
        assert_true(counting.bytes_read - read <= 2 * READER_WINDOW_BYTES);
        read = counting.bytes_read;
    }
    assert_true(counting.bytes_read <= bytes + bytes / 8 + 2 * JOURNAL_SEGMENT_BYTES);
    assert_true(steps <= (int64_t)(2 * bytes / MIB) + 64);
}

static void a_start_with_a_large_journal(void **state)
{
    const char *is_long = getenv("FOOTFALL_TEST_LONG");
    uint64_t bytes = (is_long && is_long[0] ? 4096 : 256) * MIB;
    struct journal_figures figures;
    (void)state;
    int64_t hits = fill(bytes), before = peak_mib();
    struct disk *disk = open_disk();
    struct journal *journal = open_journal(disk, 2);
    assert_int_equal(counting.bytes_read, 0);
    assert_true(counting.opened <= 1 + JOURNAL_MAX_SYNC_FILES); /* its own, and the last ones to sync */
    recover(journal, bytes);
    journal_figures(journal, (wall_ms){1}, &figures);
    assert_int_equal(figures.recovered, hits);
    assert_true(figures.recovered_bytes >= bytes - bytes / 64);
    assert_true(peak_mib() - before < MAX_GROWTH_MIB);
    journal_close(&journal);
    disk_free(&disk);
}

/* --- the folder --- */

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/footfall-large.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void say_nothing(slice line)
{
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_with_a_large_journal, make_folder, remove_folder),
    };
    log_set_sink(say_nothing);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
