/* SPDX-License-Identifier: Apache-2.0
 * Power loss and kill -9 at random moments of random lives of a journal, on a disk that drops, tears and
 * reorders what is not synced, and in every third life fails as well; in every third it is soon full.
 *
 * Each crash state is recovered twice. No hit that was durable (after a kill: written) and not acknowledged
 * may be missing; no hit may come that was not appended, or with another text; what is announced as lost is
 * not there; from the first number of a stream to its announced end nothing is missing without a word; the
 * second recovery gives what the first gave. FOOTFALL_TEST_LONG: a million states;
 * FOOTFALL_TEST_SEED: begin there. A failure prints the seed. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "tests/lib/journal_rig.h"

enum {
    STATES = 20000,
    LONG_STATES = 1000000,
    BOOTS = 3,
    STEPS = 120,
    MAX_SEQ = STEPS * 4,
    STATES_A_CRASH = 4,
    MAX_HANDED = 4096,
    HANG_SECONDS = 120,
    KEPT_BYTES = 64 * 1024 * 1024,
    CHECKING_BOOT = 200,
};

struct appended {
    size_t len;
    journal_position position;
    bool is_durable; /* known to be */
    bool is_acknowledged;
    bool is_announced; /* as lost, and that was acknowledged */
    bool was_handed_out;
};

struct handed {
    journal_position position;
    struct appended *hits; /* a hit, or those that are skipped */
    int64_t count;         /* 0: the end of a stream */
    bool is_skip;
};

struct life {
    struct choice choice;
    bool has_faults;
    uint64_t max_bytes;
    struct sim_disk *sim;
    struct rig rig;
    int boot; /* of the present process: 0 … */
    bool is_publishing;
    struct appended hits[BOOTS][RIG_PARTITIONS][MAX_SEQ]; /* by seq - 1 */
    int64_t last[BOOTS][RIG_PARTITIONS];
    struct handed handed[MAX_HANDED]; /* by this process, not acknowledged */
    size_t handed_count;
};

static uint64_t seed;
static int64_t states;

static void on_death(int number)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "\n%s: FOOTFALL_TEST_SEED=%llu, state %lld\n",
                       number == SIGALRM ? "hangs" : "failed", (unsigned long long)seed, (long long)states);
    (void)!write(STDERR_FILENO, text, (size_t)len);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static int fault(void *context, enum sim_call call)
{
    struct life *life = context;
    static const int results[][4] = {
        [SIM_OPEN] = {-EINTR, -EMFILE, -ENFILE, -ENOMEM},
        [SIM_PREALLOCATE] = {-ENOSPC, -EINTR, -EIO, -ENOSPC},
        [SIM_WRITE] = {SIM_SHORT, -ENOSPC, -EINTR, -EIO},
        [SIM_READ] = {SIM_SHORT, -EINTR, SIM_SHORT, -EINTR},
        [SIM_SYNC] = {-EIO, -EIO, -ENOSPC, -EIO},
        [SIM_SYNC_FOLDER] = {-EIO, -EIO, -EIO, -EIO},
        [SIM_REMOVE] = {-EIO, -EIO, -EIO, -EIO},
        [SIM_TRUNCATE] = {-EIO, -EINTR, -EIO, -EIO},
        [SIM_SIZE] = {SIM_FINE},
    };
    if (!life->has_faults || !choice_one_in(&life->choice, 12))
        return SIM_FINE;
    return results[call][choice_below(&life->choice, 4)];
}

/* --- what must be there --- */

static struct appended *find_hit(struct life *life, const struct journal_entry *entry)
{
    int boot = entry->boot.bytes[0] - 1;
    MUST(boot >= 0 && boot < BOOTS && uuid_equals(entry->boot, rig_boot((uint8_t)(boot + 1))));
    MUST(entry->partition >= 0 && entry->partition < RIG_PARTITIONS);
    MUST(entry->seq >= 1 && entry->seq <= life->last[boot][entry->partition]);
    return &life->hits[boot][entry->partition][entry->seq - 1];
}

static void note_durable(struct life *life, journal_position below)
{
    for (int partition = 0; partition < RIG_PARTITIONS; partition++)
        for (int64_t i = 0; i < life->last[life->boot][partition]; i++) {
            struct appended *hit = &life->hits[life->boot][partition][i];
            hit->is_durable = hit->is_durable || hit->position < below;
        }
}

struct found {
    bool is_there[BOOTS][RIG_PARTITIONS][MAX_SEQ];
    bool is_skipped[BOOTS][RIG_PARTITIONS][MAX_SEQ];
    int64_t first[BOOTS][RIG_PARTITIONS]; /* that is there or skipped; 0: none */
    int64_t last[BOOTS][RIG_PARTITIONS];  /* as announced */
    int64_t greatest[BOOTS][RIG_PARTITIONS];
    uint64_t digest;
};

static void mix(struct found *found, uint64_t value)
{
    found->digest = (found->digest ^ value) * UINT64_C(0x100000001b3);
}

static void note_first(int64_t *first, int64_t seq)
{
    if (*first == 0 || seq < *first)
        *first = seq;
}

