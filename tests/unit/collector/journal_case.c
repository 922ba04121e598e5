/* SPDX-License-Identifier: Apache-2.0
 * journal_case: see the header. */
#include "tests/unit/collector/journal_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct choice choice;
struct sim_disk *sim;
struct rig rig;

int journal_case_begin(void **state)
{
    (void)state;
    choice = choice_seeded(1);
    sim = sim_disk_new(&choice);
    return 0;
}

int journal_case_end(void **state)
{
    (void)state;
    if (sim)
        sim_disk_set_fault(sim, NULL, NULL); /* its plan went with the test */
    if (rig.journal)
        rig_close(&rig);
    sim_disk_free(&sim);
    return 0;
}

void open_rig(uint8_t boot)
{
    struct journal_options options = rig_options(sim, boot);
    rig_open(&rig, &options, sim);
}

journal_position append(int partition, size_t len)
{
    journal_position position = 0;
    assert_int_equal(rig_append(&rig, partition, len, &position), STATUS_OK);
    return position;
}

void append_large(int count)
{
    for (int i = 0; i < count; i++) {
        append(0, 5000);
        rig_commit(&rig);
    }
}

void expect_hit(int partition, int64_t seq)
{
    struct journal_entry entry;
    assert_true(rig_read(&rig, &entry));
    assert_int_equal(entry.kind, JOURNAL_HIT);
    assert_int_equal(entry.partition, partition);
    assert_int_equal(entry.seq, seq);
    assert_true(rig_is_value(entry.boot, partition, seq, entry.value));
    assert_true(slice_equals(entry.key, SLICE("shop.example|192.0.2.7")));
}

void expect_nothing(void)
{
    struct journal_entry entry;
    assert_false(rig_read(&rig, &entry));
}

struct journal_figures figures(void)
{
    struct journal_figures now;
    journal_figures(rig.journal, (wall_ms){1000 + rig.now.ms}, &now);
    return now;
}

void acknowledge_all(void)
{
    struct journal_entry entry;
    while (rig_read(&rig, &entry))
        journal_acknowledge(rig.journal, entry.position);
}

void start_again(void)
{
    struct sim_disk *found = sim_disk_kill(sim, &choice);
    rig_close(&rig);
    sim_disk_free(&sim);
    sim = found;
}

void killed_and_started_again(uint8_t boot)
{
    start_again();
    open_rig(boot);
    rig_recover(&rig);
}

int follow(void *context, enum sim_call call)
{
    struct plan *plan = context;
    if (call != plan->call)
        return SIM_FINE;
    if (plan->skip > 0) {
        plan->skip--;
        return SIM_FINE;
    }
    if (plan->count == 0)
        return SIM_FINE;
    plan->count--;
    return plan->result;
}
