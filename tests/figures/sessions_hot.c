/* SPDX-License-Identifier: Apache-2.0
 * What open sessions cost: memory, and the longest turn of a burst in which all of them close.
 *
 * usage: sessions_hot COUNT. Opens COUNT sessions as batches of 5,000 do, of visitors of their own, one in five
 * by IPv6, on 20 hosts with 5,000 pages each; then all are due at one moment and close, 5,000 a turn, and what
 * changed is written out as pages. Prints: bytes a session that were asked of malloc, the same resident, the
 * longest turn and the mean one while they open and while they close, and what throwing all away takes, in ms
 * of CPU. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aggregator/pages.h"
#include "aggregator/sessions.h"

enum {
    A_TURN = 5000,
    HOSTS = 20,
    PAGES = 5000,
    GAP_MS = 300000,
    LATENESS_MS = 15000,
    BASE_MS = 1700000000,
    TEXT_MAX = 128
};

static const size_t max_output_bytes = (size_t)1 << 30;

struct turns {
    double longest_ms;
    double sum_ms;
    size_t count;
};

struct texts {
    char host[TEXT_MAX];
    char entry[TEXT_MAX];
    char exit[TEXT_MAX];
    char referrer[TEXT_MAX];
};

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void note_turn(struct turns *turns, double began_ms)
{
    double took_ms = cpu_ms() - began_ms;
    turns->longest_ms = took_ms > turns->longest_ms ? took_ms : turns->longest_ms;
    turns->sum_ms += took_ms;
    turns->count++;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file != NULL && fscanf(file, "%*s %zu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static slice write_page(char *text, const char *host, uint32_t page)
{
    int len =
        snprintf(text, TEXT_MAX, "https://%s/articles/2026/%u/what-happened-then.html", host, page % PAGES);
    return (slice){text, (size_t)len};
}

static uint32_t mix(uint32_t number)
{
    return (uint32_t)((number * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

static struct session visit(uint32_t number, struct texts *texts)
{
    uint32_t mixed = mix(number);
    int len = snprintf(texts->host, TEXT_MAX, "www.site-%u.example", mixed % HOSTS);
    struct session part = {.ip = {{[10] = 0xff, 0xff}},
                           .host = {texts->host, (size_t)len},
                           .start = {BASE_MS + number % GAP_MS},
                           .last = {BASE_MS + number % GAP_MS},
                           .events = 1,
                           .referrer = write_page(texts->referrer, "www.search.example", mixed % 50),
                           .country = SLICE("IN"),
                           .state = SLICE("Karnataka"),
                           .city = SLICE("Bengaluru")};
    if (number % 5 == 0)
        memcpy(part.ip.bytes, "\x20\x01\x0d\xb8\1\2\3\4\5\6\7\x8", 12);
    memcpy(part.ip.bytes + 12, &number, sizeof number);
    part.entry_url = write_page(texts->entry, texts->host, mixed / HOSTS);
    part.exit_url = write_page(texts->exit, texts->host, mixed / (7 * HOSTS));
    return part;
}

static void write_changes(struct sessions *sessions, struct buf *out)
{
    static int64_t version;
    struct pages pages;
    struct session change;
    size_t cursor = 0;
    int64_t before;
    buf_clear(out);
    sessions_renew_old_changes(sessions);
    pages_begin(&pages, out, SLICE("hits"), 0, ++version);
    while (sessions_next_change(sessions, &cursor, &change))
        pages_add(&pages, &change);
    pages_end(&pages);
    sessions_note_stored(sessions, version);
    sessions_forget_changes(sessions, &before);
}

static struct turns open_all(struct sessions *sessions, uint32_t count, struct buf *out)
{
    struct turns turns = {0};
    struct texts texts;
    for (uint32_t number = 0; number < count;) {
        double began_ms = cpu_ms();
        for (uint32_t i = 0; i < A_TURN && number < count; i++) {
            struct session part = visit(number++, &texts);
            sessions_add(sessions, &part, (mono_ms){0});
        }
        write_changes(sessions, out);
        note_turn(&turns, began_ms);
    }
    return turns;
}

static struct turns close_all(struct sessions *sessions, struct buf *out)
{
    struct turns turns = {0};
    while (sessions_count(sessions) > 0) {
        double began_ms = cpu_ms();
        struct sessions_question question = {
            {BASE_MS + 10 * GAP_MS}, LATENESS_MS, {100000}, SESSIONS_LOOKS_A_TURN};
        struct session closed;
        for (int i = 0; i < A_TURN && sessions_take_due(sessions, &question, &closed); i++)
            ;
        write_changes(sessions, out);
        note_turn(&turns, began_ms);
    }
    return turns;
}

int main(int argc, char **argv)
{
    uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    MUST(count > 0);
    struct buf out;
    buf_init_growing(&out, 1 << 20, max_output_bytes);
    size_t heap = heap_bytes(), resident = resident_bytes();
    struct sessions *sessions = sessions_new(GAP_MS, count);
    struct turns opening = open_all(sessions, count, &out);
    heap = heap_bytes() - heap;
    resident = resident_bytes() - resident;
    struct turns closing = close_all(sessions, &out);
    open_all(sessions, count, &out);
    double began_ms = cpu_ms();
    sessions_free(&sessions);
    printf("%.1f %.1f %.2f %.2f %.2f %.2f %.1f\n", (double)heap / count, (double)resident / count,
           opening.longest_ms, opening.sum_ms / (double)opening.count, closing.longest_ms,
           closing.sum_ms / (double)closing.count, cpu_ms() - began_ms);
    buf_fini(&out);
    return 0;
}