static void check_hit(struct life *life, struct found *found, const struct journal_entry *entry)
{
    const struct appended *hit = find_hit(life, entry);
    int boot = entry->boot.bytes[0] - 1;
    int64_t *greatest = &found->greatest[boot][entry->partition];
    bool *is_there = &found->is_there[boot][entry->partition][entry->seq - 1];
    MUST(entry->value.len == hit->len &&
         rig_is_value(entry->boot, entry->partition, entry->seq, entry->value));
    MUST(!hit->was_handed_out || entry->may_have_been_sent);
    /* Only a failed sync brings numbers again, and then perhaps some that were missing before. */
    MUST(life->has_faults || entry->seq > *greatest);
    *greatest = entry->seq > *greatest ? entry->seq : *greatest;
    note_first(&found->first[boot][entry->partition], entry->seq);
    *is_there = true;
}

static void check_entry(struct life *life, struct found *found, const struct journal_entry *entry)
{
    mix(found, (uint64_t)entry->kind);
    mix(found, entry->boot.bytes[0]);
    mix(found, (uint64_t)entry->partition);
    mix(found, (uint64_t)entry->seq);
    mix(found, (uint64_t)entry->last);
    if (entry->kind == JOURNAL_HIT) {
        check_hit(life, found, entry);
        return;
    }
    int boot = entry->boot.bytes[0] - 1;
    if (entry->kind == JOURNAL_SKIP)
        note_first(&found->first[boot][entry->partition], entry->seq);
    MUST(boot >= 0 && boot < BOOTS && entry->last <= life->last[boot][entry->partition]);
    for (int64_t seq = entry->seq; entry->kind == JOURNAL_SKIP && seq <= entry->last; seq++)
        found->is_skipped[boot][entry->partition][seq - 1] = true;
    if (entry->kind == JOURNAL_FIN)
        found->last[boot][entry->partition] = entry->last;
    for (int64_t seq = entry->last; entry->kind == JOURNAL_FIN && seq < life->last[boot][entry->partition];
         seq++)
        MUST(!life->hits[boot][entry->partition][seq].is_durable);
}

static void check_stream(const struct life *life, const struct found *found, int boot, int partition)
{
    for (int64_t i = 0; i < life->last[boot][partition]; i++) {
        const struct appended *hit = &life->hits[boot][partition][i];
        bool is_there = found->is_there[boot][partition][i],
             is_skipped = found->is_skipped[boot][partition][i];
        MUST(is_there || !hit->is_durable || hit->is_acknowledged);
        /* What was before a segment is not known when the one before it lost its header with the power. */
        bool is_within = i + 1 > found->first[boot][partition] && i < found->last[boot][partition];
        MUST(is_there || is_skipped || hit->is_acknowledged || hit->is_announced ||
             found->first[boot][partition] == 0 || !is_within);
        /* What a failed sync left on the disk, and what was written again, may each be half there. */
        MUST(!(is_there && is_skipped) || (life->has_faults && !hit->is_durable));
    }
}

static uint64_t recover(struct life *life, struct sim_disk *disk, uint8_t boot)
{
    struct found *found = must_calloc(1, sizeof(*found));
    struct journal_options options = rig_options(disk, boot);
    struct journal_entry entry;
    options.max_bytes = life->max_bytes;
    struct rig rig;
    rig_open(&rig, &options, disk);
    rig_recover(&rig);
    rig_start_publishing(&rig);
    while (rig_read(&rig, &entry))
        check_entry(life, found, &entry);
    for (int i = 0; i <= life->boot; i++)
        for (int partition = 0; partition < RIG_PARTITIONS; partition++)
            check_stream(life, found, i, partition);
    uint64_t digest = found->digest;
    free(found);
    rig_close(&rig);
    return digest;
}

static void check_state(struct life *life, bool is_killed)
{
    struct choice choice = choice_seeded(choice_below(&life->choice, UINT32_MAX));
    struct sim_disk *first =
        is_killed ? sim_disk_kill(life->sim, &choice) : sim_disk_lose_power(life->sim, &choice);
    uint64_t found = recover(life, first, CHECKING_BOOT);
    struct sim_disk *second = sim_disk_lose_power(first, &choice);
    MUST(recover(life, second, CHECKING_BOOT + 1) == found);
    sim_disk_free(&second);
    sim_disk_free(&first);
    states++;
}

static void crash(struct life *life)
{
    for (int i = 0; i < STATES_A_CRASH - 1; i++)
        check_state(life, false);
    struct life *killed = must_malloc(sizeof(*killed)); /* which has more to show: all that was written */
    *killed = *life;
    note_durable(killed, journal_written(life->rig.journal));
    check_state(killed, true);
    free(killed);
}

/* --- a life --- */

static void append(struct life *life)
{
    int partition = (int)choice_below(&life->choice, RIG_PARTITIONS);
    size_t len = choice_one_in(&life->choice, 3) ? choice_below(&life->choice, RIG_MAX_VALUE)
                                                 : choice_below(&life->choice, 300);
    int64_t *last = &life->last[life->boot][partition];
    struct appended *hit = &life->hits[life->boot][partition][*last];
    if (*last == MAX_SEQ || rig_append(&life->rig, partition, len, &hit->position) != STATUS_OK)
        return;
    hit->len = len;
    (*last)++;
}

