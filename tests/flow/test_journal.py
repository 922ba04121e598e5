# SPDX-License-Identifier: Apache-2.0
"""The journal's folder over several lives and in several hands: ended and started again while Kafka is away, copied, put back as
it was before, beside others. In all of them what was answered 204 is one row, and nothing is two."""
import os
import pathlib
import shutil

from bench import promises
from bench.published import Published
from servers import wait_until

RATE = 300
MIB = 1 << 20


def test_killed_and_started_again_while_kafka_is_away(programs, topic, database, kafka, load, long):
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = load(collector, rate=RATE)
    visitors.wait_taken(RATE)
    with kafka.paused():
        for life in range(3 * long):
            visitors.chapter = f"outage, life {life}"
            visitors.wait_taken(RATE)
            collector.kill()
            collector.start_again(wait=False)
            wait_until(lambda: collector.fetch("/healthz")[0] == 200, "it runs again")
            wait_until(lambda: collector.figure("journal_pending") >= RATE, "what was not delivered has stayed in the journal")
        visitors.wait_taken(RATE)
    visitors.chapter = "afterwards"
    visitors.wait_taken(RATE)
    visitors.stop()
    assert set(visitors.statuses) <= {204, 0}, f"answers: {visitors.statuses}"
    collector.wait_drained()
    promises.check_stored(topic, database, visitors)


def test_a_second_collector_on_one_folder_is_refused(programs, topic):
    first = programs.collector(topic)
    second = programs.collector(topic, ready=False, journal__directory=first.journal)
    assert second.wait_left() == os.EX_TEMPFAIL
    assert f"journal.directory = {first.journal}: another collector uses this folder" in second.log_text()
    assert first.fetch("/readyz")[0] == 200
    first.stop_well()
    second.start_again()


def copy_of_a_running(collector, to):
    """As a snapshot of its machine would hold it."""
    with collector.paused():
        shutil.copytree(collector.journal, to)
    return to


def test_a_machine_and_its_clone(programs, topic, database, kafka, load, own_folder):
    """Both have the same undelivered hits, deliver them, and take others."""
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = load(collector, rate=RATE)
    visitors.wait_taken(RATE)
    with kafka.paused():
        visitors.chapter = "outage"
        visitors.wait_taken(RATE)
        clone = programs.collector(topic, ready=False, journal__directory=copy_of_a_running(collector, own_folder / "clone"))
        wait_until(lambda: clone.fetch("/healthz")[0] == 200, "the clone runs")
        visitors.stop()
        visitors.ports.append(clone.port)
        visitors.chapter = "both"
        visitors.start()
        visitors.wait_taken(2 * RATE)
    visitors.chapter = "afterwards"
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    clone.wait_drained()
    assert clone.figure("journal_recovered_total") > 0
    published = promises.check_stored(topic, database, visitors)
    assert published.copies > 0, "both delivered the same hits: else this shows nothing"


def test_an_old_copy_is_put_back(programs, topic, database, load, own_folder):
    """What it holds was delivered long ago."""
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = load(collector, rate=RATE)
    visitors.wait_taken(RATE)
    old = copy_of_a_running(collector, own_folder / "old")
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    collector.stop_well()
    shutil.rmtree(collector.journal)
    old.rename(collector.journal)
    collector.start_again()
    visitors.chapter = "after the restore"
    visitors.start()
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    published = promises.check_stored(topic, database, visitors)
    assert published.copies > 0, "it delivered them once more: else this shows nothing"


def test_several_on_one_port_one_of_them_killed(programs, topic, database, load, long):
    shared = {"http__reuse_port": "true", "http__max_requests": 10}  # new connections all the time, for all of them
    first = programs.collector(topic, **shared)
    three = [first, *(programs.collector(topic, http__listen=f"127.0.0.1:{first.port}", **shared) for _ in range(2))]
    programs.aggregator(topic, database)
    visitors = load(first, visitors=24, most=2, rate=RATE)
    visitors.wait_taken(RATE)
    for life in range(3 * long):
        visitors.chapter = f"life {life}"
        victim = three[life % 3]
        victim.kill()
        visitors.wait_taken(RATE // 3)
        victim.start_again()
        wait_until(lambda: victim.figure("journal_appended_total") > 0, "it takes its share again")
    visitors.stop()
    for each in three:
        each.wait_drained()
    promises.check_stored(topic, database, visitors)


def peak_bytes(collector):
    lines = pathlib.Path(f"/proc/{collector.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_memory_does_not_grow_with_an_outage(programs, topic, kafka, load):
    """More is taken than all the queues on the way to Kafka hold: the rest stays on the disk."""
    collector = programs.collector(topic, env={"ASAN_OPTIONS": "quarantine_size_mb=8"},  # else what is freed counts too
                                   http__max_body="64KiB", http__max_connections=1000)
    before = peak_bytes(collector)
    with kafka.paused():
        visitors = load(collector, padding=3800, most=15)
        wait_until(lambda: collector.figure("journal_bytes") > 256 * MIB, "256 MiB are in the journal")
        visitors.stop()
        grown = peak_bytes(collector) - before
        assert set(visitors.statuses) == {204}, f"answers: {visitors.statuses}"
        assert collector.figure("hits_in_flight") < visitors.count() / 2, "Kafka's client holds a part of them only"
    assert grown < 160 * MIB, f"{grown / MIB:.0f} MiB more than at the start"
    collector.wait_drained()
    visitors.check(Published(topic).ids())
    assert peak_bytes(collector) - before < 200 * MIB