static void read_some(struct life *life)
{
    struct journal_entry entry;
    for (uint64_t i = choice_below(&life->choice, 20); i > 0 && life->handed_count < MAX_HANDED; i--) {
        if (!rig_read(&life->rig, &entry))
            return;
        struct handed *handed = &life->handed[life->handed_count++];
        *handed = (struct handed){.position = entry.position, .is_skip = entry.kind == JOURNAL_SKIP};
        if (entry.kind == JOURNAL_FIN)
            continue;
        handed->hits = find_hit(life, &entry);
        handed->count = handed->is_skip ? entry.last - entry.seq + 1 : 1;
        if (!handed->is_skip)
            handed->hits->was_handed_out = true;
    }
}

static void acknowledge_some(struct life *life)
{
    for (uint64_t i = choice_below(&life->choice, 20); i > 0 && life->handed_count > 0; i--) {
        struct handed *handed = &life->handed[choice_below(&life->choice, life->handed_count)];
        journal_acknowledge(life->rig.journal, handed->position);
        for (int64_t at = 0; at < handed->count; at++) {
            handed->hits[at].is_acknowledged = handed->hits[at].is_acknowledged || !handed->is_skip;
            handed->hits[at].is_announced = handed->hits[at].is_announced || handed->is_skip;
        }
        *handed = life->handed[--life->handed_count];
    }
}

static void rewind_and_forget(struct life *life)
{
    journal_rewind(life->rig.journal);
    life->handed_count = 0;
}

static void step(struct life *life)
{
    switch (choice_below(&life->choice, 16)) {
    case 0:
        (void)rig_flush(&life->rig);
        break;
    case 1:
        rig_begin_sync(&life->rig);
        break;
    case 2:
        (void)rig_end_sync(&life->rig);
        break;
    case 3:
        (void)rig_commit(&life->rig);
        break;
    case 4:
        rig_upkeep(&life->rig);
        break;
    case 5:
        read_some(life);
        break;
    case 6:
    case 7:
        acknowledge_some(life);
        break;
    case 8:
        if (choice_one_in(&life->choice, 4))
            rewind_and_forget(life);
        break;
    default:
        append(life);
    }
    if (journal_recover(life->rig.journal) == STATUS_OK && choice_one_in(&life->choice, 10))
        journal_start_publishing(life->rig.journal, (wall_ms){1});
    note_durable(life, journal_durable(life->rig.journal));
}

static void start(struct life *life)
{
    struct journal_options options = rig_options(life->sim, (uint8_t)(life->boot + 1));
    options.hands_out_unsynced = choice_one_in(&life->choice, 3);
    options.max_bytes = life->max_bytes;
    life->handed_count = 0;
    rig_open(&life->rig, &options, life->sim);
    sim_disk_set_fault(life->sim, fault, life);
}

static void end(struct life *life, bool is_killed)
{
    if (is_killed)
        note_durable(life, journal_written(life->rig.journal));
    struct sim_disk *found =
        is_killed ? sim_disk_kill(life->sim, &life->choice) : sim_disk_lose_power(life->sim, &life->choice);
    MUST(sim_disk_repeated_syncs(life->sim) == 0);
    rig_close(&life->rig);
    sim_disk_free(&life->sim);
    life->sim = found;
}

static void live(struct life *life)
{
    life->choice = choice_seeded(seed);
    life->has_faults = choice_one_in(&life->choice, 3);
    life->max_bytes = (choice_one_in(&life->choice, 3) ? 3 : 64) * (uint64_t)RIG_SEGMENT_BYTES;
    life->sim = sim_disk_new(&life->choice);
    for (life->boot = 0; life->boot < BOOTS; life->boot++) {
        start(life);
        for (int i = 0; i < STEPS; i++) {
            step(life);
            if (choice_one_in(&life->choice, STEPS / 4))
                crash(life);
        }
        end(life, choice_one_in(&life->choice, 3));
    }
    sim_disk_free(&life->sim);
}

static void no_crash_loses_what_was_durable(void **state)
{
    const char *is_long = getenv("FOOTFALL_TEST_LONG"), *first = getenv("FOOTFALL_TEST_SEED");
    int64_t wanted = is_long && is_long[0] ? LONG_STATES : STATES;
    (void)state;
    signal(SIGABRT, on_death);
    signal(SIGALRM, on_death);
    seed = first && first[0] ? strtoull(first, NULL, 10) : 1;
    for (; states < wanted; seed++) {
        struct life *life = must_calloc(1, sizeof(*life));
        alarm(HANG_SECONDS);
        live(life);
        free(life);
    }
    alarm(0);
    print_message("%lld crash states\n", (long long)states);
}

static void say_nothing(slice line)
{
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_crash_loses_what_was_durable)};
    log_set_sink(say_nothing);
    /* Each state takes and frees a few MiB: a third of the time would go into giving them back. */
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES); /* AddressSanitizer does not know it */
    (void)mallopt(M_TRIM_THRESHOLD, 4 * KEPT_BYTES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
